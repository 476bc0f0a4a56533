"""The course's experiments: one named function a claim, numbers over seeds out (floor 6).

Notebooks, tests and explorers share these functions, so that a figure, a printed number and a
test look at the same thing. A function here runs networks and returns arrays or tables; it draws
no figure and computes no theory. The modules inside are by subject; none imports another, but for
``_common`` and ``digits``, which trains classifiers for all.
"""

from initcore.experiments.digits import DigitsRun, fit_on_digits, split_digits, train_on_digits
from initcore.experiments.propagation import Run, normal_network, one_layer_gain, propagate
from initcore.experiments.scale import (
    Scales,
    Start,
    accuracy_over_scales,
    classifier_at_start,
    curvature_over_scales,
    first_losses,
    largest_curvature,
    unit_factors,
)

__all__ = [
    "DigitsRun",
    "Run",
    "Scales",
    "Start",
    "accuracy_over_scales",
    "first_losses",
    "fit_on_digits",
    "largest_curvature",
    "normal_network",
    "one_layer_gain",
    "propagate",
    "split_digits",
    "train_on_digits",
    "unit_factors",
]
