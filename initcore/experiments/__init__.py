"""The course's experiments: one named function a claim, numbers over seeds out (floor 6).

Notebooks, tests and explorers share these functions, so that a figure, a printed number and a
test look at the same thing. A function here runs networks and returns arrays or tables; it draws
no figure and computes no theory. The modules inside are by subject; none imports another, but for
``_common`` and ``digits``, which trains classifiers for all.
"""

from initcore.experiments.assumptions import (
    BREAKS,
    BROKEN,
    broken_assumptions,
    broken_net,
    input_layer_on,
    prediction_ratio,
)
from initcore.experiments.compromise import (
    Signals,
    both_ways,
    classifier_signals,
    draw_weights,
    layer_singular_values,
    through_layers,
)
from initcore.experiments.convolutions import convolution_q, convolve
from initcore.experiments.depth import disagreement, epochs_to, kept_share, signals
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
from initcore.experiments.symmetry import (
    Branches,
    NarrowTwin,
    RankRun,
    full_batch_steps,
    narrow_twin,
    rank_over_training,
    two_branches,
)
from initcore.experiments.which_zero import (
    BlockRuns,
    BlockSteps,
    block_steps,
    which_zero_is_fatal,
)

__all__ = [
    "BREAKS",
    "BROKEN",
    "BlockRuns",
    "BlockSteps",
    "Branches",
    "DEEP_STARTS",
    "DeepRun",
    "DigitsRun",
    "NarrowTwin",
    "RESIDUAL_STARTS",
    "RankRun",
    "Run",
    "ScaleRun",
    "Scales",
    "Signals",
    "Start",
    "accuracy_over_scales",
    "block_steps",
    "both_ways",
    "broken_assumptions",
    "broken_net",
    "classifier_at_start",
    "classifier_signals",
    "convolution_q",
    "convolve",
    "curvature_over_scales",
    "disagreement",
    "draw_weights",
    "epochs_to",
    "first_losses",
    "first_steps",
    "fit_on_digits",
    "full_batch_steps",
    "gpt2_branch",
    "input_layer_on",
    "kept_share",
    "largest_curvature",
    "layer_singular_values",
    "lsuv",
    "narrow_twin",
    "normal_network",
    "normalised_spread",
    "one_layer_gain",
    "one_step",
    "prediction_ratio",
    "product_spectrum",
    "propagate",
    "rank_over_training",
    "residual_net",
    "residual_stream",
    "scaled_weights",
    "signals",
    "split_digits",
    "through_layers",
    "train_constant",
    "train_deep",
    "train_on_digits",
    "train_residual",
    "train_scales",
    "two_branches",
    "unit_factors",
    "which_zero_is_fatal",
]
