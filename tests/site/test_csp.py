"""The Content-Security-Policy: sent with every page, kept by the browser, and in nobody's way.

That nothing which the pages do is against it is seen by all other tests here: they run under it,
and a browser reports in the console what it refuses.
"""

import re
import urllib.request

from bs4 import BeautifulSoup
from checks import Watch, settle, wait_until
from conftest import page_names

from website.extensions import policy

CHAPTER = "chapters/03_small_random_weights.html"
REFUSED = "() => window.refused.length"


def sources(text):
    """Return the sources of each directive of a policy."""
    parts = (part.split() for part in text.split(";"))
    return {name: set(rest) for name, *rest in parts}


def test_every_page_is_under_the_policy(site, pytestconfig):
    for name in page_names(pytestconfig):
        with urllib.request.urlopen(f"{site}/{name}") as answer:
            sent, page = answer.headers["Content-Security-Policy"], answer.read().decode()
        page = BeautifulSoup(page, "html.parser")
        own = page.find("meta", policy.META)["content"]
        for found in (sources(sent), sources(own)):
            scripts = found.pop("script-src")
            assert found == {k: set(v) for k, v in policy.PAGES.items() if k != "script-src"}
            assert not re.search(r"//|\*", str(found)), "another host"
            assert "'self'" in scripts and policy.inline_scripts(page) <= scripts
            assert all(re.fullmatch(r"'self'|'sha256-[\w+/]{43}='", one) for one in scripts), name


def test_a_file_of_the_kernel_has_the_policy_of_its_own(site):
    with urllib.request.urlopen(f"{site}/lite/notebooks/index.html") as answer:
        sent = sources(answer.headers["Content-Security-Policy"])
    assert sent["default-src"] == {"'self'"} and "'unsafe-eval'" in sent["script-src"]
    assert not [s for all_of in sent.values() for s in all_of if "//" in s], "a foreign host"


def test_the_browser_refuses_what_is_not_allowed(page, site):
    page.add_init_script(
        """window.refused = [];
        addEventListener("securitypolicyviolation",
            (event) => window.refused.push(event.effectiveDirective));"""
    )
    page.goto(f"{site}/{CHAPTER}")
    settle(page)
    assert page.evaluate(REFUSED) == 0
    page.evaluate(
        """() => {
            fetch("https://elsewhere.example/").catch(() => {});
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            const image = document.createElement("img");
            image.src = "https://elsewhere.example/a.png";
            const button = document.createElement("button");
            button.setAttribute("onclick", "window.ran = true");
            document.body.append(script, image, button);
            button.click();
        }"""
    )
    wait_until(page, f"() => ({REFUSED})() >= 4")
    assert set(page.evaluate("refused")) == {
        "connect-src", "img-src", "script-src-elem", "script-src-attr",
    }  # fmt: skip
    assert page.evaluate("window.ran") is None


def test_the_buttons_to_print_and_to_fill_the_screen_work(page, site):
    page.add_init_script("window.print = () => { window.printed = true; }")
    watch = Watch(page, site)
    page.goto(f"{site}/{CHAPTER}")
    settle(page)
    page.locator(".dropdown-download-buttons > button").click()
    page.locator("button[data-does=print]").click()
    assert page.evaluate("window.printed") is True
    page.locator("button[data-does=full-screen]").click()
    wait_until(page, "() => document.fullscreenElement !== null")
    assert watch.faults == []
