"""What the layers of Keras and Flax draw, against what is known of them, and their normal laws.

``benchmarks/audit.json`` has what is known, for the page on the defaults; PyTorch's are drawn in
``tests/pytorch``. Seeds are fixed. Over fresh ones a layer would fail by chance with a probability
below 1e-10, a comparison of two samples of 200,000 weights with one below 1e-9.
"""

import functools
import inspect
import json
import os
import re

import numpy as np
import pytest
from scipy import stats

os.environ.setdefault("KERAS_BACKEND", "jax")

import flax.linen  # noqa: E402
import flax.nnx  # noqa: E402
import jax  # noqa: E402
import keras  # noqa: E402

from benchmarks import audit  # noqa: E402
from initcore import initializers, sampling  # noqa: E402

pytestmark = pytest.mark.false_alarm(4e-9)

FAN_IN, FAN_OUT = 400, 500
SHAPE = (FAN_IN, FAN_OUT)
ALARM = 1e-9
CUT = sampling.CUT / sampling.TRUNCATED_STD  # 2.27, in actual standard deviations


def p_value(ours, theirs):
    """Return the probability of samples that differ this much, if their distribution is one."""
    return stats.ks_2samp(np.ravel(ours), np.ravel(theirs), method="asymp").pvalue


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["Keras", "Flax"])
def test_each_layer_draws_what_the_page_says(name):
    drifted = [row for row in audit.audit(name)["rows"] if not row["fits"]]
    assert not drifted


def test_the_stored_draws_are_those_that_are_known():
    for name, found in json.loads(audit.RESULTS.read_text("utf-8")).items():
        assert found["version"] and found["date"] and name in audit.FRAMEWORKS
        for row in found["rows"]:
            assert row["fits"] and row["drawn"][0] == row["law"]
            assert row["drawn"][1] == pytest.approx(row["n_var"], rel=0.03)


SAID = re.compile("(?i)glorot|xavier|kaiming|lecun|uniform|normal[ (_]|orthogonal|zero|ones")


def pages(name, modules):
    """Yield what the audit says of each page, with its docstring and its default names."""
    for row in json.loads(audit.RESULTS.read_text("utf-8"))[name]["rows"]:
        if "normalisations" not in row["layer"]:
            parts = re.match(r"[\w.]+", row["layer"])[0].split(".")
            layer = functools.reduce(getattr, parts[1:], modules[parts[0]])
            parameters = inspect.signature(layer.__init__).parameters.values()
            yield row["says"], layer.__doc__, [one.default for one in parameters]


def test_the_pages_say_what_the_audit_says_of_them():
    keras_modules = {name: getattr(keras.layers, name) for name in dir(keras.layers)}
    for says, text, defaults in pages("Keras", keras_modules):
        assert says == "so" and "unit_forget_bias" in text or says.strip("“”") in defaults
    for says, text, _ in pages("Flax", {"nnx": flax.nnx, "linen": flax.linen}):
        found = {word.lower() for word in SAID.findall(re.sub(r">>>.*|\.\.\. .*", "", text))}
        is_said = says == "“orthogonal”"
        assert found == ({"lecun", "orthogonal", "zero"} if is_said else set()), text
        assert ("initializer" in text) == (says != "nothing")


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_scale_that_is_off_by_three_percent_is_a_drift(factor):
    known = {"fan_in": FAN_IN, "law": "uniform", "n_var": 8 / 9}
    draw = initializers.GlorotUniform().draw(SHAPE, np.random.default_rng(4), "float64")
    assert audit.measured(known, draw)["fits"]
    assert not audit.measured(known, factor * draw)["fits"]


LAWS = {
    "uniform": "glorot_uniform",
    "truncated normal": "lecun_normal",
    "normal": initializers.RandomNormal(),
    "orthogonal": "orthogonal",
    "zeros": "zeros",
    "ones": "ones",
    "": initializers.Constant(0.5),
}


@pytest.mark.parametrize("law", LAWS)
def test_a_law_is_told_from_the_others(law):
    draw = initializers.get(LAWS[law]).draw(SHAPE, np.random.default_rng(5), "float64")
    assert audit.law_of(draw) == law


def test_a_mixture_has_no_law():
    rng = np.random.default_rng(6)
    assert audit.law_of(rng.standard_normal(SHAPE) * (1 + rng.integers(0, 2, SHAPE))) == ""


def test_the_command_stores_what_it_draws_and_marks_what_drifted(tmp_path, monkeypatch, capsys):
    rows = [{"layer": "a", "part": "w", "fan_in": 1, "law": law, "n_var": 0.0, "says": "so"}
            for law in ("zeros", "ones")]  # fmt: skip
    stored = {name: {"version": "", "date": "", "rows": rows} for name in ("Ours", "Absent")}
    monkeypatch.setattr(audit, "RESULTS", tmp_path / "audit.json")
    arrays = ("numpy", lambda: [np.zeros(3), np.zeros(3)])
    monkeypatch.setattr(audit, "FRAMEWORKS", {"Ours": arrays, "Absent": ("no_such_package", None)})
    audit.RESULTS.write_text(json.dumps(stored), "utf-8")
    audit.main([])
    assert "  a, w: zeros 0.0\n! a, w: zeros 0.0" in capsys.readouterr().out
    found = json.loads(audit.RESULTS.read_text("utf-8"))
    assert found["Absent"] == stored["Absent"] and found["Ours"]["version"] == np.__version__
    assert [row["fits"] for row in found["Ours"]["rows"]] == [True, False]


NORMALS = {
    "Keras": lambda: keras.initializers.GlorotNormal(seed=5)(SHAPE),
    "JAX": lambda: jax.nn.initializers.glorot_normal()(jax.random.key(5), SHAPE),
}


@pytest.mark.parametrize("library", NORMALS)
def test_glorot_normal_is_cut_and_corrected(library):
    """The variance is 2/(fan_in + fan_out), and the cut lies at 2.27 standard deviations."""
    theirs = np.asarray(NORMALS[library](), "float64")
    ours = initializers.GlorotNormal().draw(SHAPE, np.random.default_rng(2), "float64")
    assert p_value(ours, theirs) > ALARM
    plain = initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")
    assert p_value(plain.draw(SHAPE, np.random.default_rng(2), "float64"), theirs) < ALARM
    sd = np.sqrt(2 / (FAN_IN + FAN_OUT))
    assert theirs.std() == pytest.approx(sd, rel=0.01)
    largest = np.abs(theirs).max() / sd
    assert largest == pytest.approx(CUT, rel=0.01) and largest <= CUT * (1 + 1e-6)


def test_without_the_correction_a_cut_normal_has_three_quarters_of_its_variance():
    """Neither library corrects where a standard deviation is named."""
    for theirs in (
        keras.initializers.TruncatedNormal(stddev=1.0, seed=5)(SHAPE),
        jax.nn.initializers.truncated_normal(stddev=1.0)(jax.random.key(5), SHAPE),
    ):
        assert np.asarray(theirs, "float64").var() == pytest.approx(0.774, rel=0.01)
