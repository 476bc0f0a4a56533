"""Two rows that stand in for the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from initcore import experiments, tables


@dataclass(frozen=True)
class Paper:
    """One statement of a paper, and what is measured in its place."""

    key: str
    statement: str
    ours: str
    run: Callable[[int], dict[str, float]]
    seeds: int
    judge: Callable[[dict[str, np.ndarray]], tuple[str, str]]


def kept(gain: float, seed: int) -> dict[str, float]:
    case = {"net": ("relu", gain)}
    q = experiments.propagate(case, depth=20, width=100, replicas=1, seed=seed)["net"]["q"]
    return {"first": q[0, 0], "last": q[-1, 0]}


def told(values: dict[str, np.ndarray]) -> tuple[str, str]:
    ratio = values["last"] / values["first"]
    keeps = "reproduced" if 0.3 < np.median(ratio) < 3 else "not"
    return keeps, f"q after 20 layers over q after one: {tables.spread(ratio, '.1e')}."


PAPERS = [
    Paper("glorot2010", "Glorot.", "20 ReLU layers.", partial(kept, 1.0), 20, told),
    Paper("he2015", "He.", "20 ReLU layers.", partial(kept, 2**0.5), 20, told),
]
