"""The tables that notebooks print: aligned, rounded, and the same text everywhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import tables
from initcore.tables import Table, decide, fmt, spread

specs = st.sampled_from([".4g", ".3g", ".2e", ".3f", ".0f", "+.2f"])


# ---- one value ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.0706812, ".4g", "0.07068"),
        (2.35e-6, ".4g", "2.35e-06"),
        (123456.0, ".4g", "1.235e+05"),
        (0.5, ".0f", "0"),
        (1.5, ".0f", "2"),
        (-0.0, ".4g", "0"),
        (-1e-9, ".3f", "0.000"),
        (-0.0004, ".3f", "0.000"),
        (-0.0006, ".3f", "-0.001"),
        (-0.0, ".2e", "0.00e+00"),
        (-1e-10, ".1e", "-1.0e-10"),
        (-10.0, ".4g", "-10"),
        (math.nan, ".4g", "nan"),
        (math.inf, ".4g", "inf"),
        (-math.inf, ".4g", "-inf"),
        (3, ".2e", "3"),
        (-3, ".2e", "-3"),
        (10**20, ".4g", "1" + "0" * 20),
        (np.int64(7), ".2f", "7"),
        (np.float32(0.1), ".4g", "0.1"),
        (np.float64(-0.0), ".2f", "0.00"),
        (True, ".2f", "yes"),
        (False, ".2f", "no"),
        (np.True_, ".2f", "yes"),
        (np.False_, ".2f", "no"),
        ("He", ".2f", "He"),
        ("-0.0", ".2f", "-0.0"),
    ],
)
def test_fmt(value, spec, text):
    assert fmt(value, spec) == text


def test_the_default_is_four_significant_digits():
    assert fmt(math.pi) == "3.142"


@given(st.floats(), specs)
@settings(max_examples=1000)
def test_a_float_is_rounded_and_a_zero_has_no_minus(value, spec):
    text = fmt(value, spec)
    if math.isfinite(value):
        plain = format(value, spec)
        assert float(text) == float(plain)
        assert text in (plain, plain[1:])
        assert float(text) != 0 or not text.startswith("-")
    else:
        assert text == format(value, spec)


# ---- a spread over seeds -----------------------------------------------------------------


def test_spread_is_the_median_and_the_5_to_95_percent_band():
    values = np.arange(101.0)
    assert spread(values).item() == "50 [5, 95]"
    assert spread(values.tolist()).shape == ()
    assert spread(values, ".1f").item() == "50.0 [5.0, 95.0]"


def test_spread_removes_the_axis_of_the_seeds():
    values = np.arange(101.0)[:, None] * [1.0, 10.0, 100.0]
    expected = ["50 [5, 95]", "500 [50, 950]", "5e+03 [500, 9.5e+03]"]
    assert spread(values.T).tolist() == expected
    assert spread(np.zeros((2, 3, 5))).shape == (2, 3)


def test_spread_shows_what_is_not_finite():
    assert spread([math.nan, 1.0]).item() == "nan [nan, nan]"


def test_spread_refuses_what_is_no_array_of_numbers():
    with pytest.raises(TypeError, match="`values` must be an array of real numbers"):
        spread(["a"])
    with pytest.raises(ValueError, match="`values` must be an array that is not empty"):
        spread([])


# ---- tables ------------------------------------------------------------------------------


@pytest.fixture
def table():
    return Table(
        {
            "layer": [1, 2, 10],
            "start": ["He", "Glorot", "zeros"],
            "std": [0.09751, -1e-12, 123.456],
            "dead": [False, True, False],
            "depth": 3,
        },
        title="tanh",
        formats={"std": ".3f", "layer": lambda n: f"#{n}"},
    )


def test_a_table_prints_aligned_rounded_and_without_trailing_spaces(table):
    assert str(table).splitlines() == [
        "tanh",
        "layer  start       std  dead  depth",
        "   #1  He        0.098    no      3",
        "   #2  Glorot    0.000   yes      3",
        "  #10  zeros   123.456    no      3",
    ]
    assert repr(table) == str(table)


def test_a_last_column_of_text_leaves_no_trailing_spaces():
    text = str(Table({"x": [1.0, 2.0], "name": ["long name", "a"]}))
    assert text.splitlines() == ["x  name", "1  long name", "2  a"]


def test_a_table_without_title_or_formats():
    assert str(Table({"x": [math.pi]})) == "    x\n3.142"
    assert str(Table({"x": 1.0})) == "x\n1"


def test_columns_are_reached_by_name(table):
    assert table.columns == ("layer", "start", "std", "dead", "depth")
    assert list(table) == list(table.columns)
    assert len(table) == 3
    assert table["depth"].tolist() == [3, 3, 3]
    assert table["std"][2] == 123.456  # what is printed is rounded, what is kept is not
    with pytest.raises(ValueError, match=r"`column` must be one of .*'sdt'. Did you mean 'std'\?"):
        table["sdt"]
    with pytest.raises(TypeError, match="`column` must be one of"):
        table[0]


def test_select(table):
    fewer = table.select("std", "layer")
    assert fewer.columns == ("std", "layer")
    assert fewer.title == "tanh"
    assert str(fewer).splitlines()[2] == "  0.098     #1"
    with pytest.raises(ValueError, match="`column` must be one of"):
        table.select("std", "nothing")
    with pytest.raises(ValueError, match="at least one column"):
        table.select()


def test_to_dict_gives_new_arrays(table):
    columns = table.to_dict()
    assert list(columns) == list(table.columns)
    columns["std"][:] = 0.0
    assert table["std"][2] == 123.456


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "a mapping with at least one column"),
        ({"x": [1, 2], "y": [1]}, "columns of one length. Received: columns={'x': 2, 'y': 1}"),
        ({"x": np.ones((1, 2, 3))}, r"shape \(rows,\) or \(rows, replicas\)"),
        ({"x": [[1, 2]], "y": [1, 2]}, "columns of one length"),
    ],
)
def test_bad_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Table(columns)


def test_a_column_of_replicas_is_printed_as_its_median_and_band():
    values = np.arange(1.0, 22.0) * np.array([[1.0], [0.01]])
    table = Table({"layer": [1, 2], "std": values}, formats={"std": ".2g"})
    assert str(table).splitlines() == [
        "layer  std",
        "    1  11 [2, 20]",
        "    2  0.11 [0.02, 0.2]",
    ]
    assert table["std"].shape == (2, 21) and table.select("std").columns == ("std",)


def test_one_format_is_that_of_all_columns():
    table = Table({"layer": [1], "x": [0.12345], "std": [[0.1, 0.12345]]}, formats=".1f")
    assert str(table).splitlines()[1] == "    1  0.1  0.1 [0.1, 0.1]"


def test_a_format_of_no_column_is_refused():
    with pytest.raises(ValueError, match=r"`formats` must be one of 'std'.*Did you mean 'std'\?"):
        Table({"std": [1.0]}, formats={"sd": ".2f"})


names = st.text("abcdefgh", min_size=1, max_size=8)
cells = st.one_of(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=3),
    st.lists(st.text("xyz", max_size=6), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.floats(-1e6, 1e6),
)


@given(st.dictionaries(names, cells, min_size=1, max_size=5), st.none() | names)
@settings(max_examples=500)
def test_any_table_is_aligned(columns, title):
    """Every column begins, or ends, in one place; nothing trails; no number is minus zero."""
    table = Table(columns, title=title)
    lines = str(table).split("\n")
    assert len(lines) == 1 + len(table) + (title is not None)
    if title is not None:
        assert lines.pop(0) == title
    assert all(line == line.rstrip() for line in lines)
    assert not any(" -0 " in f" {line} " for line in lines)
    place = 0
    for name, column in table.to_dict().items():
        shown = [name, *(fmt(value) for value in column.tolist())]
        width = max(map(len, shown))
        is_text = column.dtype.kind in "OUS"
        for line, cell in zip(lines, shown, strict=True):
            expected = cell.ljust(width) if is_text else cell.rjust(width)
            assert line[place : place + width].ljust(width) == expected
        place += width + 2


@given(st.dictionaries(names, cells, min_size=1, max_size=5))
def test_a_table_keeps_its_columns(columns):
    found = Table(columns).to_dict()
    assert list(found) == list(columns)
    for name, column in columns.items():
        assert found[name].tolist() == (
            column if isinstance(column, list) else [column] * len(found[name])
        )


# ---- verdicts ----------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", tables.VERDICTS)
def test_a_verdict_is_printed_with_the_claim_and_its_checks(capsys, verdict):
    checks = {
        "an error": (0.0361, "<", 0.1),
        "a count": (np.int64(350), ">=", 350),
        "a ratio": (1.0024, "in", (0.95, 1.05), ".3f"),
        "settled": np.True_,
    }
    decide("V4", verdict, "  A variance\nof 1. ", checks)
    assert capsys.readouterr().out.splitlines() == [
        'Claim V4: "A variance of 1."',
        f"Verdict: {verdict}",
        "  an error: 0.036 < 0.1",
        "  a count: 350 >= 350",
        "  a ratio: 1.002 in [0.95, 1.05]",
        "  settled: yes",
    ]


def test_a_long_verdict_is_wrapped(capsys):
    decide("V4", "true", "word " * 40, {"text " * 30: True})
    assert max(map(len, capsys.readouterr().out.splitlines())) <= tables.PAGE


@pytest.mark.parametrize(
    ("check", "shown"),
    [
        ((1, "<", 1), "1 < 1"),
        ((1.01, "<=", 1), "1 <= 1"),
        ((1.0, ">", 1), "1 > 1"),
        ((0.5, ">=", 1), "0.5 >= 1"),
        ((2, "==", 1), "2 == 1"),
        ((2.0, "in", (0, 1)), r"2 in \[0, 1\]"),
        (False, "no"),
    ],
)
def test_a_check_that_fails_raises_and_prints_nothing(capsys, check, shown):
    with pytest.raises(AssertionError, match=f"^Claim V4 is no longer wrong: two: {shown}$"):
        decide("V4", "wrong", "A claim.", {"one": True, "two": check})
    assert capsys.readouterr().out == ""


def test_a_bad_verdict_or_check_is_refused():
    with pytest.raises(ValueError, match=r"`verdict` must be one of .*Did you mean 'wrong'\?"):
        decide("V4", "wrnog", "A claim.", {"one": True})
    with pytest.raises(ValueError, match="`checks` must be a mapping with at least one check"):
        decide("V4", "wrong", "A claim.", {})
    with pytest.raises(ValueError, match="`statement` must be the claim"):
        decide("V4", "wrong", " ", {"one": True})
    for value in (1, "yes", None, np.array([True, True]), np.array(True)):
        with pytest.raises(TypeError, match=r"`checks\['one'\]` must be True or False"):
            decide("V4", "wrong", "A claim.", {"one": value})
    for check in ((1, "<"), (1, "~", 2), (np.nan, "<", 1), (1, "in", 2), (1, "<", np.inf)):
        with pytest.raises(ValueError, match=r"`checks\['one'\]"):
            decide("V4", "wrong", "A claim.", {"one": check})
    with pytest.raises(TypeError, match=r"`checks\['one'\]\[0\]` must be a finite number"):
        decide("V4", "wrong", "A claim.", {"one": (np.array([1.0, 2.0]), "<", 3)})
