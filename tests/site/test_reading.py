"""The site as it is read: by keyboard, on a phone, on paper, without JavaScript, from a folder."""

import re
from html import unescape
from pathlib import Path

import pytest
from checks import Watch, faults_of_paper, hidden_edges, settle, wait_until
from conftest import page_names, site_folder
from snowballstemmer import stemmer

CHAPTER = "chapters/03_small_random_weights.html"
# What people type, and the page that comes first, or the two that do.
QUERIES = {
    "kaiming": ("glossary", "07_he"),
    "xavier": ("glossary", "06_glorot"),
    "xavier init": ("glossary", "06_glorot"),
    "He initialization": ("glossary", "07_he"),
    "Glorot initialization": ("glossary", "06_glorot"),
    "xavier vs he": ("07_he",),
    "sigmoid glorot": ("06_glorot",),
    "pytorch default init": ("06_glorot",),
    "truncated normal": ("glossary", "fast_draws", "06_glorot"),
    "LeCun": ("glossary",),
    "fan_in": ("glossary", "07_he"),
    "why zeros": ("02_symmetry",),
    "zero initialization": ("02_symmetry",),
    "seed": ("glossary", "02_symmetry"),
    "bias init": ("glossary",),
    "imbalanced": ("glossary", "04_large_random_weights"),
    "loss NaN": ("my_model_does_not_train",),
    "loss not decreasing": ("my_model_does_not_train",),
    "my model does not train": ("my_model_does_not_train",),
    "first loss": ("04_large_random_weights", "09_normalisation_and_residuals"),
    "vanishing gradient": ("glossary", "03_small_random_weights"),
    "exploding gradient": ("glossary", "04_large_random_weights"),
    "dying relu": ("glossary", "07_he"),
    "dead relu": ("glossary", "07_he"),
    "leaky relu": ("08_any_activation_any_layer",),
    "selu": ("08_any_activation_any_layer",),
    "gelu gain": ("08_any_activation_any_layer",),
    "conv transpose": ("10_clinic", "08_any_activation_any_layer"),
    "batch norm": ("glossary", "09_normalisation_and_residuals"),
    "layer norm": ("glossary", "09_normalisation_and_residuals"),
    "resnet": ("glossary", "09_normalisation_and_residuals"),
    "transformer init": ("13_transformer",),
    "gpt-2 init": ("09_normalisation_and_residuals",),
    "GPT-2": ("glossary", "09_normalisation_and_residuals"),
    "attention": ("glossary", "10_clinic", "13_transformer"),
    "pre-norm": ("glossary", "13_transformer"),
    "warm-up": ("glossary", "13_transformer"),
    "grokking": ("glossary", "11_what_is_learned"),
    "lazy training": ("glossary", "11_what_is_learned"),
    "mup": ("glossary", "11_what_is_learned"),
    "coordinate check": ("glossary", "11_what_is_learned"),
    "shattered gradients": ("glossary", "12_order_and_chaos"),
    "replication": ("replications",),
    "framework defaults": ("framework_defaults",),
    "orthogonal": ("glossary", "09_normalisation_and_residuals"),
    "lstm": ("glossary", "08_any_activation_any_layer"),
    "recurrent nets": ("glossary", "08_any_activation_any_layer"),
    "forget bias": ("08_any_activation_any_layer",),
    "embeddings": ("10_clinic", "08_any_activation_any_layer"),
    "tied heads": ("08_any_activation_any_layer",),
    "gain calculator": ("08_any_activation_any_layer",),
    "half precision": ("03_small_random_weights",),
    "float16": ("03_small_random_weights",),
    "my loss is NaN": ("my_model_does_not_train",),
    "standardise inputs": ("my_model_does_not_train",),
    "output bias": ("my_model_does_not_train",),
    "unbalanced classes": ("my_model_does_not_train",),
    "looks in keras": ("my_model_does_not_train",),
    "loaded weights": ("my_model_does_not_train", "05_variance_derivation"),
    "RBM": ("glossary", "01_greedy_pretraining"),
    "autoencoder pretraining": ("01_greedy_pretraining",),
    "weight decay": ("glossary", "01_greedy_pretraining"),
    "notation": ("notation",),
    "VarianceScaling": ("initializers",),
    "forward_gain": ("theory",),
    "layer_statistics": ("probes",),
}
PAPER = {"width": 718, "height": 1046}  # A4 with a margin of a centimetre, narrower than Letter
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def focused(page, script="element => element.outerHTML.slice(0, 120)"):
    return page.evaluate(f"({script})(document.activeElement)")


def test_the_first_page_leads_to_the_course(page, site):
    page.goto(f"{site}/index.html")
    page.wait_for_url("**/intro.html")
    assert "Weight Initialization" in page.title()


def test_tab_reaches_everything_and_shows_where_it_is(page, site):
    """The skip link, the sidebar, the search and the theme, in this order, then the text."""
    parts = {
        "skip link": "#pst-skip-link, #pst-skip-link *",
        "search": ".search-button__button",
        "sidebar": ".bd-sidebar-primary nav a",
        "theme": ".theme-switch-button",
        "text": "article.bd-article a",
    }
    page.goto(f"{site}/{CHAPTER}")
    settle(page)
    reached = []
    for _ in range(150):
        page.keyboard.press("Tab")
        part = next((p for p, s in parts.items() if focused(page, f"e => e.matches('{s}')")), "")
        if not part or part in reached:
            continue
        reached.append(part)
        style = focused(
            page, "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow]"
        )
        assert style != ["none", "none"], f"no mark of the focus on the {part}: {focused(page)}"
        if reached[-1] == "text":
            break
    assert reached == list(parts)


def test_answers_open_and_close_by_keyboard(page, site, chapter):
    page.goto(f"{site}/{chapter}")
    settle(page)
    answers = page.locator("article details:not(details details)")
    assert answers.count() >= 3
    first = answers.first
    # A keyboard comes to it from the text before.
    first.locator("summary").first.focus()
    for is_open in (True, False):
        page.keyboard.press("Enter")
        assert first.evaluate("element => element.open") is is_open


def test_the_menu_of_a_phone(browser, site):
    """It opens with the focus in it, closes by Escape, and gives the focus back."""
    with browser.new_context(**PHONE) as context:
        page = context.new_page()
        page.goto(f"{site}/{CHAPTER}")
        settle(page)
        menu = page.locator("#pst-primary-sidebar-modal")
        assert not menu.is_visible()
        button = page.locator("button.primary-toggle")
        button.focus()
        page.keyboard.press("Enter")
        menu.wait_for(state="visible")
        assert menu.evaluate("menu => menu.contains(document.activeElement)")
        assert menu.get_by_role("link", name="Glossary").is_visible()
        page.keyboard.press("Escape")
        menu.wait_for(state="hidden")
        assert button.evaluate("button => button === document.activeElement")
        button.tap()
        menu.wait_for(state="visible")
        menu.get_by_role("link", name="Glossary").tap()
        page.wait_for_url("**/pages/glossary.html")


def words_of(path: Path) -> set[str]:
    """Return the longer words in the paragraphs of a page."""
    article = path.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    paragraphs = re.findall(r"<p>(.*?)</p>", article, re.DOTALL)
    text = unescape(re.sub(r"<[^>]*>|\\\(.*?\\\)", " ", " ".join(paragraphs), flags=re.DOTALL))
    return set(re.findall(r"\b[a-z]{8,}\b", text))


@pytest.fixture(scope="module")
def own_words(pytestconfig):
    """Words of each chapter that no other page has, nor another form of them: the search's stem."""
    stem = stemmer("english").stemWord
    folder = site_folder(pytestconfig)
    names = page_names(pytestconfig)
    texts = {name: (folder / name).read_text(encoding="utf-8").lower() for name in names}
    return {
        name: sorted(
            word
            for word in words_of(folder / name)
            if not any(stem(word) in text for other, text in texts.items() if other != name)
        )
        for name in names
        if name.startswith("chapters/")
    }


def test_chapters_are_numbered_in_the_sidebar(page, site):
    """As their files are, and no other page is."""
    page.goto(f"{site}/search.html")
    links = page.locator(".bd-sidebar-primary nav a").evaluate_all(
        "links => links.map((link) => [link.getAttribute('href'), link.textContent.trim()])"
    )
    numbers = {target: re.match(r"(\d+)\. ", text) for target, text in links}
    shown = {target: int(match[1]) for target, match in numbers.items() if match}
    files = {name: int(name[9:11]) for name in numbers if name.startswith("chapters/")}
    assert shown == files and files


@pytest.mark.parametrize("first", ["search.html", "pages/notation.html"])
def test_the_magnifier_covers_no_letter(page, site, first):
    """On the page of the search, and in the dialog that opens on the others."""
    page.goto(f"{site}/{first}")
    settle(page)
    page.keyboard.press("Control+k")
    form = page.locator("form.bd-search:visible")
    icon, field = form.locator("i").bounding_box(), form.locator("input").bounding_box()
    assert icon["x"] + icon["width"] <= field["x"]


def test_search_finds_a_word_of_the_chapter(page, site, chapter, own_words):
    words = own_words[chapter]
    assert words, "no word is this chapter's own"
    page.goto(f"{site}/pages/notation.html")
    settle(page)
    page.keyboard.press("Control+k")
    page.keyboard.type(words[0])
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    wait_until(
        page,
        "() => /finished|not match/.test(document.querySelector('#search-results')?.textContent)",
    )
    found = page.locator("#search-results ul.search li a").evaluate_all(
        "links => links.map((link) => new URL(link.href).pathname.slice(1))"
    )
    assert found == [chapter], f"a search for {words[0]!r}"


def test_search_leads_to_the_page_that_is_meant(page, site):
    page.goto(f"{site}/search.html?q=nothing")
    wait_until(page, "() => Search.hasIndex()")
    ask = """query => {
        history.replaceState(null, "", `?q=${encodeURIComponent(query)}`);
        const results = Search._performSearch(...Search._parseQuery(query));
        return results.reverse().map(([page]) => page.split("/").at(-1));
    }"""
    found = {query: page.evaluate(ask, query) for query in QUERIES}
    wrong = {
        query: found[query][:3]
        for query, pages in QUERIES.items()
        if {*found[query][: len(pages)]} != {*pages}
    }
    assert not wrong


def test_search_on_a_phone_shows_sentences(browser, site):
    """The dialog says what to do; a result shows what a term means, and neither code nor TeX."""
    with browser.new_context(**PHONE) as context:
        page = context.new_page()
        page.goto(f"{site}/{CHAPTER}")
        settle(page)
        page.locator(".search-button__button:visible").tap()
        field = page.locator("input[type=search]:focus")
        assert "Enter" in field.get_attribute("placeholder")
        field.press_sequentially("gain")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=gain")
        summaries = page.locator("#search-results li a:not(:has(~ span)) ~ p.context")
        wait_until(page, "() => document.querySelectorAll('#search-results .context').length > 9")
        assert summaries.first.inner_text().startswith("A factor on weights of variance 1/n")
        texts = summaries.all_inner_texts()
        assert not [text for text in texts if re.search(r"\\|\$|import |np\.|Run in your", text)]


def test_marks_of_a_search_can_be_taken_away(page, site):
    watch = Watch(page, site)
    page.goto(f"{site}/{CHAPTER}?highlight=gradient")
    marks = page.locator("article .highlighted")
    marks.first.wait_for()
    page.get_by_role("link", name="Hide Search Matches").click()
    assert marks.count() == 0 and watch.faults == []


def test_the_theme_changes_and_stays(browser, site):
    with browser.new_context(color_scheme="light") as context:
        page = context.new_page()
        page.goto(f"{site}/{CHAPTER}")
        settle(page)
        theme = "document.documentElement.dataset.theme"
        colour = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(theme) == "light"
        light = page.evaluate(colour)
        page.locator(".theme-switch-button").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate(theme) == "dark"
        wait_until(page, f"was => {colour} !== was", light)
        page.goto(f"{site}/pages/glossary.html")
        settle(page)
        assert page.evaluate(theme) == "dark"


def test_a_chapter_on_paper(browser, site, chapter):
    """In ink on white, whatever the screen's colours; pictures too that no one has scrolled to."""
    with browser.new_context(viewport=PAPER) as context:
        page = context.new_page()
        page.goto(f"{site}/{chapter}")
        loaded = "[...document.images].filter(image => image.complete && image.naturalWidth).length"
        before = page.evaluate(loaded)
        page.pdf()
        assert before < page.evaluate(loaded) == page.evaluate("document.images.length")

        for colours in ("light", "dark"):
            page.emulate_media(media="screen", color_scheme=colours)
            wait_until(page, "c => document.documentElement.dataset.theme === c", colours)
            page.emulate_media(media="print", color_scheme=colours)
            settle(page)
            hidden = ".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, "
            hidden += ".prev-next-area, a.headerlink"
            shown = page.locator(hidden).evaluate_all(
                "parts => parts.filter((part) => part.checkVisibility()).map((p) => p.className)"
            )
            assert not shown, f"printed, and of no use on paper: {shown}"
            assert page.locator("h1").is_visible()
            assert faults_of_paper(page) == []
            check_pictures(page)
            # In one step: a live figure may be drawn anew between finding a part and asking for its
            # colour, and what has left the page has none.
            inks = page.evaluate(
                """() => [...new Set([...document.querySelectorAll(
                    "article p, article pre, article pre span"
                )].map((part) => getComputedStyle(part).color))]"""
            )
            assert inks
            pale = [ink for ink in inks if min(map(int, re.findall(r"\d+", ink)[:3])) > 140]
            assert not pale, f"too pale for white paper, {colours}"


def test_a_cut_edge_in_colours_of_the_reader(browser, site):
    """Where the reader's colours are forced upon a page, such as those of high contrast."""
    with browser.new_context(**PHONE, forced_colors="active") as context:
        page = context.new_page()
        page.goto(f"{site}/{CHAPTER}")
        settle(page)
        assert hidden_edges(page) == []


def check_pictures(page):
    """See that all pictures are there, and of each explorer its still alone."""
    pictures = page.locator("article img")
    assert pictures.count() >= 1
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        assert picture.is_visible() and box["width"] > 100 and box["height"] > 50, box
    for explorer in page.locator(".explorer").all():
        assert explorer.locator("img").is_visible(), "the still of an explorer is missing"
        for live in explorer.locator(".explorer-live").all():
            assert not live.is_visible(), "a live figure is where its still should be"


def test_without_javascript(browser, site, chapter):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}/{chapter}")
        text = page.locator("article").inner_text()
        assert len(text.split()) > 1000
        check_pictures(page)
        answer = page.locator("article details:not(.hide)").first  # no folded cell
        hidden = answer.locator("p").first
        assert not hidden.is_visible()
        answer.locator("summary").click()
        assert hidden.is_visible()
        page.locator(".bd-sidebar-primary").get_by_role("link", name="Glossary").click()
        page.wait_for_url("**/pages/glossary.html")


def test_from_a_folder(page, pytestconfig):
    """Opened without a server everything is there but the live figures, which are modules."""
    watch = Watch(page, "file://")
    page.goto((site_folder(pytestconfig) / "index.html").as_uri())
    page.wait_for_url("**/intro.html")
    page.goto((site_folder(pytestconfig) / CHAPTER).as_uri())
    settle(page)
    assert page.locator("mjx-container").count() > 10
    check_pictures(page)
    # A browser loads no module from a folder; the still stays, with a word about it.
    expected = re.compile(
        r"explorers/host\.js|^console, error: Failed to load resource: net::ERR_F"
    )
    assert [fault for fault in watch.faults if not expected.search(fault)] == []
