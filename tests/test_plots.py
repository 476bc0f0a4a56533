"""Figures by what they hold (data, labels, alternative text), not by their pixels."""

import base64
import functools
import io
import sys

import matplotlib
import numpy as np
import pytest
from IPython.testing.globalipapp import start_ipython
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from matplotlib.image import imread

from initcore import plots

ALT = "Three measured medians lie on the straight line of the theory, within their bands."


def values(points=3, seeds=21):
    return np.arange(1.0, points + 1)[:, None] * np.linspace(0.5, 1.5, seeds)


def test_measured_draws_the_median_and_the_band_of_the_seeds():
    _, ax = plots.figure()
    plots.measured(ax, [1, 2, 3], values(), label="measured", series=1)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [1, 2, 3])
    assert line.get_linestyle() == "None" and line.get_marker() == plots.MARKERS[1]
    ends = ax.collections[0].get_paths()[0].vertices
    for point in (1, 2, 3):
        at = ends[ends[:, 0] == point, 1]
        np.testing.assert_allclose([at.min(), at.max()], [0.55 * point, 1.45 * point])


def test_banded_draws_as_measured_does():
    _, ax = plots.figure()
    plots.measured(ax, [1, 2, 3], values(), label="measured", series=1)
    quantiles = np.quantile(values(), [0.05, 0.5, 0.95], axis=1)
    plots.banded(ax, [1, 2, 3], quantiles, label="banded", series=1)
    (one, other), (band, again) = ax.lines, ax.collections
    np.testing.assert_array_equal(one.get_ydata(), other.get_ydata())
    np.testing.assert_array_equal(band.get_paths()[0].vertices, again.get_paths()[0].vertices)


def test_theory_is_a_line():
    _, ax = plots.figure()
    plots.theory(ax, [1, 2], [3.0, 4.0], label="theory")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [3, 4])
    assert line.get_marker() == "None" and line.get_linestyle() == "-"


def test_no_two_series_differ_in_colour_alone():
    looks = list(zip(plots.COLOURS, plots.MARKERS, plots.DASHES, strict=True))
    for kind in zip(*looks):
        assert len(set(map(str, kind))) == len(looks)


@pytest.mark.parametrize("colour", plots.COLOURS[:3])
def test_the_first_colours_stand_out_from_the_opaque_background(colour):
    """WCAG 2.2, 1.4.11: graphical objects have a contrast of at least 3 to 1."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3
    assert plots.STYLE["figure.facecolor"] == plots.STYLE["axes.facecolor"] == "white"


def test_finish_names_everything():
    _, ax = plots.figure()
    plots.measured(ax, [1, 2, 3], values(), label="tanh", line=True)
    plots.finish(ax, title="It grows", x="layer", y="std of a", log="y")
    assert ax.get_title("left") == "It grows"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "std of a")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["tanh"]
    plots.finish(ax, title="It grows", x="layer", y="std of a", log="xy", legend="right")
    assert ax.get_xscale() == "log"
    assert ax.get_legend().get_bbox_to_anchor().x0 >= ax.bbox.x1
    _, bare = plots.figure()
    plots.finish(bare, title="It grows", x="epoch", y="loss", legend="none")
    assert bare.get_legend() is None


def test_one_number_a_point_is_drawn_as_one_seed():
    drawn = []
    for measured in ([3.0, 1.0, 2.0], [[3.0], [1.0], [2.0]]):
        _, ax = plots.figure()
        plots.measured(ax, [1, 2, 3], measured, label="tanh")
        drawn.append(ax.lines[0].get_ydata().tolist())
    assert drawn == [[3.0, 1.0, 2.0]] * 2
    with pytest.raises(ValueError, match="`values` must be an array with 1 or 2 axes"):
        plots.measured(ax, [1, 2, 3], np.ones((3, 2, 2)), label="")


@pytest.mark.parametrize(("name", "whole"), [("layer", True), ("epoch", True), ("scale", False)])
def test_what_is_counted_has_no_ticks_between(name, whole):
    fig, ax = plots.figure()
    ax.plot([0, 1, 2], [0, 1, 2])
    plots.finish(ax, title="It grows", x=name, y="loss", legend="none")
    fig.draw_without_rendering()
    assert all(float(tick).is_integer() for tick in ax.get_xticks()) is whole


def test_layer_histograms_pool_everything_and_mark_the_ends():
    layers = [np.linspace(-1, 1, 24).reshape(2, 3, 4), np.linspace(-0.5, 0.5, 24).reshape(6, 4)]
    rows = {"one": layers, "twice": [2 * layer for layer in layers]}
    fig = plots.layer_histograms(rows, title="Shrinking")
    for ax, layer in zip(fig.axes, [*rows["one"], *rows["twice"]], strict=True):
        heights = np.array([bar.get_height() for bar in ax.patches])
        edges = np.array([bar.get_x() for bar in ax.patches])
        expected, ends = np.histogram(layer, plots.BINS, range=(-2, 2), density=True)  # one axis
        np.testing.assert_allclose(heights, expected)
        np.testing.assert_allclose(edges, ends[:-1])
    assert [ax.get_ylabel() for ax in fig.axes] == ["one", "", "twice", ""]
    assert fig.get_suptitle() == "Shrinking" and fig.get_supxlabel() == "activation"
    assert fig._suptitle.get_fontsize() == plots.STYLE["axes.titlesize"]
    alone = plots.layer_histograms({"one": layers}, title="Shrinking")
    assert 1 < fig.get_figheight() - alone.get_figheight() < 1.5  # inches for a row
    narrow = plots.layer_histograms(rows, title="Shrinking", limit=0.5)
    bars = narrow.axes[0].patches
    assert (bars[0].get_x(), bars[-1].get_x() + bars[-1].get_width()) == pytest.approx((-0.5, 0.5))


def test_layer_histograms_of_powers_of_ten_say_what_is_zero():
    fig = plots.layer_histograms({"a": [[[0.0, 1e-3, -1e-1, 1.0]]]}, title="x", log=True)
    (ax,) = fig.axes
    filled = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches if bar.get_height()]
    assert filled == pytest.approx([-3, -1, 0], abs=3 / plots.BINS)
    assert [text.get_text() for text in ax.texts] == ["25% zeros"]
    assert fig.get_supxlabel() == "log10 |activation|"
    inside = (
        plots.layer_histograms({"a": [[[1.0]]]}, title="x", log=True, limit=2.0).axes[0].patches
    )
    assert inside[0].get_x() == -2 and inside[plots.BINS // 2].get_height() > 0
    none = plots.layer_histograms({"a": [[[0.0]], [[1.0]]]}, title="x", log=True)
    assert not none.axes[0].patches and none.axes[0].texts[0].get_text() == "100% zeros"


def test_a_chart_draws_each_series_and_its_theory_in_one_colour():
    series = {"tanh": values(), "relu": [1.0, 2.0, 3.0]}
    lines = {"relu": [1.0, 2.0, 3.5], "bound": [4.0, 4.0, 4.0]}
    fig = plots.chart(
        [1, 2, 3], series, theory=lines, title="It grows", xlabel="layer", ylabel="q", log="y"
    )
    (ax,) = fig.axes
    tanh, relu, theory, bound = ax.lines
    np.testing.assert_allclose(tanh.get_ydata(), [1, 2, 3])
    np.testing.assert_allclose(theory.get_ydata(), lines["relu"])
    assert relu.get_color() == theory.get_color() == plots.COLOURS[1]
    assert bound.get_color() not in plots.COLOURS[:2]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["tanh", "relu", "bound"]
    assert ax.get_title("left") == "It grows" and ax.get_yscale() == "log"
    bare = plots.chart([1], {"a": [1.0]}, title="t", xlabel="x", ylabel="y", legend="none")
    assert bare.axes[0].get_legend() is None
    _, (left, right) = plots.figure(2)
    names = {"title": "", "xlabel": "epoch", "ylabel": "loss", "line": True, "ax": right}
    assert plots.chart([0, 1], {"a": [1.0, 2.0]}, **names) is right.figure
    assert not left.lines and right.lines[0].get_linestyle() == plots.DASHES[0]


@pytest.mark.parametrize("without_ipython", [False, True])
def test_show_outside_a_notebook_prints_the_text(capsys, monkeypatch, without_ipython):
    if without_ipython:
        monkeypatch.setitem(sys.modules, "IPython", None)
    plots.show(plots.figure()[0], f"  {ALT}\n")
    assert capsys.readouterr().out == f"Figure: {ALT}\n"


@pytest.fixture(name="shell")
def _shell(monkeypatch):
    shell = start_ipython()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    return shell


@pytest.mark.usefixtures("shell")
def test_show_in_a_notebook_stores_picture_and_text_together():
    def stored():
        fig, ax = plots.figure()
        plots.measured(ax, [1, 2, 3], values(), label="measured")
        with capture_output() as captured:
            plots.show(fig, ALT)
        (output,) = captured.outputs
        return output.data, output.metadata

    data, metadata = stored()
    assert data["text/plain"] == f"Figure: {ALT}"
    assert metadata["image/png"]["alt"] == ALT
    picture = data["image/png"]
    picture = base64.b64decode(picture) if isinstance(picture, str) else picture
    pixels = imread(io.BytesIO(picture), format="png")
    assert pixels.shape[1] == round(plots.WIDTH * plots.DPI)
    assert metadata["image/png"]["width"] == plots.PIXELS
    assert pixels[0, 0].tolist() == [1, 1, 1, 1]  # opaque white
    assert b"Matplotlib" not in picture  # no version: the bytes change only if the picture does
    assert stored()[0] == data


def test_figures_leave_no_global_state():
    before = dict(matplotlib.rcParams)
    assert isinstance(plots.figure(2)[0], Figure)
    plots.layer_histograms({"a": [np.eye(3)]}, title="one")
    assert dict(matplotlib.rcParams) == before


HISTOGRAMS = functools.partial(plots.layer_histograms, title="")
IMAGES = functools.partial(plots.images, title="")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ax: plots.measured(ax, [1, 2], values(), label=""), "`values` must be"),
        (lambda ax: plots.measured(ax, [1], [[np.inf]], label=""), "`values` must be finite"),
        (lambda ax: plots.measured(ax, [1], [[1]], label="", series=-1), "`series`"),
        (lambda ax: plots.banded(ax, [1, 2], np.ones((3, 3)), label=""), r"of shape \(3, 2\)"),
        (lambda ax: plots.theory(ax, [1, 2], [1.0]), "`values` must be"),
        (lambda ax: plots.finish(ax, title="", x="", y="", log="z"), "`log` must be"),
        (lambda ax: plots.finish(ax, title="", x="", y="", legend="rihgt"), "mean 'right'"),
        (lambda ax: HISTOGRAMS({}), "`rows` must be"),
        (lambda ax: HISTOGRAMS({"a": []}), "at least one"),
        (lambda ax: HISTOGRAMS({"a": [[1.0]], "b": [[1.0]] * 2}), "the same number of layers"),
        (lambda ax: HISTOGRAMS({"a": [[0.0]]}, log=True), "other than 0"),
        (lambda ax: plots.chart([1], {}, title="", xlabel="", ylabel=""), "`series` must be"),
        (lambda ax: plots.figure(0), "`columns` must be"),
        (lambda ax: plots.figure(2**70), "`columns` must be .* at most 100"),
        (lambda ax: plots.show(ax, ALT), "`fig` must be a Matplotlib Figure"),
        (lambda ax: plots.show(ax.figure, "too short"), "`alt` must be a text"),
        (lambda ax: IMAGES([]), "`rows` must be an array with 3 axes"),
        (lambda ax: IMAGES([np.ones((2, 5))]), "square pictures"),
        (lambda ax: IMAGES([np.ones((2, 4)), np.ones((3, 4))]), "`rows` must be a rectangular"),
        (lambda ax: IMAGES([-np.ones((2, 4))]), "at least 0, as `signed` is False"),
        (lambda ax: IMAGES([np.ones((2, 4))], labels=["a", "b"]), "a sequence of 1 texts"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call(plots.figure()[1])


def test_images_share_one_scale():
    rows = [np.arange(8.0).reshape(2, 4), np.arange(8.0)[::-1].reshape(2, 4) / 2]
    fig = plots.images(rows, title="Two rows", labels=["up", "down"], quantity="ink")
    *pictures, bar = fig.axes
    assert [ax.get_ylabel() for ax in pictures] == ["up", "", "down", ""]
    assert bar.get_ylabel() == "ink" and fig.get_suptitle() == "Two rows"
    for ax, picture in zip(pictures, np.concatenate(rows), strict=True):
        (shown,) = ax.images
        np.testing.assert_array_equal(shown.get_array(), picture.reshape(2, 2))
        assert shown.get_clim() == (0, 7) and shown.cmap(0.0)[:3] == (1, 1, 1)


def test_signed_images_have_white_at_zero():
    fig = plots.images([[[-2.0, 0, 0, 1]]], title="Signs", signed=True)
    (shown,) = fig.axes[0].images
    assert shown.get_clim() == (-2, 2)
    assert min(shown.cmap(0.5)[:3]) > 0.94
    assert plots.images([np.zeros((1, 4))], title="Blank").axes[0].images[0].get_clim() == (0, 1)
