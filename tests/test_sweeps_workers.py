"""`sweeps` in several processes: on this machine's cores and on a cluster, killed and interrupted.

Apart from test_sweeps.py, as `make mutants` cannot change what other processes import.
"""

import os
import signal
import time
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from test_sweeps import GRID, lines, loss

from initcore import training
from initcore.sweeps import sweep


def killed_once(seed, folder):
    """Kill the process that runs case 3, when two results are there; note who runs what."""
    with Path(folder, f"runs-{seed}").open("a", encoding="utf-8") as runs:
        runs.write(f"{os.getpid()}\n")
    time.sleep(0.1)
    if seed == 3 and len(Path(folder, "runs-3").read_text().split()) == 1:
        while Path(folder, "results.jsonl").read_text().count("\n") < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return np.random.default_rng(seed).normal()


def noted(seed, folder):
    Path(folder, str(seed)).touch()
    time.sleep(0.1)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.jsonl"


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two worker processes; the import is none of the workers' business."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(n_workers=2, **options) as made, Client(made):
        yield made


def test_the_cores_and_a_cluster_give_the_same_numbers(cluster, tmp_path):
    alone = sweep(loss, GRID, tmp_path / "alone", jobs=1)
    cores = sweep(loss, GRID, tmp_path / "cores", jobs=2)
    with joblib.parallel_config(backend="dask"):
        far = sweep(loss, GRID, tmp_path / "far")
    results = [[(row.case, row.result) for row in rows] for rows in (alone, cores, far)]
    assert results[0] == results[1] == results[2]


def test_a_killed_worker_of_a_cluster_loses_nothing(cluster, file):
    cases = [{"seed": seed, "folder": str(file.parent)} for seed in range(8)]
    with joblib.parallel_config(backend="dask"):
        rows = sweep(killed_once, cases, file)
    assert [row.result for row in rows] == [np.random.default_rng(s).normal() for s in range(8)]
    assert len(lines(file)) == 8
    runs = [Path(file.parent, f"runs-{seed}").read_text().split() for seed in range(8)]
    first, second = runs[3]
    assert first != second and str(os.getpid()) not in sum(runs, [])
    assert len({pid for pids in runs for pid in pids}) >= 2  # several workers


def test_after_a_killed_worker_of_this_machine_the_call_goes_on(file):
    cases = [{"seed": seed, "folder": str(file.parent)} for seed in range(4)]
    with pytest.raises(TerminatedWorkerError):
        sweep(killed_once, cases, file, jobs=2)
    kept = lines(file)
    assert len(kept) >= 2 and 3 not in {row["case"]["seed"] for row in kept}
    rows = sweep(killed_once, cases, file, jobs=2)
    assert [row.result for row in rows] == [np.random.default_rng(s).normal() for s in range(4)]
    assert lines(file)[: len(kept)] == kept
    for row in kept:
        assert len(Path(file.parent, f"runs-{row['case']['seed']}").read_text().split()) == 1


def test_an_interruption_ends_the_workers_work_too(file, monkeypatch):
    bar = mock.Mock(**{"update.side_effect": [None, KeyboardInterrupt]})
    monkeypatch.setattr(training, "_progress_bar", lambda *_, **__: bar)
    cases = [{"seed": seed, "folder": str(file.parent)} for seed in range(40)]
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep(noted, cases, file, jobs=2)
    started = len([*file.parent.iterdir()])
    time.sleep(1)
    assert len([*file.parent.iterdir()]) == started < 30, caught  # which holds its frames
