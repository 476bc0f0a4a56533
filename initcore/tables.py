"""The aligned, rounded tables that notebooks print (floor 0).

A table is columns of equal length. What it prints is small and stable: four significant
digits unless told otherwise, no ``-0``, no address, the same text under every NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from initcore import _checks

Format = str | Callable[[Any], str]


def fmt(value: Any, spec: str = ".4g") -> str:
    """Return one value as text, rounded; never ``-0``.

    Parameters
    ----------
    value : float, int, bool or str
        Strings, bools and integers are shown as they are.
    spec : str
        A format specification for floats.

    Examples
    --------
    >>> fmt(0.0706812), fmt(-1e-9, ".3f"), fmt(3), fmt(2.35e-6, ".2e")
    ('0.07068', '0.000', '3', '2.35e-06')
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (str, int, np.integer)):
        return str(value)
    text = format(float(value), spec)
    is_zero = text.startswith("-") and not any(digit in text for digit in "123456789")
    return text[1:] if is_zero and "inf" not in text and "nan" not in text else text


def spread(values: Any, spec: str = ".3g", axis: int = -1) -> np.ndarray:
    """Return ``median [5%, 95%]`` over one axis (the seeds) as an array of strings.

    Parameters
    ----------
    values : array_like
        Numbers; `axis` is the axis of the seeds.
    spec : str
        Format of each of the three numbers.
    axis : int
        The axis that is summarised; the last by default.

    Returns
    -------
    ndarray of str
        The shape of `values` without `axis`.

    Examples
    --------
    >>> print(spread([1.0, 2.0, 3.0, 4.0, 5.0]))
    3 [1.2, 4.8]
    """
    values = _checks.array("values", values, finite=False)
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=axis)
    shape = np.shape(middle)
    rows = zip(np.ravel(low), np.ravel(middle), np.ravel(high))
    texts = [f"{fmt(m, spec)} [{fmt(a, spec)}, {fmt(b, spec)}]" for a, m, b in rows]
    return np.array(texts, dtype=object).reshape(shape)


class Table:
    """Named columns of equal length that print aligned and rounded.

    Parameters
    ----------
    columns : mapping of str to array_like
        One-dimensional columns, all of one length; a scalar is repeated.
    title : str, optional
        A line above the table.
    formats : mapping of str to (str or callable), optional
        How to print a column: a format specification such as ``".2e"``, or a function of one
        value. Floats are otherwise printed with four significant digits.

    Raises
    ------
    ValueError
        No column, columns of different lengths, a column that is not one-dimensional, or a
        format for a column that does not exist.

    Examples
    --------
    >>> table = Table({"layer": [1, 2], "std": [0.0975, 0.00683]}, title="tanh")
    >>> print(table)
    tanh
    layer      std
        1   0.0975
        2  0.00683
    >>> float(table["std"].sum().round(4))
    0.1043
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        *,
        title: str | None = None,
        formats: Mapping[str, Format] | None = None,
    ) -> None:
        if not columns:
            _checks.fail("columns", "a mapping with at least one column", columns)
        arrays = {str(name): np.asarray(column) for name, column in columns.items()}
        lengths = {name: len(column) for name, column in arrays.items() if column.ndim == 1}
        if any(column.ndim > 1 for column in arrays.values()):
            wrong = {name: column.shape for name, column in arrays.items() if column.ndim > 1}
            _checks.fail("columns", "one-dimensional columns", wrong)
        if len(set(lengths.values())) > 1:
            _checks.fail("columns", "columns of one length", lengths)
        rows = next(iter(lengths.values()), 1)
        self._columns = {
            name: column if column.ndim else np.full(rows, column)
            for name, column in arrays.items()
        }
        self.title = title
        self._formats = dict(formats or {})
        for name in self._formats:
            _checks.choice("formats", name, list(self._columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[_checks.choice("column", name, self.columns)]

    def select(self, *names: str) -> Table:
        """Return the table of these columns only, in this order."""
        formats = {name: spec for name, spec in self._formats.items() if name in names}
        return Table({name: self[name] for name in names}, title=self.title, formats=formats)

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return the unrounded columns as a new dict of new arrays."""
        return {name: column.copy() for name, column in self._columns.items()}

    def _cells(self, name: str) -> list[str]:
        how = self._formats.get(name, ".4g")
        column = self._columns[name].tolist()
        return [how(value) if callable(how) else fmt(value, how) for value in column]

    def __str__(self) -> str:
        lines: list[list[str]] = [[] for _ in range(len(self) + 1)]
        for name, column in self._columns.items():
            cells = [name, *self._cells(name)]
            width = max(map(len, cells))
            is_text = column.dtype.kind in "OUS"
            for line, cell in zip(lines, cells):
                line.append(cell.ljust(width) if is_text else cell.rjust(width))
        body = ["  ".join(line).rstrip() for line in lines]
        return "\n".join([self.title, *body] if self.title else body)

    __repr__ = __str__


def decide(claim: str, verdict: str, checks: Mapping[str, Any]) -> None:
    """Print a claim's verdict with the checks it rests on; raise if one of them fails.

    The cell that calls this is the *deciding cell* of the claim: a test holds that every claim
    of ``claims.yml`` has one, with the same verdict, and the website links to it.

    Parameters
    ----------
    claim : str
        The claim's id in ``claims.yml``.
    verdict : {"true", "imprecise", "wrong"}
        What the checks show.
    checks : mapping of str to bool
        A sentence that states what was checked, and whether it holds.

    Raises
    ------
    AssertionError
        A check does not hold; the message lists those that failed.
    ValueError, TypeError
        No check, an unknown verdict, or a check that is not a single bool.

    Examples
    --------
    >>> decide("V4", "wrong", {"n Var(w) = 1 keeps the variance": True})
    Claim V4 is wrong as it is usually told:
      holds: n Var(w) = 1 keeps the variance
    """
    _checks.choice("verdict", verdict, VERDICTS)
    if not checks:
        _checks.fail("checks", "a mapping with at least one check", checks)
    failed = [
        text for text, holds in checks.items() if not _checks.flag(f"checks[{text!r}]", holds)
    ]
    if failed:
        raise AssertionError(f"Claim {claim} is no longer {verdict}: " + "; ".join(failed))
    lines: Sequence[str] = [f"  holds: {text}" for text in checks]
    print(f"Claim {claim} is {VERDICT_PHRASE[verdict]}:", *lines, sep="\n")


VERDICTS = ("true", "imprecise", "wrong")
VERDICT_PHRASE = {
    "true": "true",
    "imprecise": "imprecise as it is usually told",
    "wrong": "wrong as it is usually told",
}
