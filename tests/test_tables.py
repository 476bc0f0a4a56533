"""The tables that notebooks print: aligned, rounded, and the same text everywhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import tables
from initcore.tables import Table, decide, fmt, spread

specs = st.sampled_from([".4g", ".3g", ".2e", ".3f", ".0f", ".2f"])


# ---- one value ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.0706812, ".4g", "0.07068"),
        (2.35e-6, ".4g", "2.35e-06"),
        (0.5, ".0f", "0"),
        (-1e-9, ".3f", "0.000"),
        (-0.0006, ".3f", "-0.001"),
        (-0.0, ".2e", "0.00e+00"),
        (-1e-10, ".1e", "-1.0e-10"),
        (math.nan, ".4g", "nan"),
        (-math.inf, ".4g", "-inf"),
        (-3, ".2e", "-3"),
        (np.int64(7), ".2f", "7"),
        (np.float32(0.1), ".4g", "0.1"),
        (True, ".2f", "yes"),
        (np.False_, ".2f", "no"),
        ("-0.0", ".2f", "-0.0"),
    ],
)
def test_fmt(value, spec, text):
    assert fmt(value, spec) == text


@given(st.floats(), specs)
@settings(max_examples=300)
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


def test_spread_is_the_median_and_the_5_to_95_percent_band_without_the_axis_of_the_seeds():
    values = np.arange(101.0)[:, None] * [1.0, 10.0, 100.0]
    expected = ["50 [5, 95]", "500 [50, 950]", "5e+03 [500, 9.5e+03]"]
    assert spread(values.T).tolist() == expected
    assert spread(values[:, 0].tolist(), ".1f").item() == "50.0 [5.0, 95.0]"
    assert spread(np.zeros((2, 3, 5))).shape == (2, 3)
    assert spread([math.nan, 1.0]).item() == "nan [nan, nan]"
    with pytest.raises(TypeError, match="`values` must be an array of real numbers"):
        spread(["a"])


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
        formats={"std": ".3f", "start": ".1f"},
    )


def test_a_table_prints_aligned_rounded_and_without_trailing_spaces(table):
    assert str(table).splitlines() == [
        "tanh",
        "layer  start       std  dead  depth",
        "    1  He        0.098    no      3",
        "    2  Glorot    0.000   yes      3",
        "   10  zeros   123.456    no      3",
    ]
    assert repr(table) == str(table)


def test_columns_are_reached_by_name_and_selected(table):
    assert table.columns == tuple(table) == ("layer", "start", "std", "dead", "depth")
    assert len(table) == 3
    assert table["depth"].tolist() == [3, 3, 3]
    assert table["std"][2] == 123.456  # what is printed is rounded, what is kept is not
    fewer = table.select("std", "layer")
    assert fewer.columns == ("std", "layer")
    assert str(fewer).splitlines()[::2] == ["tanh", "  0.098      1", "123.456     10"]
    columns = table.to_dict()
    assert list(columns) == list(table.columns)
    columns["std"][:] = 0.0
    assert table["std"][2] == 123.456


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table: Table({}), "a mapping with at least one column"),
        (
            lambda table: Table({"x": [1, 2], "y": [1]}),
            "one length. Received: columns={'x': 2",
        ),
        (lambda table: Table(1), "`columns` must be a mapping with at least one column"),
        (lambda table: Table({"x": [[1, 2]], "y": [1, 2]}), "columns of one length"),
        (lambda table: Table({"x": np.ones((1, 2, 3))}), r"shape \(rows,\) or \(rows, replicas\)"),
        (lambda table: Table({"std": [1.0]}, formats={"sd": ".2f"}), "`formats` .* mean 'std'"),
        (lambda table: table["sdt"], "`column` must be one of .*'sdt'. Did you mean 'std'"),
        (lambda table: table[0], "`column` must be one of"),
        (lambda table: table.select("std", "nothing"), "`column` must be one of"),
        (lambda table: table.select(), "at least one column"),
    ],
)
def test_bad_columns_are_refused(table, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(table)


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


names = st.text("abcdefgh", min_size=1, max_size=8)
cells = st.one_of(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=3),
    st.lists(st.text("xyz", max_size=6), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.floats(-1e6, 1e6),
)


@given(st.dictionaries(names, cells, min_size=1, max_size=5), st.none() | names)
@settings(max_examples=200)
def test_any_table_is_aligned(columns, title):
    """Every column begins, or ends, in one place; nothing trails; no number is minus zero."""
    table = Table(columns, title=title)
    lines = str(table).split("\n")
    assert len(lines) == 1 + len(table) + (title is not None)
    if title is not None:
        assert lines.pop(0) == title
    assert all(line == line.rstrip() for line in lines)
    assert not any(" -0 " in f" {line} " for line in lines)
    assert list(table) == list(columns)
    place = 0
    for name, column in table.to_dict().items():
        given_ = columns[name]
        assert column.tolist() == (given_ if isinstance(given_, list) else [given_] * len(table))
        shown = [name, *(fmt(value) for value in column.tolist())]
        width = max(map(len, shown))
        is_text = column.dtype.kind in "OUS"
        for line, cell in zip(lines, shown, strict=True):
            expected = cell.ljust(width) if is_text else cell.rjust(width)
            assert line[place : place + width].ljust(width) == expected
        place += width + 2


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wrnog", "A claim.", {"one": True}), r"`verdict` must be one of .*mean 'wrong'\?"),
        (("wrong", "A claim.", 1), "`checks` must be a mapping with at least one check"),
        (("wrong", "A claim.", {}), "`checks` must be a mapping with at least one check"),
        (("wrong", " ", {"one": True}), "`statement` must be the claim"),
        *(
            (("wrong", "A claim.", {"one": check}), r"`checks\['one'\]")
            for check in (1, "yes", None, np.array(True), (1, "<"), (1, "~", 2), (np.nan, "<", 1))
            + ((1, "in", 2), (1, "<", np.inf), (np.array([1.0, 2.0]), "<", 3))
        ),
    ],
)
def test_a_bad_verdict_or_check_is_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        decide("V4", *arguments)
