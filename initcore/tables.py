"""The aligned, rounded tables that notebooks print: the same text under every NumPy (level 0)."""

from __future__ import annotations

import operator
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from initcore import _checks


def fmt(value: Any, spec: str = ".4g") -> str:
    """Return a value as text: a float rounded by `spec` and never ``-0``, a bool as yes or no.

    Examples
    --------
    >>> fmt(0.0706812), fmt(-1e-9, ".3f"), fmt(3), fmt(2.35e-6, ".2e")
    ('0.07068', '0.000', '3', '2.35e-06')
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (str, int, np.integer)):
        return str(value)
    return format(float(value), f"z{spec}")  # z: no minus before a zero


def quantiles(values: Any) -> np.ndarray:
    """Return the 5%, 50% and 95% quantiles over the last axis (the seeds), shape ``(3, ...)``.

    Examples
    --------
    >>> quantiles([1.0, 2.0, 3.0]).round(2).tolist()
    [1.1, 2.0, 2.9]
    """
    return np.quantile(_checks.array("values", values, finite=False), [0.05, 0.5, 0.95], axis=-1)


def spread(values: Any, spec: str = ".3g") -> np.ndarray:
    """Return ``median [5%, 95%]`` over the last axis (the seeds) as an array of strings.

    Examples
    --------
    >>> print(spread([1.0, 2.0, 3.0, 4.0, 5.0]))
    3 [1.2, 4.8]
    """
    ends = quantiles(values)
    rows = np.reshape(ends, (3, -1)).T
    texts = [f"{fmt(m, spec)} [{fmt(a, spec)}, {fmt(b, spec)}]" for a, m, b in rows]
    return np.array(texts, dtype=object).reshape(ends.shape[1:])


class Table:
    """Named columns, at least one and of equal length, that print aligned and rounded.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (rows,) or (rows, replicas)
        A column with replicas is printed as their `spread`; a scalar is repeated.
    title : str, optional
        A line above the table.
    formats : str, or mapping of str to str, optional
        How to print a column, such as ``".2e"``; one specification alone is that of all columns.
        Floats are otherwise printed with four significant digits, medians and bands with three.

    Examples
    --------
    >>> table = Table({"layer": [1, 2], "std": [0.0975, 0.00683]}, title="tanh")
    >>> print(table)
    tanh
    layer      std
        1   0.0975
        2  0.00683
    >>> print(Table({"layer": [1], "std": [[0.09, 0.1, 0.12]]}))
    layer  std
        1  0.1 [0.091, 0.118]
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        *,
        title: str | None = None,
        formats: str | Mapping[str, str] | None = None,
    ) -> None:
        _checks.mapping("columns", columns, "column")
        arrays = {str(name): np.asarray(column) for name, column in columns.items()}
        lengths = {name: len(column) for name, column in arrays.items() if column.ndim}
        if wrong := {name: column.shape for name, column in arrays.items() if column.ndim > 2}:
            _checks.fail("columns", "columns of shape (rows,) or (rows, replicas)", wrong)
        if len(set(lengths.values())) > 1:
            _checks.fail("columns", "columns of one length", lengths)
        rows = next(iter(lengths.values()), 1)
        self._columns = {
            name: column if column.ndim else np.full(rows, column)
            for name, column in arrays.items()
        }
        self.title = title
        if isinstance(formats, str):
            formats = dict.fromkeys(self._columns, formats)
        self._formats = dict(formats or {})
        for name in self._formats:
            _checks.choice("formats", name, self.columns)

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

    def blocks(self) -> list[Table]:
        """Return tables that fit on the page: of all columns, each beside the first one.

        Examples
        --------
        >>> wide = Table({name: ["." * 30] for name in ("layer", "first", "second")})
        >>> [block.columns for block in wide.blocks()]
        [('layer', 'first'), ('layer', 'second')]
        """
        first, *others = self.columns
        blocks = [[first]]
        for name in others:
            if max(map(len, str(self.select(*blocks[-1], name)).splitlines())) > PAGE:
                blocks.append([first])
            blocks[-1].append(name)
        return [self.select(*block) for block in blocks]

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return the unrounded columns as a new dict of new arrays."""
        return {name: column.copy() for name, column in self._columns.items()}

    def _cells(self, name: str) -> list[str]:
        column = self._columns[name]
        if column.ndim == 2:
            return spread(column, self._formats.get(name, ".3g")).tolist()
        return [fmt(value, self._formats.get(name, ".4g")) for value in column.tolist()]

    def __str__(self) -> str:
        lines: list[list[str]] = [[] for _ in range(len(self) + 1)]
        for name, column in self._columns.items():
            cells = [name, *self._cells(name)]
            width = max(map(len, cells))
            is_text = column.ndim == 2 or column.dtype.kind in "OUS"
            for line, cell in zip(lines, cells):
                line.append(cell.ljust(width) if is_text else cell.rjust(width))
        body = ["  ".join(line).rstrip() for line in lines]
        return "\n".join([self.title, *body] if self.title else body)

    __repr__ = __str__


def decide(claim: str, verdict: str, statement: str, checks: Mapping[str, Any]) -> None:
    """Print a claim as people tell it, the verdict, and the checks that the verdict rests on.

    Parameters
    ----------
    claim, statement : str
        The claim's id in ``claims.yml``, and the claim as it is usually told.
    verdict : {"true", "imprecise", "wrong"}
        What the checks show.
    checks : mapping of str to (value, relation, bound), (value, relation, bound, spec) or bool
        What was measured, and what it has to be: `relation` is one of ``< <= > >= == in``, the
        bound of ``in`` a pair (low, high), and `spec` the format of the value, ``".2g"``
        otherwise. A bool stands where not one digit of the value is stable.

    Raises
    ------
    AssertionError
        A check does not hold; the message lists those that failed.

    Examples
    --------
    >>> decide("V4", "wrong", "The variance of a weight must be about 1.",
    ...        {"n Var(w) that keeps the variance, n = 400": (1.003, "in", (0.9, 1.1), ".3g")})
    Claim V4: "The variance of a weight must be about 1."
    Verdict: wrong
      n Var(w) that keeps the variance, n = 400: 1 in [0.9, 1.1]
    """
    _checks.choice("verdict", verdict, VERDICTS)
    if not isinstance(statement, str) or not statement.strip():
        _checks.fail("statement", "the claim as it is usually told", statement)
    _checks.mapping("checks", checks, "check")
    results = {text: _check(f"checks[{text!r}]", check) for text, check in checks.items()}
    failed = [f"{text}: {shown}" for text, (holds, shown) in results.items() if not holds]
    if failed:
        raise AssertionError(f"Claim {claim} is no longer {verdict}: " + "; ".join(failed))
    statement = " ".join(statement.split())
    lines = [f'Claim {claim}: "{statement}"', f"Verdict: {verdict}"]
    lines += [f"  {text}: {shown}" for text, (_, shown) in results.items()]
    for line in lines:
        print(textwrap.fill(line, PAGE, subsequent_indent="    "))


def _check(name: str, check: Any) -> tuple[bool, str]:
    """Return whether one check holds, and how it is printed."""
    if not isinstance(check, tuple):
        holds = _checks.flag(name, check)
        return holds, fmt(holds)
    if not 3 <= len(check) <= 4:
        _checks.fail(name, "(value, relation, bound) or (value, relation, bound, spec)", check)
    value, relation, bound, spec = check if len(check) == 4 else (*check, ".2g")
    _checks.choice(f"{name}[1]", relation, ("in", *RELATIONS))
    number = _checks.number(f"{name}[0]", value)
    shown = fmt(value if isinstance(value, (int, np.integer)) else number, spec)
    if relation == "in":
        if not isinstance(bound, tuple) or len(bound) != 2:
            _checks.fail(f"{name}[2]", "a pair (low, high)", bound)
        low, high = (_checks.number(f"{name}[2]", end) for end in bound)
        return low <= number <= high, f"{shown} in [{fmt(low)}, {fmt(high)}]"
    bound = _checks.number(f"{name}[2]", bound)
    return RELATIONS[relation](number, bound), f"{shown} {relation} {fmt(bound)}"


PAGE = 78
"""Characters that fit on a line of the page, on a screen of 1280 pixels."""
RELATIONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
VERDICTS = ("true", "imprecise", "wrong")
