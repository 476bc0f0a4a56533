"""The clinic: each patient gets exactly its code, and each mended net none, in twenty draws.

The patients are those of the chapter: its own cells make them. What they would train is left out,
but for the tied embedding, whose loss takes a second.
"""

import contextlib
import io

import numpy as np
import pytest
from chapter import ROOT, Chapter

from initcore import diagnose

pytestmark = pytest.mark.no_cover  # the cells of a chapter, which coverage would only make slower

SEEDS = 20
CODES = {  # and the first layer concerned
    "one seed": ("equal-layers", "layer 2"),
    "cloned blocks": ("equal-layers", "layer 4"),
    "variance as sd": ("weight-scale", "layer 1"),
    "no gain": ("weight-scale", "layer 1"),
    "ReLU's gain for tanh": ("weight-scale", "layer 1"),
    "fan_out": ("fans", "layer 3"),
    "full branches": ("residual-growth", "layer 3"),
    "zero scales": ("zero-scales", "norm 1"),
    "biases of -4.6": ("bias-scale", "layer 1"),
    "raw pixels": ("input-scale", None),
    "rare class": ("class-bias", "layer 3"),
}
ARRAYS = {  # functions of a seed, which make weights alone
    "kernels": ("fans", "conv1"),
    "three_axes": ("fans", "attention/query"),
    "packed": ("packed-qkv", "attn.c_attn"),
    "conv_mended": None,
    "three_axes_mended": None,
    "packed_mended": None,
}


@pytest.fixture(scope="module")
def clinic():
    """What the cells of the chapter make, by name, and the nets that they would train."""
    names, nets = {"__name__": "__main__"}, {}

    def look_only(name, make, x, y):
        nets[name] = make, x[:256], y[:256]
        names["notes"][name] = loss, _ = np.ones((3, 8)), None
        return diagnose(make(replicas=None), x[:50], y[:50]).table(), loss

    with contextlib.redirect_stdout(io.StringIO()):
        for code in Chapter(ROOT / "chapters/10_clinic.ipynb").code:
            if code.cell.id.startswith(("clinic-imports", "clinic-examine", "patient", "mended")):
                exec(compile(code.source, code.cell.id, "exec"), names)
                names["look_and_train"] = look_only
    return names, nets


def codes_of(report):
    """Return the code and the layer of each finding, all of them found in every net."""
    assert {one.found_in for one in report.findings} <= {(SEEDS, SEEDS)}
    return [(one.code, one.layer) for one in report.findings]


@pytest.mark.parametrize("name", CODES)
def test_a_patient_has_its_code_and_no_other(clinic, name):
    make, x, y = clinic[1][name]
    assert codes_of(diagnose(make(replicas=SEEDS), x, y)) == [CODES[name]]


@pytest.mark.parametrize("name", CODES)
def test_a_mended_net_is_clean(clinic, name):
    make, x, y = clinic[1][f"{name}, mended"]
    assert codes_of(diagnose(make(replicas=SEEDS), x, y)) == []


@pytest.mark.parametrize("name", ARRAYS)
def test_weights_alone(clinic, name):
    make = clinic[0][name]
    if name == "kernels":
        report = diagnose(lambda seed: make(places=1, seed=seed), seeds=SEEDS)
    else:
        report = diagnose(lambda seed: make(seed), seeds=SEEDS)
    assert codes_of(report) == ([ARRAYS[name]] if ARRAYS[name] else [])


@pytest.mark.parametrize(("sd", "codes"), [(1, ["embedding-scale"]), (0.02, [])])
def test_a_tied_embedding(clinic, sd, codes):
    for seed in range(SEEDS):
        report = clinic[0]["report_on"](sd, seed)
        assert [one.code for one in report.findings] == codes


def test_weights_that_were_never_set(clinic):
    net, train = clinic[0]["never_set"](replicas=SEEDS), clinic[0]["train"]
    assert codes_of(diagnose(net, train.x[:256], train.y[:256])) == [("not-finite", "layer 2")]


def test_every_patient_of_the_chapter_is_here(clinic):
    assert set(clinic[1]) == {*CODES, *(f"{name}, mended" for name in CODES)}
