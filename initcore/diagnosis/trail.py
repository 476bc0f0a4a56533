"""What is known of a tensor while a model of PyTorch runs: see `of_torch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore.diagnosis.look import Layer


@dataclass(eq=False)
class Trail:
    """What is known of a tensor, and of others that hold the same numbers."""

    past: int = 0  # the inputs and calls that it was computed from, a bit for each
    sums: tuple[Call, ...] = ()  # whose sums it is, but for an activation and the shape
    phi: str | None = "linear"  # what they went through since; None: something without a name
    depth: int = 0  # layers with weights on the longest way here
    is_joint: bool = False  # sums of several layers were added or joined
    is_mixed: bool = False  # an attention mixed it: the next layer is its last one


@dataclass(eq=False)
class Call:
    """One call of one layer, with what completes its row after the passes."""

    layer: Layer
    parameters: tuple[Any, Any]  # weight and bias; γ and β of a normalisation
    first: str  # what the weight's first axis is; "" of a normalisation
    groups: int
    stride: int
    array: Callable  # of what came in or went out -> (inputs, ..., units)
    sample: np.ndarray
    size: int
    came: Trail  # of what came in
    values: np.ndarray | None = None  # the sums, if they are to be kept
    parts: int = 0  # how many of query, key and value it made
    is_open: bool = True  # what its sums go through is not known yet
