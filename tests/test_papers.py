"""The papers of `make replicate`: complete rows, runs that repeat, verdicts that can fail."""

import re

import numpy as np
import papers
import pytest
from chapter import ROOT
from pybtex.database import parse_file

SOURCES = parse_file(str(ROOT / "references.bib")).entries
BY_KEY = {paper.key: paper for paper in papers.PAPERS}
CHEAP = ["hinton2006", "glorot2010:6", "glorot2010:8", "erhan2010", "xiong2020", "yang2019"]
each = pytest.mark.parametrize("paper", papers.PAPERS, ids=BY_KEY)


def numbers(parts):
    """Return the names of the numbers that decide on the parts of a statement."""
    names = (re.split(" [/-] ", name) for name, _, _ in parts.values())
    return sorted({name for pair in names for name in pair})


@each
def test_a_row_is_complete(paper):
    assert all(re.match(r"\S.*\.$", text) for text in (paper.statement, paper.ours))
    assert paper.seeds >= 8 and paper.key.partition(":")[0] in SOURCES


def test_no_row_is_left_out():
    assert len(papers.PAPERS) == len(BY_KEY) and BY_KEY.keys() == papers.RUNS.keys()


@each
def test_each_verdict_can_come_out(paper):
    parts, rng = papers.WORDS[paper.key]["parts"], np.random.default_rng(0)
    middles = [(low + high) / 2 for _, low, high in parts.values() if np.isfinite(low + high)]
    candidates, seen = [-10.0, 0.01, 1.0, 10.0, 1e4, *middles], set()
    wanted = {"reproduced", "not"} | ({"partly"} if len(parts) > 1 else set())
    for _ in range(10_000):
        v = {name: np.full(3, rng.choice(candidates)) for name in numbers(parts)}
        verdict, sentence = paper.judge(v)
        missing = [part for part in parts if part in sentence.partition("Not found: ")[2]]
        assert bool(missing) == (verdict != "reproduced")
        assert (len(missing) == len(parts)) == (verdict == "not")
        seen.add(verdict)
        if seen == wanted:
            return
    raise AssertionError(f"of {wanted} only {seen}")


def test_a_verdict_follows_from_the_medians():
    parts = {"a is large": ["a", 1, np.inf], "twice b": ["a / b", 2, 3], "near": ["a - b", 0, 1]}
    v = {"a": np.array([0.0, 2.0, 9.0]), "b": np.array([1.0, 1.0, 1.0])}
    assert papers.judged(v, "Size", ".0f", parts) == (
        "reproduced",
        "Size: *a* 2 [0, 8]; *b* 1 [1, 1].",
    )
    v["b"] += 0.5
    assert papers.judged(v, "Size", ".0f", parts)[0] == "partly"
    assert papers.judged(v, "Size", ".0f", parts)[1].endswith(" Not found: twice b.")


@pytest.mark.parametrize("key", CHEAP)
def test_a_run_repeats_and_has_the_numbers_that_decide(key):
    run = BY_KEY[key].run
    first, second, other = run(0), run(0), run(1)
    assert first == second and first != other and first.keys() == other.keys()
    assert np.isfinite([*first.values()]).all()
    assert {*numbers(papers.WORDS[key]["parts"])} <= first.keys()


def test_a_linear_net_of_one_layer_learns_as_gradient_descent_does():
    rate, W, steps = 2.0**-4, np.zeros((64, 10)), 0
    x, y = papers.TRAIN.x, np.eye(10)[papers.TRAIN.y] - 0.1
    best = np.square(x @ np.linalg.lstsq(x, y, rcond=None)[0] - y).sum(axis=1).mean()
    start = np.square(y).sum(axis=1).mean()
    while np.square(x @ W - y).sum(axis=1).mean() > start - 0.98 * (start - best):
        W -= rate * 2 * x.T @ (x @ W - y) / len(x)
        steps += 1
    assert papers.steps_of_linear([np.zeros((64, 10))], rate, 1000) == steps > 10
    assert papers.steps_of_linear([np.zeros((64, 10))], rate, 5) == 5


def test_steps_are_counted_up_to_a_limit():
    def steps(wanted, most):
        net = papers.stack("tanh", 1, "glorot_uniform", seed=0)
        return papers.steps_to(wanted, net, papers.SGD(0.01, momentum=0.9), most, seed=0)

    assert steps(wanted=2.0, most=20) == 20
    assert 10 <= steps(wanted=0.5, most=500) < steps(wanted=0.9, most=500) < 500


def test_scaled_adam_multiplies_each_move():
    plain, scaled = np.ones((2, 3)), np.ones((2, 3))
    adam, ours = papers.Adam(0.1), papers.ScaledAdam(0.1)
    ours.factors = [1.0, 0.25]
    for optimizer, values in ((adam, plain), (ours, scaled)):
        optimizer.start([*values])
        for _ in range(3):
            optimizer.step([*values], [np.array([1.0, -2.0, 3.0])] * 2)
    assert np.allclose(scaled[0], plain[0], rtol=0, atol=1e-15)
    assert np.allclose(1 - scaled[1], 0.25 * (1 - plain[1]), rtol=0, atol=1e-15)
