"""Functions of one variable from a text such as ``"z * tanh(softplus(z))"`` (level 1).

The text is parsed by `ast`, and no part of it runs as Python: each node is looked up in a table
and becomes a NumPy function, or is refused.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from initcore import _checks

Function = Callable[..., Any]
Kinks = tuple[float, ...]

LONGEST, DEEPEST = 200, 30  # characters, and operations in operations: what a person still reads
GRID = np.linspace(-50.0, 50.0, 10_001)  # where it must be finite, and bends are looked for
MOST_BENDS = 40
OPERATIONS = {
    **{ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide},
    **{ast.Pow: np.power, ast.USub: np.negative, ast.UAdd: np.positive},
}
COMPARISONS = {ast.Lt: np.less, ast.LtE: np.less_equal}
COMPARISONS |= {ast.Gt: np.greater, ast.GtE: np.greater_equal}


class Expression:
    """A formula of ``z``: called with a float array, it returns one of that shape and dtype.

    `functions` has those of one number that may be named, each with the places where it bends;
    `kinks` is where these, ``max``, ``min`` and ``where`` change their branch.
    """

    def __init__(self, text: str, functions: Mapping[str, tuple[Function, Kinks]]) -> None:
        _checks.instance("text", text, str, "a formula of z")
        if len(text) > LONGEST:
            _checks.fail("text", f"a formula of at most {LONGEST} characters", text)
        self._text = text
        self._known = {(name, 1): about for name, about in functions.items()}
        self._known |= {("max", 2): (np.maximum, (0.0,)), ("min", 2): (np.minimum, (0.0,))}
        self._switches: list[Function] = []  # each changes its sign where the formula bends
        try:
            with warnings.catch_warnings():  # about what is refused below
                warnings.simplefilter("ignore")
                tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            self._refuse("it cannot be read")
        self._function = self._of(tree.body, DEEPEST)
        if not np.isfinite(self(GRID)).all():
            self._refuse("it is not finite everywhere from -50 to 50")
        self.kinks = self._bends()

    def __call__(self, z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # 1 / (1 + exp(-z)) is right where it overflows
            return np.broadcast_to(self._function(z), z.shape).astype(z.dtype)

    def _refuse(self, why: str) -> NoReturn:
        names = ", ".join(sorted(name for name, _ in self._known))
        allowed = f"numbers, + - * / **, where(z > 0, a, b), {names}"
        _checks.fail("text", f"a formula of z, and {why} (allowed: {allowed})", self._text)

    def _of(self, node: ast.AST, depth: int) -> Function:
        """Return the function that a node stands for."""
        if depth == 0:
            self._refuse(f"it nests more than {DEEPEST} operations")
        if isinstance(node, ast.Name) and node.id == "z":
            return lambda z: z
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            number = np.float64(node.value)
            return lambda z: number
        apply, bends, nodes = self._operation(node)
        parts = [self._of(part, depth - 1) for part in nodes]
        switch = np.subtract if len(parts) > 1 else np.positive
        for bend in bends:
            self._switches.append(lambda z, bend=bend: switch(*[p(z) for p in parts[:2]]) - bend)
        return lambda z: apply(*[part(z) for part in parts])

    def _operation(self, node: ast.AST) -> tuple[Function, Kinks, list[ast.AST]]:
        """Return what a node does, where that bends, and the parts that it is done to."""
        match node:
            case ast.UnaryOp(op=sign, operand=part) if type(sign) in OPERATIONS:
                return OPERATIONS[type(sign)], (), [part]
            case ast.BinOp(op=sign) if type(sign) in OPERATIONS:
                return OPERATIONS[type(sign)], (), [node.left, node.right]
            case ast.Call(
                func=ast.Name(id="where"),
                args=[ast.Compare(left=left, ops=[sign], comparators=[right]), yes, no],
                keywords=[],
            ) if type(sign) in COMPARISONS:
                is_so = COMPARISONS[type(sign)]
                nodes = [left, right, yes, no]
                return lambda a, b, *two: np.where(is_so(a, b), *two), (0.0,), nodes
            case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
                if (name, len(parts)) in self._known:
                    return *self._known[name, len(parts)], parts
        self._refuse(f"`{ast.unparse(node)}` is none")

    def _bends(self) -> list[float]:
        """Return where a switch changes its sign, by bisection from the grid."""
        found: set[float] = set()
        with np.errstate(all="ignore"):
            for switch in self._switches:
                positive = np.broadcast_to(switch(GRID), GRID.shape) > 0
                before = np.flatnonzero(positive[1:] != positive[:-1])
                low, high = GRID[before], GRID[before + 1]
                for _ in range(60 if len(before) else 0):  # 0.01 / 2⁶⁰ is below rounding
                    middle = 0.5 * (low + high)
                    same = (switch(middle) > 0) == positive[before]
                    low, high = np.where(same, middle, low), np.where(same, high, middle)
                found |= {float(z) + 0.0 for z in np.round(high, 12)}  # + 0.0: no -0
        if len(found) > MOST_BENDS:
            self._refuse(f"it bends more than {MOST_BENDS} times")
        return sorted(found)
