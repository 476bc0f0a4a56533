"""`sweeps` in one process: its file, interruptions, failures, the bar, and what is refused."""

import functools
import json
import subprocess
import sys
import types
from unittest import mock

import numpy as np
import pytest

from initcore import network, training
from initcore.sweeps import sweep

GRID = {"width": [3, 5], "seed": range(4)}


def loss(width, seed):
    """Return the loss of a small net after two epochs: floats that a wrong seed would change."""
    net = network.MLP((2, width, 2), "tanh", weights="glorot_normal", seed=seed)
    x = np.random.default_rng(seed).normal(size=(20, 2))
    done = training.fit(net, x, (x[:, 0] > 0).astype(int), optimizer="sgd", epochs=2, batch_size=5)
    return {"loss": done.loss[-1], "curve": done.loss}


def stop_at(number, calls, kind=KeyboardInterrupt):
    """Return a function of a seed that notes its calls and raises at one."""

    def function(seed):
        calls.append(seed)
        if len(calls) == number:
            raise kind("stopped")
        return seed**2

    return function


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.jsonl"


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_grid_in_its_order_with_results_as_the_file_has_them(file):
    rows = sweep(loss, GRID, file, jobs=1)
    assert [tuple(row.case.values()) for row in rows] == [(w, s) for w in (3, 5) for s in range(4)]
    for row in rows:
        expected = loss(**row.case)
        assert row.result == {"loss": expected["loss"], "curve": expected["curve"].tolist()}
        assert 0 < row.seconds < 60
    assert len({row.result["loss"] for row in rows}) == 8
    assert lines(file) == [row._asdict() for row in rows]


def test_after_an_interruption_only_the_rest_is_run(file):
    calls, cases = [], {"seed": [5, 6, 7, 8]}
    with pytest.raises(KeyboardInterrupt):
        sweep(stop_at(3, calls), cases, file, jobs=1)
    assert [row["case"]["seed"] for row in lines(file)] == [5, 6]
    rows = sweep(stop_at(0, calls), cases, file, jobs=1)
    assert calls == [5, 6, 7, 7, 8] and [row.result for row in rows] == [25, 36, 49, 64]
    wider = sweep(stop_at(0, calls), {"seed": [8, 9, 5]}, file, jobs=1)
    assert calls[5:] == [9] and [row.result for row in wider] == [64, 81, 25]
    assert len(lines(file)) == 5  # the others stay


def test_what_a_lost_process_had_done_is_kept(file):
    code = f"""
import os
from initcore.sweeps import sweep
sweep(lambda seed: seed if seed < 2 else os._exit(1), {{"seed": range(4)}}, {str(file)!r}, jobs=1)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1
    assert [row["result"] for row in lines(file)] == [0, 1]


def test_a_line_that_was_cut_off_anywhere_is_written_again(file):
    calls, cases = [], {"seed": [1, 2, 3]}
    sweep(stop_at(0, calls), cases, file, jobs=1)
    *first, last = file.read_bytes().splitlines(keepends=True)
    for end in range(len(last)):
        file.write_bytes(b"".join(first) + last[:end])
        rows = sweep(stop_at(0, calls), cases, file, jobs=1)
        assert [row.result for row in rows] == [1, 4, 9] and len(lines(file)) == 3
    assert calls == [1, 2, 3] + [3] * len(last)


def test_failed_cases_are_named_and_the_others_run(file):
    def function(seed, name):
        if seed % 2:
            raise ValueError("odd\nand bad")
        return sys.exit(name) if seed == 8 else {seed: (name, np.float32(0.1))}

    cases = [{"seed": seed, "name": "σ"} for seed in range(9)]
    with pytest.raises(RuntimeError) as error:
        sweep(function, cases, file, jobs=1)
    message = str(error.value).splitlines()
    assert message[0] == "5 of the cases failed"
    assert message[1] == '{"name": "σ", "seed": 1}: ValueError: odd and bad'
    assert message[5] == '{"name": "σ", "seed": 8}: SystemExit: σ' and len(message) == 6
    assert "in function" in error.value.__notes__[0]
    assert [row["result"] for row in lines(file)] == [
        {str(seed): ["σ", float(np.float32(0.1))]} for seed in (0, 2, 4, 6)
    ]


def test_of_many_failed_cases_a_few_are_named(file):
    for count, more in ((5, []), (6, ["and 1 more"])):
        with pytest.raises(RuntimeError) as error:
            sweep(lambda seed: open, {"seed": range(count)}, file, jobs=1)
        first, *named = str(error.value).splitlines()
        assert first == f"{count} of the cases failed" and named[5:] == more
        assert [line.partition(": Type")[0] for line in named[:5]] == [
            f'{{"seed": {seed}}}' for seed in range(5)
        ]
    assert lines(file) == []


def test_without_joblib_the_cases_run_one_after_the_other(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    calls = []
    assert sweep(stop_at(0, calls), {"seed": [2, 1]}, file)[0].result == 4 and calls == [2, 1]


def test_a_case_is_known_by_what_json_holds(file):
    calls = []

    def function(**case):
        calls.append(case)

    same = [{"a": (1, 2), "b": {9: 1, 10: 2}}, {"b": {"10": 2, "9": 1}, "a": np.array([1, 2])}]
    for case in same:
        sweep(function, [case], file, jobs=1)
    assert len(calls) == 1 and calls[0]["a"] == (1, 2)  # the function gets the case as it was given
    other = [{"a": a} for a in (1, 1.5, "1", None, np.float64("nan"))]
    sweep(function, other, file, jobs=1)
    assert len(lines(file)) == 6


def test_the_bar_counts_what_is_there_and_is_closed(file, monkeypatch):
    bar = mock.Mock()
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=bar))
    monkeypatch.setattr(training, "_is_watched", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        sweep(stop_at(3, []), {"seed": range(5)}, file, jobs=1)
    assert bar.return_value.update.call_count == 2 and bar.return_value.close.call_count == 1
    sweep(stop_at(0, []), {"seed": range(5)}, file, jobs=1)
    told = bar.call_args.kwargs
    assert (told["total"], told["initial"], told["desc"], told["unit"]) == (5, 2, "sweep", "case")
    assert bar.return_value.update.call_count == 5 and bar.return_value.close.call_count == 2


def test_the_bars_of_workers_are_not_shown(monkeypatch):
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("multiprocessing.parent_process", lambda: None)
    assert training._is_watched()
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    assert not training._is_watched()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"function": 3}, TypeError, "`function` must be callable. Received: function=3"),
        ({"cases": 3}, TypeError, "`cases` must be a mapping or an iterable of mappings"),
        ({"cases": {"seed": 3}}, TypeError, r"`cases\['seed'\]` must be an iterable of values"),
        ({"cases": [{"seed": 1}, 2]}, TypeError, r"`cases\[1\]` must be a mapping with names"),
        ({"cases": [{1: 1}]}, TypeError, r"`cases\[0\]` must be a mapping with names"),
        ({"cases": [{"seed": open}]}, TypeError, r"`cases\[0\]` must be of what JSON can hold"),
        ({"cases": {"seed": [1, 1]}}, ValueError, r"`cases\[1\]` must be there only once"),
        ({"file": 3}, TypeError, "`file` must be the name of a file"),
        ({"jobs": 0}, ValueError, "`jobs` must be -1 or a positive integer"),
        ({"jobs": -2}, ValueError, "`jobs` must be an integer at least -1"),
        ({"jobs": 1.5}, TypeError, "`jobs` must be an integer at least -1"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_run(file, change, error, words):
    calls = []
    arguments = {"function": stop_at(0, calls), "cases": {"seed": [1]}, "file": file, "jobs": 1}
    with pytest.raises(error, match=words):
        sweep(**arguments | change)
    assert not calls and not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "{\n",
        "[]\n",
        '{"case": {}}\n',
        '{"case": 3, "result": 1}\n',
        "1\n",
        "a diary",
        '{"cases": 1}',
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(file, text):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"Line 1 of .*results.jsonl is no result of a sweep"):
        sweep(functools.partial(int, 3), [{}], file, jobs=1)
    assert file.read_text(encoding="utf-8") == text
