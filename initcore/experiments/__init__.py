"""The course's experiments: one named function a claim, numbers over seeds out (floor 6).

Notebooks, tests and explorers share these functions, so that a figure, a printed number and a
test look at the same thing. A function here runs networks and returns arrays or tables; it draws
no figure and computes no theory. The modules inside are by subject; none imports another, but for
``_common`` and ``digits``, which trains classifiers for all.
"""

from initcore.experiments.digits import DigitsRun, fit_on_digits, split_digits, train_on_digits
from initcore.experiments.normalisation import (
    DEEP_STARTS,
    DeepRun,
    ScaleRun,
    lsuv,
    normalised_spread,
    one_step,
    scaled_weights,
    train_constant,
    train_deep,
    train_scales,
)
from initcore.experiments.propagation import Run, normal_network, one_layer_gain, propagate
from initcore.experiments.residual import (
    RESIDUAL_STARTS,
    first_steps,
    gpt2_branch,
    product_spectrum,
    residual_net,
    residual_stream,
    train_residual,
)
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
)

__all__ = [
    "DEEP_STARTS",
    "DeepRun",
    "DigitsRun",
    "RESIDUAL_STARTS",
    "Run",
    "ScaleRun",
    "Scales",
    "Start",
    "accuracy_over_scales",
    "first_losses",
    "first_steps",
    "fit_on_digits",
    "gpt2_branch",
    "largest_curvature",
    "lsuv",
    "normal_network",
    "normalised_spread",
    "one_layer_gain",
    "one_step",
    "product_spectrum",
    "propagate",
    "residual_net",
    "residual_stream",
    "scaled_weights",
    "split_digits",
    "train_constant",
    "train_deep",
    "train_on_digits",
    "train_residual",
    "train_scales",
    "unit_factors",
]
