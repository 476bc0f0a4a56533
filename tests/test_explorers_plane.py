"""The plane of weights and biases: exact cases, JAX's integrals, and the stored medians."""

import jax
import numpy as np
import pytest
from scipy import stats

from initcore.explorers import Plane
from initcore.explorers.plane import COSINE, LAYERS, LEAST, first_layer, predicted, two_inputs

DATA = Plane.load()["cases"]


def test_the_first_layer_of_two_inputs():
    """Weights scale the inputs' own mean square and cosine; a bias is the same for both."""
    assert first_layer(2.0, 0.0) == (2.0, COSINE)
    q, c = first_layer(0.5, 0.5)
    assert (q, c) == (1.0, pytest.approx(0.8))


def test_the_theory_of_relu():
    """The variance is linear, and the cosine follows the formula of Cho and Saul (2009)."""
    q, d = predicted("relu", 4.0, 0.0)
    np.testing.assert_allclose(q, 4.0 * 2.0 ** np.arange(50), rtol=1e-9)
    c = COSINE
    for value in d[:20]:
        assert value == pytest.approx(1 - c, rel=1e-5)
        angle = np.arccos(c)
        c = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi


@pytest.mark.parametrize(
    ("name", "phi"), [("tanh", np.tanh), ("sigmoid", lambda z: np.asarray(jax.nn.sigmoid(z)))]
)
def test_a_step_of_the_theory_on_a_grid(name, phi):
    """The second layer, by a plain sum over two normals in place of the package's quadrature."""
    sigma_w2, sigma_b2 = 2.0, 0.173
    q1, c1 = first_layer(sigma_w2, sigma_b2)
    with jax.enable_x64(True):
        z = np.linspace(-8, 8, 801)
        p = stats.norm.pdf(z)
        p = np.outer(p, p) / np.square(p.sum())
        first, second = np.meshgrid(z, z)
        u = np.sqrt(q1) * first
        v = np.sqrt(q1) * (c1 * first + np.sqrt(1 - c1**2) * second)
        q2 = sigma_w2 * (p * phi(u) ** 2).sum() + sigma_b2
        c2 = (sigma_w2 * (p * phi(u) * phi(v)).sum() + sigma_b2) / q2
    q, d = predicted(name, sigma_w2, sigma_b2)
    assert (q[1], d[1]) == (pytest.approx(q2, rel=1e-5), pytest.approx(1 - c2, rel=1e-5))


def test_small_differences_shrink_by_chi():
    """Far below 1e-5 the map of 1 - c is a factor, in wide layers and in drawn ones alike."""
    q, d = predicted("sigmoid", 1.0, 0.0)
    chi = Plane(activation="sigmoid", sigma_w2=1.0, sigma_b2=0.0).case()["chi"]
    kept = d[10:20]
    np.testing.assert_allclose(kept[1:] / kept[:-1], chi, rtol=1e-3)
    assert d[-1] == LEAST and q[-1] == pytest.approx(0.265, abs=1e-3)


@pytest.mark.false_alarm(1e-10)
def test_the_bias_is_shared_by_both_inputs():
    """Without weights to speak of, the two answers are one, of the variance of the biases."""
    q, apart = two_inputs("tanh", 1e-12, 4.0, width=100)
    assert apart.max() < 1e-10
    # the mean over 20 · 100 squares: a standard error of 3.2%, seven of them
    assert q[0].mean() == pytest.approx(4.0, rel=0.23)


@pytest.mark.parametrize("case", list(Plane.cases()), ids=lambda case: " ".join(map(str, case)))
def test_medians_follow_the_theory(case):
    """In the logarithm, in the first ten layers; later single draws decide where a net goes."""
    one = DATA[" ".join(f"{part:g}" if isinstance(part, float) else part for part in case)]
    lines = predicted(*case)
    for part, exact in zip(("q", "apart"), lines):
        low, mid, high, stored = (
            np.array(one[part][key]) for key in ("low", "mid", "high", "theory")
        )
        np.testing.assert_allclose(stored, exact[LAYERS - 1], rtol=0.01)
        assert len(mid) == len(LAYERS) and (low <= mid * 1.05).all() and (mid <= high * 1.05).all()
        early = LAYERS <= 10
        spread = np.log(high / low) / 2 / 1.645
        assert (np.abs(np.log(mid / stored)) < 0.1 + 1.5 * spread)[early].all()


def test_the_phases_of_known_points():
    """tanh is critical at 1.761 and 0.05, ReLU at 2 without biases, and dies or explodes beside."""
    for point, chi in (("tanh 1.761 0.05", 1.0), ("tanh 1.424 0.01", 1.0), ("relu 2 0", 1.0)):
        assert DATA[point]["chi"] == pytest.approx(chi, abs=1e-3)
    assert DATA["tanh 4 0.05"]["chi"] > 1 > DATA["tanh 1 0.05"]["chi"]
    assert DATA["relu 4 0"]["settled"] is None and DATA["relu 1 0"]["settled"] == 0
    assert DATA["gelu 1.983 0.173"]["settled"] == pytest.approx(3.0, abs=0.1)
