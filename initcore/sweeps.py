"""`sweep`, which runs a function for many cases, on all cores or on a cluster (level 6).

A sweep over rates, widths and seeds outgrows a notebook. Each result is written into a file as soon
as it is there, so that an interruption costs only the cases that were running.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, training


class Row(NamedTuple):
    """A case, what the function returned for it, and how many seconds that took."""

    case: dict[str, Any]
    result: Any
    seconds: float


def sweep(
    function: Callable[..., Any],
    cases: Mapping[str, Iterable] | Iterable[Mapping[str, Any]],
    file: str | Path,
    *,
    jobs: int = -1,
) -> list[Row]:
    """Call ``function(**case)`` for each case that a file does not hold yet, and return all rows.

    A case is all that the function depends on, its seed included: then the results are the same on
    every number of cores and in every order. The file has a line of JSON for each case, which is
    written when the case is done. After an interruption the same call goes on where it was; rows of
    other cases stay in the file. After a change of the function take another file.

    With joblib the cases run on all cores of this machine, or on the Dask cluster of a client::

        client = distributed.Client("address-of-the-scheduler:8786")
        with joblib.parallel_config(backend="dask"):
            rows = sweep(train, {"rate": [0.01, 0.1], "seed": range(8)}, "rates.jsonl")

    A cluster runs a case whose worker was lost again on another one. Of a case that no worker
    survives, for want of memory say, joblib does not hear: the sweep waits for it until it is
    stopped, and has everything else in the file. On this machine a lost worker ends the sweep with
    joblib's error, and the same call goes on. Without joblib the cases run one after the other. A
    sweep of over two seconds shows a progress bar where `fit` would.

    Parameters
    ----------
    function : callable
        Returns what JSON can hold, or NumPy's numbers and arrays, which become numbers and lists.
        Other processes import it; one that was written in a notebook is copied to them.
    cases : mapping of str to iterable, or iterable of mappings
        A grid, of which all combinations are run, the last name varying fastest; or the cases one
        by one, each a mapping of the function's arguments to what JSON can hold.
    file : str or Path
        Of one function, and for one sweep at a time. It is made if it is not there.
    jobs : int
        How many cases run at once; -1 is one for each core.

    Returns
    -------
    list of Row
        In the order of the cases, as the file has them.

    Raises
    ------
    ValueError, TypeError
        An argument is wrong, a case is there twice, or a line of the file is no result.
    RuntimeError
        The function failed in some cases, which are named. The others are in the file.

    Examples
    --------
    >>> import tempfile
    >>> def power(base, exponent):
    ...     return base**exponent
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = sweep(power, {"base": [2, 3], "exponent": [1, 2]}, folder + "/powers", jobs=1)
    >>> rows[1].case, rows[1].result
    ({'base': 2, 'exponent': 2}, 4)
    """
    _checks.instance("function", function, Callable, "callable")
    wanted = _by_key(cases)
    _checks.instance("file", file, (str, Path), "the name of a file")
    if _checks.integer("jobs", jobs, at_least=-1) == 0:
        _checks.fail("jobs", "-1 or a positive integer", jobs)
    path = Path(file)
    rows, failed = _read(path), {}
    new = {key: case for key, case in wanted.items() if key not in rows}
    bar = training._progress_bar(len(wanted), "sweep", "case", initial=len(wanted) - len(new))
    try:
        outcomes = contextlib.closing(_outcomes(function, new, jobs))
        with path.open("a", encoding="utf-8") as lines, outcomes as done:
            for key, line, error in done:
                if error:
                    failed[key] = error
                else:
                    lines.write(line + "\n")
                    lines.flush()
                    rows[key] = Row(**json.loads(line))
                bar.update()
    finally:
        bar.close()
    if failed:
        told = [f"{key}: {error.partition(chr(10))[0]}" for key, error in failed.items()]
        more = [f"and {len(told) - 5} more"] if len(told) > 5 else []
        said = RuntimeError("\n".join([f"{len(told)} of the cases failed", *told[:5], *more]))
        said.add_note(next(iter(failed.values())))
        raise said
    return [rows[key] for key in wanted]


def _by_key(cases: Any) -> dict[str, dict[str, Any]]:
    """Return the cases, each by its text."""
    if isinstance(cases, Mapping):
        for name, values in cases.items():
            _checks.instance(f"cases[{name!r}]", values, Iterable, "an iterable of values")
        cases = [dict(zip(cases, values)) for values in itertools.product(*cases.values())]
    _checks.instance("cases", cases, Iterable, "a mapping or an iterable of mappings")
    found = {}
    for i, case in enumerate(cases):
        if not isinstance(case, Mapping) or not all(isinstance(name, str) for name in case):
            _checks.fail(f"cases[{i}]", "a mapping with names", case, TypeError)
        try:
            key = _key(case)
        except (TypeError, ValueError):
            _checks.fail(f"cases[{i}]", "of what JSON can hold", case, TypeError)
        if key in found:
            _checks.fail(f"cases[{i}]", "there only once", case)
        found[key] = dict(case)
    return found


def _key(case: Mapping[str, Any]) -> str:
    """Return the text that a case is known by: the same for (1, 2), [1, 2] and an array of them."""
    return json.dumps(json.loads(_text(dict(case))), sort_keys=True, ensure_ascii=False)


def _text(value: Any) -> str:
    """Return JSON, in which NumPy's numbers and arrays stand as Python's."""

    def plain(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic)):
            return value.tolist()
        raise TypeError(f"JSON cannot hold {_checks.show(value)}")

    return json.dumps(value, default=plain)


def _read(path: Path) -> dict[str, Row]:
    """Return the rows of a file by their cases, and cut off a last line that is not whole."""
    if not path.exists():
        return {}
    rows, end = {}, 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n") and b'{"case": '.startswith(line[:9]):  # one of ours
            with path.open("r+b") as whole:
                whole.truncate(end)
            break
        end += len(line)
        try:
            row = Row(**json.loads(line))
            rows[_key(row.case)] = row
        except (TypeError, ValueError):
            raise ValueError(f"Line {number} of {path} is no result of a sweep") from None
    return rows


def _outcomes(function: Callable, cases: Mapping, jobs: int) -> Iterator[tuple[str, str, str]]:
    """Yield the outcomes as they come; closed, it ends those that are under way."""
    try:
        import joblib
    except ImportError:
        yield from (_outcome(function, key, case) for key, case in cases.items())
        return
    run = joblib.delayed(_outcome)
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    outcomes = parallel(run(function, key, case) for key, case in cases.items())
    try:
        yield from (outcome for outcome in outcomes)
    finally:
        with warnings.catch_warnings(action="ignore"):  # that not all was done
            outcomes.close()


def _outcome(function: Callable, key: str, case: Mapping) -> tuple[str, str, str]:
    """Return the text of a case, its line in the file, and its error in a line, with traceback.

    One of the two is empty.
    """
    began = time.perf_counter()
    try:
        result = function(**case)
        seconds = round(time.perf_counter() - began, 3)
        return key, _text(Row(case, result, seconds)._asdict()), ""
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the other cases go on
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return key, "", f"{said}\n{traceback.format_exc()}"
