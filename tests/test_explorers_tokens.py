"""The tokens of a transformer: the recursion against closed forms, and against what is stored."""

import numpy as np
import pytest

from initcore.explorers import Tokens
from initcore.explorers.tokens import factor, predict, tokens

DATA = Tokens.load()["cases"]


def test_the_recursion_by_hand():
    """One block from tokens at right angles: uniform attention adds 1/8 to what is shared."""
    shared, q = 1 / 8, 2 + 1 / 8
    c = shared / q
    kernel = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    np.testing.assert_allclose(predict("pre", 1.0, 1, 0.0), (shared + kernel) / (q + 1), rtol=1e-6)
    c = (1 / 8) / (9 / 8)
    kernel = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    for q in (1.0, 2.0):  # the first branch sees what is not yet normalised, and adds q / 8
        np.testing.assert_allclose(predict("post", 1.0, 1, 0.0, q=q), (c + kernel) / 2, rtol=1e-6)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_tokens_that_are_one_stay_one_and_zero_branches_change_nothing(place):
    np.testing.assert_allclose(predict(place, 1.0, 5, 1.0), 1)
    np.testing.assert_allclose(predict(place, 0.0, 5, 0.3), 0.3)


def test_the_figure_measures_the_stream_and_the_last_weights():
    cosine, gradient = tokens("post", 0.0, 2)
    assert cosine.shape == (3, 20) and gradient.shape == (2, 20)
    # with zero branches a norm subtracts the mean of 16 units once, and then finds it gone
    np.testing.assert_allclose(cosine[1], cosine[2], atol=1e-4)
    cosine, _ = tokens("pre", 0.0, 2)
    np.testing.assert_array_equal(cosine[0], cosine[2])


@pytest.mark.parametrize("case", list(Tokens.cases()), ids=lambda case: " ".join(map(str, case)))
def test_medians_follow_the_recursion(case):
    """It takes the attention for uniform and the width for large: 0.15 is what they cost at 16."""
    place, scale, blocks = case
    one = DATA[f"{place} {scale} {blocks}"]
    assert len(one["gradient"]["mid"]) == blocks and one["gradient"]["mid"][-1] == 1
    found = one["cosine"]
    np.testing.assert_allclose(found["mid"], found["theory"], atol=0.15)
    c = np.median(tokens(place, 0.0, blocks)[0][0])
    np.testing.assert_allclose(
        found["theory"], predict(place, factor(scale, blocks), blocks, c), rtol=0.06
    )


def test_post_norm_makes_tokens_alike_and_the_factor_keeps_them_apart():
    ends = {name: DATA[name]["cosine"]["mid"][-1] for name in DATA if name.endswith(" 24")}
    assert ends["post 1 24"] > 0.99 > 0.9 > ends["pre 1 24"] > 0.5
    assert max(ends["pre 1/sqrt(2L) 24"], ends["post 1/sqrt(2L) 24"]) < 0.3
