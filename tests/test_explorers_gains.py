"""Any activation, five starts: SciPy's integrals, exact cases, and the stored medians."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from initcore.explorers import Gains
from initcore.explorers.gains import LAYERS, NAMES, STARTS, both, predicted, scales, signals

DATA = Gains.load()["cases"]
PHI = {
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "tanh": jax.numpy.tanh,
    **{name: getattr(jax.nn, name) for name in ("relu", "elu", "selu", "silu", "sigmoid")},
}


def mean_square(function, q):
    """Return the mean of a function's square over a normal z of mean square q, kinked at 0."""
    z = np.linspace(1e-12, 9, 10_001)
    halves = (np.square(jax.vmap(function)(q**0.5 * half)) for half in (-z, z))
    return integrate.simpson(sum(halves) * stats.norm.pdf(z), x=z)


@pytest.mark.parametrize(("name", "q"), [*zip(NAMES, (1, 1, 1, 4, 16, 1, 64))])
def test_both_keeps_the_signal_and_the_deltas(name, q):
    gain, sigma_b = both(name)
    with jax.enable_x64(True):
        kept = gain**2 * mean_square(PHI[name], q) + sigma_b**2
        assert kept == pytest.approx(q, rel=1e-6)
        assert gain**2 * mean_square(jax.grad(PHI[name]), q) == pytest.approx(1, rel=1e-6)


@pytest.mark.false_alarm(1e-10)
def test_the_signal_is_scaled_and_shifted_as_said():
    """Layer 1 is linear in its input: gain and biases in its mean square, over 2,000 units."""
    z, delta = signals("tanh", 0.5, 2.0)
    assert z.shape == delta.shape == (50, 20) and np.all(delta[-1] == 1)
    # the sum of 2,000 squares of variance 4.25: a standard error of 3%, seven of them
    assert np.square(z[0]).mean() == pytest.approx(0.25 + 4, rel=0.22)


def test_the_theory_of_an_exact_case():
    """ReLU without biases multiplies both mean squares by gain² / 2 a layer."""
    z, delta = predicted("relu", 1.0, 0.0)
    np.testing.assert_allclose(z, 2.0 ** (-np.arange(50) / 2), rtol=1e-9)
    np.testing.assert_allclose(delta, 2.0 ** (-np.arange(49, -1, -1) / 2), rtol=1e-9)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", NAMES)
def test_medians_follow_the_theory(name, start):
    """In the logarithm, to the scatter of 100 units and the lag of a median behind the mean."""
    one = DATA[f"{name} {start}"]
    assert (one["gain"], one["sigma_b"]) == pytest.approx(scales(name, start), rel=0.005)
    theory = predicted(name, *scales(name, start))
    for part, exact in zip(("z", "delta"), theory):
        low, mid, high, stored = (
            np.array(one[part][key]) for key in ("low", "mid", "high", "theory")
        )
        assert len(mid) == len(LAYERS)
        np.testing.assert_allclose(stored, exact[LAYERS - 1], rtol=0.005)
        if name not in ("gelu", "silu") or start == "both":  # elsewhere one draw decides the way
            spread = np.log(high / low) / 2 / 1.645
            assert (np.abs(np.log(mid / stored)) < 0.1 + 2 * spread).all()
