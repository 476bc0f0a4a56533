"""The live figures in a browser: they show what Python computed, by every kind of control."""

import json
import math
import re

import numpy as np
import pytest
from checks import Watch, settle, wait_until
from playwright.sync_api import expect

from initcore.explorers import EXPLORERS
from initcore.explorers._base import FILES
from initcore.explorers._digits import to_image
from initcore.tables import fmt
from website.tools.notebooks import ROOT, WIDGET_STATE

kinds = pytest.mark.parametrize("kind", EXPLORERS.values(), ids=EXPLORERS)
LIVE = ".explorer.is-live .ie-says:not(:empty)"


@pytest.fixture
def page(browser):
    """A wide page of a reader who wants no motion: nothing changes but by the controls."""
    options = {"viewport": {"width": 1280, "height": 1000}, "reduced_motion": "reduce"}
    with browser.new_context(**options) as context:
        context.set_default_timeout(20_000)
        yield context.new_page()


def open_figure(page, site, kind, **state):
    """Open the page of a figure in a state that the address names, with its numbers unfolded."""
    query = "&".join(f"{name}={json.dumps(value).strip(chr(34))}" for name, value in state.items())
    page.goto(f"{site}/embed/{kind.NAME}.html?{query}")
    page.wait_for_selector(LIVE)
    page.locator("details.ie-numbers summary").click()
    page.wait_for_selector("details.ie-numbers td")


# --- the table and the picture ----------------------------------------------------------------


def test_numbers_are_written_as_in_python(page):
    """Three digits, or as many as are asked for: JavaScript rounds a tie up, Python to even."""
    values = [0.0, 1.0, -0.07068, 0.000999, 1e-3, 9.996, 99999.0, 1e5, 123456.0, 1.8447e19, 5e-324]
    values += [-1.234567e-300, 1 / 3, 250.51, math.inf]
    code = "([kit, ...rest]) => Function('values', 'digits', kit)(...rest)"
    kit = FILES.joinpath("kit.js").read_text("utf-8")
    kit += "\nreturn values.map((value) => number(value, digits));"
    for digits in (2, 3, 5):
        shown = page.evaluate(code, [kit, values, digits])
        assert list(map(number_in, shown)) == [float(fmt(v, f".{digits}g")) for v in values]
    texts = page.evaluate(code, [kit, [None, "RBM", 1.125, 0.0707, 1.2e-5, 3200], 3])
    assert texts == ["–", "RBM", "1.13", "0.0707", "1.20e−5", "3200"]
    assert fmt(1.125, ".3g") == "1.12"


def test_a_printed_table_is_written_as_by_python(page):
    """To the letter, ties too."""
    values = [0.0, 1.0, -0.07068, 9.99e-5, 1e-4, 9.996, 999.4, 999.6, 123456.0, 5e-324, 1.8447e19]
    values += [1.125, 1.135, 1.145, 1.375, 0.125, 0.375, 0.05, 0.15, 0.25, 0.75, 2.5, 112.5, 1025.0]
    code = "([kit, ...rest]) => Function('values', 'format', kit)(...rest)"
    kit = FILES.joinpath("follow.js").read_text("utf-8")
    kit += "\nreturn values.map((value) => printed(value, format));"
    for spec in (".3g", ".1f", ".2f"):
        assert page.evaluate(code, [kit, values, spec]) == [fmt(v, spec) for v in values], spec


def number_in(text):
    """Return the number in a cell; a dash is none."""
    return math.nan if text == "–" else float(text.replace("−", "-"))


def assert_table(page, figure):
    """Compare the table on the page with the one that Python reads, to three digits."""
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    head, *rows = page.locator("details.ie-numbers tr").evaluate_all(read)
    reading = figure.reading()
    assert head == list(reading.columns), figure
    expected = np.array([reading[name] for name in head], dtype=float).T
    shown = np.array([[number_in(cell) for cell in row] for row in rows])
    np.testing.assert_allclose(shown, expected, rtol=0.006, atol=1e-12, err_msg=repr(figure))


#: Series that are no column of the table: levels, and the reader's place.
OTHERS = {"now", "linear", "mean image", "bound low", "bound high", "mine"}
# From the first point of a marker's outline to its middle, by how the outline goes on.
MIDDLES = {"a4": (4, 0), "h7": (3.5, 3.5), "l5 5": (0, 5), "l5 9": (0, 5)}

READ_CHARTS = r"""charts => charts.map((chart) => ({
    x: JSON.parse(chart.dataset.x),
    y: JSON.parse(chart.dataset.y),
    frame: chart.querySelector(".ie-frame").getAttribute("d").match(/[\d.]+/g).map(Number),
    series: Object.fromEntries([...chart.querySelectorAll("[data-series]")].map(
        (path) => [path.dataset.series, path.getAttribute("d")]
    )),
}))"""


def points(path):
    """Return the places of the markers, or of the corners of a line, in pixels."""
    if "L" in path:
        return np.array([one.split() for one in path[1:].split("L")], dtype=float)
    found = re.findall(r"M([-\d.]+) ([-\d.]+)(a4|h7|l5 5|l5 9)", path)
    middles = np.array([MIDDLES[outline] for *_, outline in found]).reshape(-1, 2)
    return np.array([corner for *corner, _ in found], dtype=float).reshape(-1, 2) + middles


def pixels(values, axis, start, end):
    """Return where values stand on an axis; what is off it stands at its edge."""
    (low, high), log = axis
    values = np.clip(np.array(values, dtype=float), low, high)
    if log:
        values, low, high = np.log(values), np.log(low), np.log(high)
    return start + (values - low) / (high - low) * (end - start)


def assert_charts(page, figure):
    """Compare every marker and theory line with Python's numbers, to a fifth of a pixel."""
    reading = figure.reading()
    x = reading[reading.columns[0]].astype(float)
    if figure.NAME == "zeros":  # its steps are not to scale
        x = np.arange(len(x))
    for chart in page.locator("svg[data-x]").evaluate_all(READ_CHARTS):
        left, top, bottom, right = chart["frame"]
        for series, path in chart["series"].items():
            column = series.format(**figure.state)
            if column not in reading.columns:
                assert series in OTHERS or figure.state.get("activation") == "relu", series
                continue
            y = reading[column].astype(float)
            expected = [pixels(x, chart["x"], left, right), pixels(y, chart["y"], bottom, top)]
            where = f"{figure}, {series}"
            np.testing.assert_allclose(points(path).T, expected, rtol=0, atol=0.2, err_msg=where)


def attributes(page, selector, *names):
    """Return attributes of elements as numbers, a row for each element."""
    read = "(all, names) => all.map((one) => names.map((name) => Number(one.getAttribute(name))))"
    return np.array(page.locator(selector).evaluate_all(read, list(names)))


def assert_digit(page, selector, text):
    """Compare the ink of an 8 × 8 picture with the text that Python stored."""
    np.testing.assert_allclose(attributes(page, selector, "fill-opacity")[:, 0], to_image(text))


def assert_opening(page, figure):
    """The dots: the activations by their areas, negative ones as rings; and the digit."""
    values = figure.values().ravel()
    dots = ".ie-opening-dots :is(.ie-opening-positive, .ie-opening-negative)"
    radii = attributes(page, dots, "r")[:, 0]
    wide = attributes(page, ".ie-opening-dots", "width")[0, 0] - 58 - 14  # without the margins
    full = wide / 10 / 4 - 0.6  # room for four dots in each of ten columns
    np.testing.assert_allclose(radii, min(10, full) * np.sqrt(np.abs(values)), atol=0.051)
    rings = page.locator(dots).evaluate_all("all => all.map((one) => one.className.baseVal)")
    assert [ring.endswith("negative") for ring in rings] == (values < 0).tolist()
    assert_digit(page, ".ie-opening-pixel", figure.load()["shared"]["digits"][figure.digit])


def assert_pretraining(page, figure):
    """The digit and its five copies, for both starts."""
    numbers = figure.load()
    digit = numbers["shared"]["digits"][figure.digit]
    noise = f"{figure.noise:g}"
    both = [numbers["cases"][figure.stack][noise], numbers["shared"]["without"][noise]]
    pictures = [text for one in both for text in (digit, *one["pictures"][figure.digit])]
    for place, text in enumerate(pictures):
        assert_digit(page, f":nth-match(.ie-pretraining-picture, {place + 1}) rect", text)


def assert_zeros(page, figure):
    """The line at the present step."""
    (chart, *_) = page.locator("svg[data-x]").evaluate_all(READ_CHARTS)
    units, now = points(chart["series"]["distinct units"]), points(chart["series"]["now"])
    place = figure.described_controls()["step"]["values"].index(figure.step)
    np.testing.assert_allclose(now[:, 0], units[place, 0], atol=0.2)


def assert_depth(page, figure):
    """The map's shades, and the reader's place in it."""
    cells = attributes(page, ".ie-depth-cells rect", "data-depth", "data-gain", "fill-opacity")
    cases = figure.load()["cases"]
    expected = [cases[f"{depth:g} {gain:g}"]["accuracy"]["mid"] for depth, gain, _ in cells]
    assert len(cells) == len(cases) and np.corrcoef(expected, cells[:, 2])[0, 1] > 0.9999
    mine = f".ie-depth-cells [data-depth='{figure.depth}'][data-gain='{figure.gain:g}']"
    here = attributes(page, ".ie-depth-mine", "x", "y")
    np.testing.assert_allclose(here, attributes(page, mine, "x", "y"), atol=0.01)


def assert_clinic(page, figure):
    """The table that is always there: the cells that `diagnose` prints, and both ways by number."""
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    head, *rows = page.locator("div.ie-numbers tr").evaluate_all(read)
    columns = dict(zip(head, zip(*rows)))
    case = figure.case()
    assert head == ["layer", *case["table"]]
    for name, cells in case["table"].items():
        if cells is None:
            shown = [number_in(cell.partition(" ")[0]) for cell in columns[name]]
            np.testing.assert_allclose(shown, case[name]["mid"], rtol=0.06)  # two digits
        else:
            assert list(columns[name]) == cells


OWN = {
    "clinic": assert_clinic,
    "opening": assert_opening,
    "pretraining": assert_pretraining,
    "zeros": assert_zeros,
    "depth": assert_depth,
}


def assert_shows(page, figure):
    """Compare the table and all that is drawn with Python's numbers."""
    assert_table(page, figure)
    assert_charts(page, figure)
    if figure.NAME in OWN:
        OWN[figure.NAME](page, figure)


# --- controls ---------------------------------------------------------------------------------


@kinds
def test_an_address_names_a_state(site, page, kind):
    """The state at first, and for each control the one at its other end."""
    ends = [
        {name: about["values"][0 if about["start"] != about["values"][0] else -1]}
        for name, about in kind.described_controls().items()
    ]
    for state in ({}, *ends):
        open_figure(page, site, kind, **state)
        assert_shows(page, kind(**state))


def by_key(page, name, about, place):
    """Move a control by one key to the next value, or back from the last; return its place."""
    onward = place + 1 < len(about["values"])
    place += 1 if onward else -1
    selector, back, forth = {
        "check": (f"input[name={name}]", "Space", "Space"),
        "radio": (f"input[data-key={name}]:checked", "ArrowUp", "ArrowDown"),
        "list": (f"select[name={name}]", "ArrowUp", "ArrowDown"),
        "range": (f"input[name={name}]", "ArrowLeft", "ArrowRight"),
    }[about["kind"]]
    page.locator(selector).press(forth if onward else back)
    if about["kind"] == "range":
        assert page.locator(selector).get_attribute("aria-valuetext") == about["texts"][place]
    return place


@kinds
def test_every_control_moves_the_picture_by_key(site, page, kind):
    open_figure(page, site, kind)
    state = kind().state
    for name, about in kind.described_controls().items():
        place = by_key(page, name, about, about["values"].index(state[name]))
        state[name] = about["values"][place]
        assert_shows(page, kind(**state))
    page.get_by_role("button", name="Reset").click()
    assert_shows(page, kind())


def test_a_slider_follows_its_drag(site, page):
    """Step by step, before the pointer lets go."""
    kind = EXPLORERS["scale"]
    open_figure(page, site, kind, sd=0.01)
    slider = page.locator("input[name=sd]")
    box = slider.bounding_box()
    seen = set()
    for share in (0.02, 0.3, 0.6, 0.9):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        if not seen:
            page.mouse.down()  # and not up before the end
        sd = kind.described_controls()["sd"]["values"][int(slider.input_value())]
        assert_shows(page, kind(sd=sd))
        seen.add(sd)
    assert len(seen) == 4


def test_a_place_in_the_map_can_be_tapped(site, page):
    kind = EXPLORERS["depth"]
    open_figure(page, site, kind)
    page.locator(".ie-depth-cells [data-depth='4'][data-gain='5.6']").click()
    assert_shows(page, kind(depth=4, gain=5.6))


def test_a_guess_is_locked_in_and_the_verdict_is_unfolded(site, page):
    kind = EXPLORERS["clinic"]
    known = kind.described_controls()["guess"]
    open_figure(page, site, kind, patient="H")
    guess, lock, says = (page.locator(one) for one in ("[name=guess]", "[name=locked]", ".ie-says"))
    assert lock.is_disabled() and says.text_content().endswith("What is wrong?")
    for chosen, told in (("small", "No. With hidden"), ("one", "Right. With weights of one layer")):
        guess.select_option(known["texts"][known["values"].index(chosen)])
        lock.check()
        assert guess.is_disabled() and says.text_content().startswith(told)
        expect(page.locator(".ie-hidden[role=status]")).to_have_text(says.text_content())
        lock.uncheck()
    verdict = page.locator("details", has=page.get_by_text("The verdict of diagnose"))
    verdict.locator("summary").press("Enter")
    assert verdict.locator("p").all_text_contents() == kind(patient="H").case()["verdict"]
    lock.check()
    page.locator("[name=patient]").select_option("A")
    assert_shows(page, kind(patient="A"))
    assert guess.input_value() == "0" and lock.is_disabled() and not lock.is_checked()
    assert says.text_content().startswith("Patient A, ReLU, 7 layers")
    assert verdict.get_attribute("open") is None


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_change_goes_through_the_net_layer_by_layer(site, browser, motion):
    """At once for a reader who wants no motion: the other tests rely on it."""
    kind = EXPLORERS["opening"]
    with browser.new_context(reduced_motion=motion) as context:
        page = context.new_page()
        open_figure(page, site, kind, weights="zeros", activation="tanh")
        code = """() => {
            document.querySelector("input[data-key=weights][value='3']").click();
            const last = document.querySelector(".ie-opening-dots g:last-of-type");
            const moves = last.getAnimations({ subtree: true });
            return moves.map((one) => one.effect.getComputedTiming().delay);
        }"""
        delays = page.evaluate(code)
        assert set(delays) == (set() if motion == "reduce" else {720})
        assert_opening(page, kind(weights="he_normal", activation="tanh"))


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_colours_that_the_reader_forces_are_used(site, browser, colours):
    options = {"forced_colors": "active", "color_scheme": colours}
    with browser.new_context(**options) as context:
        page = context.new_page()
        open_figure(page, site, EXPLORERS["scale"])
        drawn = "one => getComputedStyle(document.querySelector(one)).fill"
        own = """colour => {
            const one = document.body.appendChild(document.createElement("p"));
            one.style = `forced-color-adjust: none; color: ${colour}`;
            return getComputedStyle(one).color;
        }"""
        for series, colour in ("pooled spread", "LinkText"), ("spread across inputs", "Highlight"):
            selector = f"[data-series='{series}']"
            assert page.evaluate(drawn, selector) == page.evaluate(own, colour), series
        assert page.evaluate(own, "LinkText") != page.evaluate(own, "Canvas")


# --- the host ---------------------------------------------------------------------------------


def test_a_wrong_address_is_told_and_shows_the_start(site, page):
    open_figure(page, site, EXPLORERS["scale"], sd=7)
    told = page.locator(".explorer-live > p").first.text_content()
    assert "sd=7" in told and "0.01" in told
    assert_shows(page, EXPLORERS["scale"]())


def test_a_view_is_shared_by_its_address(site, page):
    open_figure(page, site, EXPLORERS["scale"], activation="sigmoid", sd=3)
    page.get_by_role("button", name="Copy a link").click()
    wait_until(page, "() => location.search.includes('activation=sigmoid')")
    assert "sd=3" in page.url and page.url.endswith("#explorer-scale")


@pytest.mark.parametrize(
    ("named", "expected"), [("scale", ["20", "5"]), ("other", ["5", "20"]), ("", ["20", "20"])]
)
def test_an_address_is_for_the_figure_that_its_hash_names(site, page, named, expected):
    """On a page with two figures: the second one has another name and all else in common."""

    def twice(route):
        text = route.fetch().text()
        figure = re.search(r'<div class="explorer".*?</div>', text, re.DOTALL).group()
        route.fulfill(body=text.replace(figure, figure + figure.replace("-scale", "-other")))

    page.route("**/embed/scale.html*", twice)
    page.goto(f"{site}/embed/scale.html?depth=20" + (f"#explorer-{named}" if named else ""))
    depths = []
    for name in ("scale", "other"):
        page.locator(f"#explorer-{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#explorer-{name}{LIVE.removeprefix('.explorer')}")
        depths.append(page.locator(f"#explorer-{name} output:has(+ [name=depth])").text_content())
    assert depths == expected


@pytest.mark.parametrize("part", ["esm", "state", "css"])
def test_what_cannot_be_loaded_is_told_and_the_still_stays(site, page, part):
    watch = Watch(page, site)
    page.goto(f"{site}/embed/scale.html")
    page.wait_for_selector(LIVE)
    name = page.locator(".explorer").get_attribute(f"data-{part}")
    page.route(f"**/{name}", lambda route: route.fulfill(status=404))
    assert watch.faults == []
    page.reload()
    note = page.locator(".explorer > p.explorer-note")
    note.wait_for()
    assert re.fullmatch(
        rf"The live figure could not be loaded: .*{name}.*; this is a still picture\.",
        note.text_content(),
    )
    assert page.locator(".explorer > img").is_visible()
    assert page.locator(".explorer-live").count() == 0
    assert any("The live figure scale does not work" in fault for fault in watch.faults)


def test_a_figure_that_is_removed_watches_nothing_any_more(site, page):
    """JupyterLab removes figures all the time: each observer of a figure ends with it."""
    page.add_init_script(
        """window.watching = new Set();
        for (const name of ["ResizeObserver", "IntersectionObserver"])
            window[name] = class extends window[name] {
                observe(...all) { watching.add(this); super.observe(...all); }
                disconnect() { watching.delete(this); super.disconnect(); }
            };"""
    )
    for name in EXPLORERS:
        page.goto(f"{site}/embed/{name}.html")
        page.wait_for_selector(LIVE)
        before, during, after = page.evaluate(
            """async () => {
                const { esm, state } = document.querySelector(".explorer").dataset;
                const of = (name) => `../_static/explorers/${name}`;
                const { default: widget } = await import(new URL(of(esm), location));
                const values = await (await fetch(of(state))).json();
                const model = { get: (key) => values[key], on() {}, off() {}, set() {} };
                const el = document.body.appendChild(document.createElement("div"));
                const before = watching.size;
                const remove = await widget.render({ model, el });
                const during = watching.size;
                remove();
                return [before, during, watching.size];
            }"""
        )
        assert during > before == after, name


# --- on the pages of the course ---------------------------------------------------------------


def assert_comes_to_life(page, address):
    """Go to the figures of a page as a reader does, then print it."""
    watch = Watch(page, address)
    page.goto(address)
    settle(page)
    figures = page.locator(".explorer")
    assert figures.count() >= 1
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        figure.locator(".ie-says:not(:empty)").wait_for()
        assert figure.locator("svg[role=img]").first.is_visible()
        assert not figure.locator("> :not(.explorer-live) img, > img").first.is_visible()
    page.emulate_media(media="print")
    for figure in figures.all():
        assert figure.locator("img").first.is_visible()
        assert not figure.locator(".explorer-live").is_visible()
    assert watch.faults == []


def stored_state(chapter, name):
    """Return the state in which a chapter shows a figure."""
    path = (ROOT / chapter).with_suffix(".ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    models = notebook["metadata"]["widgets"][WIDGET_STATE]["state"].values()
    (state,) = (one["state"] for one in models if one["state"].get("name") == name)
    return {control["key"]: state[control["key"]] for control in state["controls"]}


def test_the_table_that_is_printed_below_a_figure_follows_it(site, page, chapter):
    """To the letter what Python would print; on paper, with the still picture, what it printed."""
    page.goto(f"{site}/{chapter}")
    settle(page)
    place = page.locator(".explorer")
    place.scroll_into_view_if_needed()
    place.locator(".ie-says:not(:empty)").wait_for()
    kind = EXPLORERS[place.get_attribute("data-name")]
    state = stored_state(chapter, kind.NAME)
    table = page.locator(".cell_output:has(> .explorer) pre")
    printed = table.text_content()
    names = re.split(" {2,}", printed.partition("\n")[0].strip())

    def expected():
        """Return what the cell would print of this state, the columns by their names at first."""
        reading = kind(**state).reading()
        first = [head.format(**stored_state(chapter, kind.NAME)) for head in kind.COLUMNS]
        heads = [list(kind.COLUMNS)[first.index(name)].format(**state) for name in names]
        return f"{reading.select(*(head for head in heads if head in reading.columns))}\n"

    assert printed == expected()
    for name, about in kind.described_controls().items():
        number = by_key(page, name, about, about["values"].index(state[name]))
        state[name] = about["values"][number]
        assert table.text_content() == expected(), state
    page.emulate_media(media="print")
    expect(table).to_have_text(printed)
    assert printed == table.text_content() != expected()
    page.emulate_media(media="screen")
    place.get_by_role("button", name="Reset").click()
    assert table.text_content() == printed


def test_the_figures_of_a_chapter_come_to_life(site, page, chapter):
    assert_comes_to_life(page, f"{site}/{chapter}")


def test_the_figure_of_the_opening_page_comes_to_life(site, page):
    assert_comes_to_life(page, f"{site}/intro.html")
