"""The argument checks: what passes, what is refused, and the one wording of every refusal."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import _checks

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=12),
    st.binary(max_size=6),
    st.lists(st.integers(-3, 3) | st.floats() | st.text(max_size=2), max_size=4),
    st.lists(st.lists(st.integers(0, 3), max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from([int, np.float32, np.array(1.0), np.array([1, 2]), np.array("a")]),
    st.sampled_from([",", b",", "f4,f4", "3f4", "(2,)f4", ">f4", "=f8", "f,", "float8_e4m3", "a"]),
)
NAN, RNG = math.nan, np.random.default_rng(0)


# ---- what passes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        *((_checks.number, v, 3.0) for v in (3, np.float16(3), np.uint64(3), np.array(3.0))),
        *((_checks.integer, v, 3) for v in (3, np.int8(3), np.uint64(3))),
        (_checks.integer, 10**40, 10**40),
        *((_checks.flag, v, True) for v in (True, np.True_)),
        *((_checks.shape, v, (2, 3)) for v in ([2, 3], (2, np.int16(3)), np.array([2, 3]))),
        (_checks.shape, (), ()),
        (_checks.generator, RNG, RNG),
        *((_checks.float_dtype, v, "float32") for v in ("float32", np.float32, "f4")),
        (_checks.float_dtype, float, "float64"),
        (_checks.float_dtype, "float16", "float16"),
    ],
)
def test_what_is_right_is_returned_in_one_form(check, value, expected):
    found = check("name", value)
    assert found == expected
    assert isinstance(found, np.dtype if check is _checks.float_dtype else type(expected))


def test_a_generator_of_an_integer_is_numpys_and_of_none_a_fresh_one():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert _checks.generator("seed", np.int32(7)).random() == np.random.default_rng(7).random()
    first, second = (_checks.generator("seed", None).random() for _ in range(2))
    assert first != second
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_an_array_is_kept_where_it_is_right():
    kept = np.arange(6.0).reshape(2, 3)
    assert _checks.array("x", kept, ndim=(1, 2), dtype="float64") is kept
    assert _checks.array("x", kept, ndim=2) is kept
    assert _checks.array("x", kept, dtype="float32").dtype == "float32"
    assert _checks.array("x", [1, 2]).dtype.kind == "i"
    assert np.isnan(_checks.array("x", [NAN], finite=False)).all()
    with pytest.raises(ValueError, match="`x` must be an array with 1 or 3 axes"):
        _checks.array("x", kept, ndim=(1, 3))
    assert _checks.labels("y", np.array([[0, 1]], "uint8"), 2).tolist() == [[0, 1]]


# ---- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "arguments", "error", "message"),
    [
        *((_checks.number, (v,), TypeError, "a finite number") for v in (None, True, "1", 1j, [1])),
        *((_checks.number, (np.array(v),), TypeError, "a finite") for v in ([1.0], True, "1")),
        *((_checks.number, (v,), ValueError, "a finite number") for v in (NAN, 10**400, -math.inf)),
        *((_checks.integer, (v,), TypeError, "an integer") for v in (None, True, "1", 1.0, NAN)),
        *((_checks.flag, (v,), TypeError, "True or False") for v in (None, 1, "yes")),
        *((_checks.mapping, (v, "row"), TypeError, "a mapping with at least") for v in (None, [1])),
        (_checks.mapping, ({}, "row"), ValueError, "a mapping with at least one row"),
        *((_checks.choice, (v, ("a", "b")), TypeError, "one of 'a', 'b'") for v in (None, ["a"])),
        (_checks.choice, ("x", ("a", "b")), ValueError, "one of 'a', 'b'"),
        *((_checks.shape, (v,), TypeError, "a sequence of positive") for v in (3, "33", b"3")),
        *((_checks.generator, (v,), TypeError, "a non-neg") for v in (True, 1.0, "1", [1])),
        (_checks.generator, (-1,), ValueError, "an integer at least 0"),
        *(
            (_checks.float_dtype, (v,), TypeError, "one of 'float16'")
            for v in (None, "int32", "", 3)
        ),
        (_checks.float_dtype, (np.dtype("float64").newbyteorder(),), TypeError, "one of"),
        *((_checks.array, (v,), TypeError, "an array of real") for v in ("ab", [True], [1j], None)),
        (_checks.array, ([[1.0], [1.0, 2.0]],), TypeError, "a rectangular array"),
        (_checks.array, (np.zeros((0, 3)),), ValueError, "an array that is not empty"),
        *((_checks.labels, (v, 2), TypeError, "an array of") for v in ([0.0], [True], "01")),
        (_checks.labels, ([0, 2], 2), ValueError, "an array of integers from 0 to 1"),
        (_checks.labels, ([-1], 2), ValueError, "an array of integers from 0 to 1"),
    ],
)
def test_a_refusal_names_the_argument_what_is_allowed_and_the_value(
    check, arguments, error, message
):
    with pytest.raises(error) as caught:
        check("name", *arguments)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"Argument `name` must be {message}")
    assert ". Received: name" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: _checks.choice("mode", "fan_im", ("fan_in", "fan_out")),
            "Argument `mode` must be one of 'fan_in', 'fan_out'. Received: mode='fan_im'. "
            "Did you mean 'fan_in'?",
        ),
        (
            lambda: _checks.number("rate", 1.0, at_least=0, below=1),
            "Argument `rate` must be a finite number at least 0 and below 1. Received: rate=1.0",
        ),
        (
            lambda: _checks.number("scale", 0, above=0, allowed="positive float"),
            "Argument `scale` must be positive float. Received: scale=0",
        ),
        (
            lambda: _checks.array("x", [1.0, NAN, math.inf, -math.inf]),
            "Argument `x` must be finite. Received: x=array of shape (4,) and dtype float64, "
            "in which 3 of 4 values are NaN or infinite",
        ),
        (
            lambda: _checks.float_dtype("dtype", "flot32"),
            "Argument `dtype` must be one of 'float16', 'float32', 'float64'. "
            "Received: dtype='flot32'. Did you mean 'float32'?",
        ),
    ],
)
def test_the_wording(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == message


@given(st.integers(-6, 6), st.none() | st.integers(-5, 5), st.none() | st.integers(-5, 5))
@settings(max_examples=500)
def test_numbers_within_bounds_pass_and_no_others(value, least, most):
    inside = (least is None or value >= least) and (most is None or value <= most)
    strictly = (least is None or value > least) and (most is None or value < most)
    closed = {"at_least": -math.inf if least is None else least}
    closed["at_most"] = math.inf if most is None else most
    open_ = {"above": closed["at_least"], "below": closed["at_most"]}
    for good, call in (
        (inside, lambda: _checks.integer("n", value, **closed)),
        (inside, lambda: _checks.number("n", value, **closed)),
        (strictly, lambda: _checks.number("n", value, **open_)),
    ):
        if good:
            assert call() == value
        else:
            with pytest.raises(ValueError, match="Argument `n` must be"):
                call()


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")  # NumPy's of "a"
@given(anything)
@settings(max_examples=500)
def test_any_value_is_shown_short_and_passes_or_is_refused(value):
    text = _checks.show(value)
    assert len(text) <= 80 and "\n" not in text
    for check, is_good in (
        (_checks.number, math.isfinite),
        (_checks.shape, lambda found: all(size >= 1 for size in found)),
        (_checks.float_dtype, lambda found: found.name in _checks.FLOAT_DTYPES),
        (_checks.array, lambda found: np.isfinite(found).all()),
    ):
        try:
            found = check("x", value)
        except (TypeError, ValueError) as error:
            assert str(error).startswith("Argument `x")
        else:
            assert is_good(found)


@pytest.mark.parametrize(
    ("word", "known"),
    [("AdamW", "adam"), ("nadam", "adam"), ("log_sigmoid", "sigmoid"), ("bfloat16", "float16")],
)
def test_a_name_that_is_right_elsewhere_is_not_corrected(word, known):
    assert _checks.nearest(word, [known]) == ""
    assert _checks.nearest(known[1:], [known]) == f" Did you mean {known!r}?"
