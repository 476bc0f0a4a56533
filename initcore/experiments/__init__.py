"""The course's experiments: one named function a claim, numbers over seeds out (floor 6).

Notebooks, tests and explorers share these functions, so that a figure, a printed number and a
test look at the same thing. A function here runs networks and returns arrays or tables; it draws
no figure and computes no theory. The modules inside are by subject; none imports another, but for
``_common`` and ``digits``, which trains classifiers for all.
"""

from initcore.experiments.assumptions import (
    BROKEN,
    broken_assumptions,
    input_layer_on,
    prediction_ratio,
)
from initcore.experiments.digits import DigitsRun, split_digits, train_on_digits
from initcore.experiments.propagation import Run, normal_network, one_layer_gain, propagate

__all__ = [
    "BROKEN",
    "DigitsRun",
    "Run",
    "broken_assumptions",
    "input_layer_on",
    "normal_network",
    "one_layer_gain",
    "prediction_ratio",
    "propagate",
    "split_digits",
    "train_on_digits",
]
