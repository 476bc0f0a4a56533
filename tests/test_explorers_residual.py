"""The residual stream: the stored numbers against the exact mean, and drawn again."""

import numpy as np
import pytest

from initcore.blocks import ResidualMLP
from initcore.explorers import Residual
from initcore.explorers.residual import factor, mean_square, residual_stream

DATA = Residual.load()["cases"]


def test_the_stream_is_that_of_the_network():
    for alpha in (0.5, -1.0):
        options = {"blocks": 2, "normalise": False, "width": 6, "replicas": 3, "seed": 2}
        found = residual_stream(alpha, **options)
        rng = np.random.default_rng(2)
        h_0 = rng.standard_normal((3, 1, 6))
        net = ResidualMLP((6, 6, 1), "relu", blocks=2, branch_scale=alpha, replicas=3)
        net.weights[0][...] = np.eye(6)
        for k in range(2):
            W, W_last = rng.standard_normal((2, 3, 6, 6)) / np.sqrt(6)
            net.weights[1 + 2 * k][...] = np.sqrt(2) * W
            net.weights[2 + 2 * k][...] = W_last
        q = [np.square(h).mean(axis=(1, 2)) for h in net.forward(h_0).activations[0:5:2]]
        np.testing.assert_allclose(found, np.divide(q, q[0]))


@pytest.mark.false_alarm(1e-9)
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("normalise", [False, True])
def test_a_branch_adds_alpha_squared_of_what_it_sees(normalise, alpha):
    """The mean over 4,000 nets: within 6.5 of its own standard errors, below 1e-9."""
    options = {"blocks": 2, "normalise": normalise, "width": 10, "replicas": 4000, "seed": 0}
    found = residual_stream(alpha, **options)
    if normalise:
        # q_0 differs from net to net, and a branch adds α² whatever it is: so q_l is compared
        x = np.random.default_rng(0).standard_normal((4000, 1, 10))
        found = 1 + (found - 1) * np.square(x).mean(axis=(1, 2))
    error = found.std(axis=1)[1:] / np.sqrt(4000)
    gap = found.mean(axis=1) - mean_square(alpha, normalise, 2)
    assert (np.abs(gap[1:]) < 6.5 * error).all() and error.max() < 0.1


def test_the_exact_means():
    assert mean_square(1.0, False, 4).tolist() == [1, 2, 4, 8, 16]
    assert mean_square(1.0, True, 4).tolist() == [1, 2, 3, 4, 5]
    ends = [mean_square(factor("1/sqrt(L)", n), False, n)[-1] for n in (4, 64, 10**6)]
    assert ends == sorted(ends) and 2.4 < ends[0] < ends[2] < np.e < ends[2] + 1e-5
    assert factor("1/L", 4) == 0.25 and factor("0", 4) == 0


@pytest.mark.parametrize("case", list(Residual.cases()), ids=lambda case: " ".join(map(str, case)))
def test_medians_follow_the_exact_mean(case):
    """In the logarithm: a median net falls behind the mean by a part of the spread at most."""
    scale, normalise, blocks = case
    one = DATA[f"{scale} {str(normalise).lower()} {blocks}"]
    one = {name: np.array(values, dtype=float) for name, values in one.items()}
    assert {name: len(values) for name, values in one.items()} == dict.fromkeys(
        ("low", "mid", "high", "theory"), blocks + 1
    )
    exact = mean_square(factor(scale, blocks), normalise, blocks)
    np.testing.assert_allclose(one["theory"], exact, rtol=1e-4)
    if scale == "0":
        assert all((one[name] == 1).all() for name in one)
        return
    spread = np.log(np.divide(one["high"], one["low"])) / 2 / 1.645
    behind = np.log(exact / one["mid"])
    # of a lognormal with this spread the median is behind by half its square; the rest is the
    # error of a median of 50, 1.25 spreads over √50, six times, and two digits of the ends
    assert (np.abs(behind - spread**2 / 2) < 6 * 1.25 * spread / np.sqrt(50) + 0.02).all()
