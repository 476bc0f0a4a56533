"""The page for instructors: what can be looked at without their servers."""

import re

import yaml
from chapter import ROOT

from initcore.explorers import EXPLORERS
from website.extensions import policy as csp

PAGE = (ROOT / "pages/deployment.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_settings_of_the_buttons_are_those_of_the_course():
    settings = [yaml.safe_load(block) for block in BLOCKS]
    (shown,) = [block for block in settings if "jupyterhub_url" in str(block)]
    real = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert all(set(value) == set(real[key]) for key, value in shown.items())


def test_every_live_figure_is_in_the_table():
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == len(set(rows)) and set(EXPLORERS) <= set(rows)


def test_the_files_it_names_are_there():
    names = re.findall(r"(?<![\w/])(?:course/)?((?:binder|chapters)/[\w./]+\w)", PAGE)
    assert names and all((ROOT / name).exists() for name in names)


def test_the_policy_is_the_one_that_is_sent_and_each_source_has_its_reason():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    told = [(name, re.findall("`([^`]+)`", sources), reason) for name, sources, reason in rows]
    book, kernel = told[: len(csp.PAGES)], told[len(csp.PAGES) :]
    hashes = "'sha256-…'"
    assert {name: [s for s in sources if s != hashes] for name, sources, _ in book} == csp.PAGES
    changed = {name: sources for name, sources in csp.LITE.items() if sources != csp.PAGES[name]}
    assert {name: [s for s in sources if s != hashes] for name, sources, _ in kernel} == changed
    assert all(reason for *_, reason in told)
    assert all(f"`{source}`" in kernel[0][2] for source in changed["script-src"][1:])
