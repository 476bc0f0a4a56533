"""The argument checks: what passes, what is refused, and the one wording of every refusal."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import _checks


class Something:
    """An object of no known kind, with a name that is the same in every process."""

    def __repr__(self):
        return "something"


NOT_NUMBERS = [None, True, False, np.True_, "1", b"1", [1.0], (1,), {}, 1j, Something(), int]
NOT_INTEGERS = [*NOT_NUMBERS, 1.0, np.float64(1), np.array([1]), math.nan]

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
    st.sampled_from([Something(), int, np.float32, np.array(1.0), np.array([1, 2]), np.array("a")]),
    st.sampled_from([",", b",", "f4,f4", "3f4", "(2,)f4", ">f4", "=f8", "f,", "float8_e4m3", "a"]),
)


def refused(check, *arguments, **keywords):
    """Return the error of a call that must fail with one of the two kinds of this package."""
    with pytest.raises((TypeError, ValueError)) as caught:  # noqa: PT011
        check(*arguments, **keywords)
    return caught.value


# ---- wording -----------------------------------------------------------------------------


def test_every_refusal_has_one_wording():
    error = refused(_checks.fail, "scale", "positive float", -1.0)
    assert type(error) is ValueError
    assert str(error) == "Argument `scale` must be positive float. Received: scale=-1.0"
    assert type(refused(_checks.fail, "scale", "positive float", "1", TypeError)) is TypeError


@pytest.mark.parametrize(
    ("check", "arguments", "keywords"),
    [
        (_checks.number, ("name", math.nan), {}),
        (_checks.integer, ("name", 1.5), {}),
        (_checks.flag, ("name", 1), {}),
        (_checks.choice, ("name", "x", ("a", "b")), {}),
        (_checks.generator, ("name", "x"), {}),
        (_checks.float_dtype, ("name", "int32"), {}),
        (_checks.array, ("name", "x"), {}),
        (_checks.array, ("name", [math.nan]), {}),
        (_checks.labels, ("name", [3], 2), {}),
        (_checks.shape, ("name", 3), {}),
    ],
)
def test_each_check_names_the_argument_what_is_allowed_and_the_value(check, arguments, keywords):
    message = str(refused(check, *arguments, **keywords))
    assert message.startswith("Argument `name` must be ")
    assert ". Received: name" in message


def test_values_are_shown_short_and_on_one_line():
    assert _checks.show(1.5) == "1.5"
    assert _checks.show("a\nb") == "'a\\nb'"
    assert _checks.show([[1, 2], [3, 4]]) == "[[1, 2], [3, 4]]"
    assert _checks.show(np.zeros((2, 3), "float32")) == "array of shape (2, 3) and dtype float32"
    assert _checks.show(np.array(2.0)) == "array(2.)"
    long = _checks.show("x" * 500)
    assert len(long) == 80
    assert long.endswith("...")
    exactly = "x" * 78  # 80 with the quotes
    assert _checks.show(exactly) == repr(exactly)


@given(anything)
def test_anything_can_be_shown(value):
    text = _checks.show(value)
    assert len(text) <= 80
    assert "\n" not in text


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("he_norml", " Did you mean 'he_normal'?"),
        ("HE_NORMAL", " Did you mean 'he_normal'?"),
        ("henormal", " Did you mean 'he_normal'?"),
        ("glorot", " Did you mean 'Glorot'?"),
        ("zzz", ""),
        ("", ""),
        (None, ""),
        (3, ""),
    ],
)
def test_the_nearest_known_name(word, hint):
    assert _checks.nearest(word, ["he_normal", "Glorot"]) == hint


def test_no_name_is_near_where_none_is_known():
    assert _checks.nearest("x", []) == ""


# ---- choice and flag ---------------------------------------------------------------------


def test_choice():
    assert _checks.choice("mode", "fan_in", ("fan_in", "fan_out")) == "fan_in"
    error = refused(_checks.choice, "mode", "fan_im", ("fan_in", "fan_out"))
    assert type(error) is ValueError
    assert str(error) == (
        "Argument `mode` must be one of 'fan_in', 'fan_out'. Received: mode='fan_im'. "
        "Did you mean 'fan_in'?"
    )
    for value in (None, 1, ["fan_in"], b"fan_in"):
        assert type(refused(_checks.choice, "mode", value, ("fan_in",))) is TypeError


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_flag(value):
    assert _checks.flag("verbose", value) is bool(value)


@given(anything.filter(lambda value: not isinstance(value, bool)))
def test_what_is_no_flag_is_refused(value):
    assert type(refused(_checks.flag, "verbose", value)) is TypeError


# ---- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.float32(3), np.float16(3), np.int8(3), np.uint64(3), np.array(3), np.array(3.0)],
)
def test_number_gives_a_float(value):
    found = _checks.number("x", value)
    assert type(found) is float
    assert found == 3.0


@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, np.array([1.0]), np.array(True), np.array("1"), np.array(1j)], ids=repr
)
def test_what_is_no_number_is_a_type_error(value):
    assert type(refused(_checks.number, "x", value)) is TypeError


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, np.array(math.nan)])
def test_a_number_must_be_finite(value):
    error = refused(_checks.number, "x", value)
    assert type(error) is ValueError
    assert "Argument `x` must be a finite number. Received: x=" in str(error)


BOUNDS = {
    "above": lambda value, bound: value > bound,
    "at_least": lambda value, bound: value >= bound,
    "below": lambda value, bound: value < bound,
    "at_most": lambda value, bound: value <= bound,
}


@given(
    st.integers(-4, 4).map(lambda n: n / 2),
    st.dictionaries(st.sampled_from(list(BOUNDS)), st.integers(-3, 3), max_size=4),
)
@settings(max_examples=500)
def test_a_number_within_bounds_passes_and_no_other(value, bounds):
    if all(BOUNDS[name](value, bound) for name, bound in bounds.items()):
        assert _checks.number("x", value, **bounds) == value
    else:
        error = refused(_checks.number, "x", value, **bounds)
        assert type(error) is ValueError
        for name, bound in bounds.items():
            assert f"{name.replace('_', ' ')} {bound}" in str(error)


def test_the_wording_of_bounds():
    error = refused(_checks.number, "rate", 1.0, at_least=0, below=1)
    assert str(error) == (
        "Argument `rate` must be a finite number at least 0 and below 1. Received: rate=1.0"
    )
    error = refused(_checks.number, "scale", 0, above=0, allowed="positive float")
    assert str(error) == "Argument `scale` must be positive float. Received: scale=0"


@given(anything)
@settings(max_examples=500)
def test_any_value_is_a_finite_number_or_refused(value):
    try:
        found = _checks.number("x", value)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("Argument `x` must be a finite number. Received: x=")
    else:
        assert math.isfinite(found)


# ---- integers and shapes -----------------------------------------------------------------


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_integer_gives_an_int(value):
    found = _checks.integer("n", value)
    assert type(found) is int
    assert found == 3


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=repr)
def test_what_is_no_integer_is_a_type_error(value):
    error = refused(_checks.integer, "n", value)
    assert type(error) is TypeError
    assert str(error).startswith("Argument `n` must be an integer. Received: n=")


@given(st.integers(), st.none() | st.integers(-5, 5), st.none() | st.integers(-5, 5))
@settings(max_examples=500)
def test_an_integer_within_bounds_passes_and_no_other(value, least, most):
    value = value % 13 - 6
    inside = (least is None or value >= least) and (most is None or value <= most)
    if inside:
        assert _checks.integer("n", value, at_least=least, at_most=most) == value
    else:
        error = refused(_checks.integer, "n", value, at_least=least, at_most=most)
        assert type(error) is ValueError
        assert least is None or f"at least {least}" in str(error)
        assert most is None or f"at most {most}" in str(error)


def test_an_integer_of_any_size():
    assert _checks.integer("n", 10**40) == 10**40


def test_the_wording_of_integer_bounds():
    error = refused(_checks.integer, "n", 9, at_least=1, at_most=5)
    assert str(error) == "Argument `n` must be an integer at least 1 and at most 5. Received: n=9"


@given(st.lists(st.integers(1, 9), max_size=4))
def test_a_shape_is_a_tuple_of_positive_integers(sizes):
    for value in (sizes, tuple(sizes), np.array(sizes, int), [np.int16(n) for n in sizes]):
        found = _checks.shape("shape", value)
        assert found == tuple(sizes)
        assert all(type(size) is int for size in found)


@given(anything)
def test_any_shape_is_of_positive_integers_or_refused(value):
    try:
        found = _checks.shape("shape", value)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("Argument `shape")
    else:
        assert all(size >= 1 for size in found)


def test_the_wrong_size_of_a_shape_is_pointed_at():
    message = str(refused(_checks.shape, "shape", (3, 0)))
    assert message == "Argument `shape[1]` must be an integer at least 1. Received: shape[1]=0"


# ---- generators --------------------------------------------------------------------------


def test_generator():
    rng = np.random.default_rng(0)
    assert _checks.generator("seed", rng) is rng
    first, second = (_checks.generator("seed", np.int32(7)).random() for _ in range(2))
    assert first == second == np.random.default_rng(7).random()
    first, second = (_checks.generator("seed", None).random() for _ in range(2))
    assert first != second


def test_a_generator_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    _checks.generator("seed", 0).random()
    _checks.generator("seed", None).random()
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    "seed", [True, np.False_, 1.0, "1", [1], np.array(1), -1, Something()], ids=repr
)
def test_a_bad_seed_is_refused(seed):
    error = refused(_checks.generator, "seed", seed)
    assert type(error) is (ValueError if isinstance(seed, int) and seed == -1 else TypeError)
    assert "Argument `seed` must be" in str(error)


# ---- dtypes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float16", "float16"),
        (np.float32, "float32"),
        (np.dtype("float64"), "float64"),
        (float, "float64"),
        ("f4", "float32"),
        ("double", "float64"),
    ],
)
def test_float_dtypes(dtype, name):
    found = _checks.float_dtype("dtype", dtype)
    assert isinstance(found, np.dtype)
    assert found == name


@pytest.mark.parametrize(
    "dtype", [None, "int32", int, bool, "complex128", "floatt32", "", 3, [], {}, Something(), "U3"]
)
def test_other_dtypes_are_refused(dtype):
    error = refused(_checks.float_dtype, "dtype", dtype)
    assert type(error) is TypeError
    assert "must be one of 'float16', 'float32', 'float64'. Received: dtype=" in str(error)


def test_a_foreign_byte_order_is_refused():
    swapped = np.dtype("float64").newbyteorder()
    assert type(refused(_checks.float_dtype, "dtype", swapped)) is TypeError


def test_long_double_is_refused_where_it_is_longer():
    longer = np.dtype(np.longdouble)
    if longer.itemsize == 8:  # as on Windows: then it is float64 under another name
        assert _checks.float_dtype("dtype", longer).itemsize == 8
    else:
        refused(_checks.float_dtype, "dtype", longer)


def test_a_mistyped_dtype_is_told_the_nearest():
    assert str(refused(_checks.float_dtype, "dtype", "flot32")).endswith("Did you mean 'float32'?")


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")  # NumPy's of "a"
@given(anything)
@settings(max_examples=500)
def test_any_dtype_is_a_float_or_refused(dtype):
    try:
        found = _checks.float_dtype("dtype", dtype)
    except TypeError as error:
        assert str(error).startswith("Argument `dtype` must be one of")
    else:
        assert found.name in _checks.FLOAT_DTYPES


# ---- arrays and labels -------------------------------------------------------------------


def test_array_keeps_what_is_right():
    given_ = np.arange(6.0).reshape(2, 3)
    assert _checks.array("x", given_) is given_
    assert _checks.array("x", given_, ndim=2, dtype="float64") is given_
    assert _checks.array("x", given_, ndim=(1, 2)) is given_
    assert _checks.array("x", given_, dtype="float32").dtype == "float32"
    assert _checks.array("x", [1, 2]).dtype.kind == "i"
    assert _checks.array("x", np.uint8(3)).shape == ()
    assert np.isnan(_checks.array("x", [math.nan], finite=False)).all()


@pytest.mark.parametrize(
    "value",
    ["ab", [True], [1j], [None], ["1"], [[1.0], [1.0, 2.0]], Something(), {}, None],
    ids=repr,
)
def test_what_is_no_array_of_real_numbers_is_a_type_error(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(refused(_checks.array, "x", value)) is TypeError


def test_ragged_lists_are_named_as_such():
    assert "a rectangular array of numbers" in str(refused(_checks.array, "x", [[1], [1, 2]]))


@pytest.mark.parametrize(
    ("ndim", "axes"), [(1, "1"), (3, "3"), ((1, 3), "1 or 3"), ((), "")], ids=repr
)
def test_the_number_of_axes(ndim, axes):
    error = refused(_checks.array, "x", np.zeros((2, 2)), ndim=ndim)
    assert type(error) is ValueError
    assert f"must be an array with {axes} axes. Received: x=array of shape (2, 2)" in str(error)


def test_an_empty_array_is_refused():
    assert "not empty" in str(refused(_checks.array, "x", np.zeros((0, 3))))


def test_values_that_are_not_finite_are_counted():
    error = refused(_checks.array, "x", [1.0, math.nan, math.inf, -math.inf])
    assert type(error) is ValueError
    assert "must be finite" in str(error)
    assert str(error).endswith("in which 3 of 4 values are NaN or infinite")


@given(anything)
@settings(max_examples=500)
def test_any_value_is_a_finite_array_or_refused(value):
    try:
        found = _checks.array("x", value)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("Argument `x` must be ")
    else:
        assert np.isfinite(found).all()


def test_labels():
    found = _checks.labels("y", [0, 2, 1], 3)
    assert found.tolist() == [0, 2, 1]
    assert _checks.labels("y", np.array([[0, 1]], "uint8"), 2).shape == (1, 2)


@given(st.lists(st.integers(-3, 6), min_size=1, max_size=6), st.integers(1, 4))
def test_labels_out_of_range_are_refused(values, classes):
    if min(values) >= 0 and max(values) < classes:
        assert _checks.labels("y", values, classes).tolist() == values
    else:
        error = refused(_checks.labels, "y", values, classes)
        assert type(error) is ValueError
        assert f"integers from 0 to {classes - 1}" in str(error)
        assert f"values from {min(values)} to {max(values)}" in str(error)


@pytest.mark.parametrize("value", [[0.0, 1.0], [True], "01", []], ids=repr)
def test_labels_that_are_no_integers_are_refused(value):
    refused(_checks.labels, "y", value, 2)
