"""What the tests of the site share: the built site, served on this machine, and a browser.

``pytest tests/site`` tests the folder that ``make book OFFLINE=1`` makes, or the one that
``--site-folder`` or the environment variable ``SITE_FOLDER`` names.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]

import browser as browsers  # noqa: E402
from serving import running  # noqa: E402

from website.tools import serve  # noqa: E402
from website.tools.links import page_names as pages_of  # noqa: E402

FOLDER = "_build/offline/_build/html"
RUN = ("03",)  # what the browser's kernel runs if nothing else is asked for; weekly.yml runs all
NO_PAGES = ("lite/", "_static/")  # the browser's kernel, and templates


def pytest_addoption(parser):
    """Add the option that names the built site."""
    default = os.environ.get("SITE_FOLDER") or FOLDER
    parser.addoption("--site-folder", default=default, help=f"the built site (default: {FOLDER})")
    parser.addoption(
        "--chapters",
        default=",".join(RUN),
        help=f"chapters to run in the browser's kernel, or all (default: {','.join(RUN)})",
    )


def pytest_configure(config):
    """End with one line where there is no site."""
    if not (site_folder(config) / "index.html").is_file():
        raise pytest.UsageError(
            f"There is no site in {config.getoption('--site-folder')}: "
            "run `make book OFFLINE=1` first, or `make test-site`, which does"
        )


def site_folder(config) -> Path:
    """Return the folder of the built site."""
    return ROOT / config.getoption("--site-folder")


def page_names(config) -> list[str]:
    """Return the pages that readers see, by their paths within the site."""
    folder = site_folder(config)
    return [
        name
        for name in pages_of(folder)
        if not name.startswith(NO_PAGES) and not leads_on(folder / name)
    ]


def leads_on(page: Path) -> bool:
    """Tell whether a page only leads to another one, as index.html does."""
    return 'http-equiv="Refresh"' in page.read_text(encoding="utf-8")[:200]


def notebook_names(config) -> list[str]:
    """Return the chapters to run, by the names of their notebooks without the ending."""
    names = [path.stem for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
    asked = config.getoption("--chapters")
    if asked == "all":
        return names
    found = {number: [name for name in names if name[:2] == number] for number in asked.split(",")}
    if wrong := [number for number, chosen in found.items() if not chosen]:
        known = ", ".join(name[:2] for name in names)
        raise pytest.UsageError(f"--chapters must be all or some of {known}, not {wrong[0]!r}")
    return [name for chosen in found.values() for name in chosen]


def pytest_generate_tests(metafunc):
    """Give a test each page as ``name``, each chapter as ``chapter``, or to run as ``notebook``."""
    names = page_names(metafunc.config)
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", names)
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", notebook_names(metafunc.config))
    if "chapter" in metafunc.fixturenames:
        metafunc.parametrize("chapter", [name for name in names if name.startswith("chapters/")])


def pytest_collection_modifyitems(config, items):
    """Begin with the chapters in the browser's kernel, which take longest, one for each worker."""
    long = [item for item in items if "notebook" in getattr(item, "fixturenames", ())]
    others = [item for item in items if item not in long]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    share = -(-len(others) // workers)
    items[:] = []
    for start in range(workers):
        items += long[start::workers] + others[start * share : (start + 1) * share]


@pytest.fixture(scope="session")
def site(pytestconfig):
    """The address of the site, such as ``http://127.0.0.1:8000``, without a slash at its end."""
    with running(serve.make_server(str(site_folder(pytestconfig)), 0)) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window, of Playwright's synchronous interface."""
    try:
        with sync_playwright() as playwright:
            started = browsers.launch(playwright)
            yield started
            started.close()
    except browsers.NoBrowserError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def page(browser):
    """A page of its own profile, on a wide screen."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def pytest_terminal_summary(terminalreporter):
    """Print what the loads of all pages came to, and how the browser's kernel ran the chapters."""
    measured = [
        {"test": report.nodeid.split("::")[-1], **dict(report.user_properties)}
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
    ]
    if loads := [one for one in measured if one.get("page")]:
        tell_loads(terminalreporter, loads)
    if runs := [one for one in measured if one.get("visible")]:
        tell_runs(terminalreporter, runs)


def tell_loads(terminalreporter, loads: list[dict]) -> None:
    """Print what the loads of all pages came to."""
    slowest = max(loads, key=lambda load: load["seconds"])
    rows = {
        "pages": len({load["page"] for load in loads}),
        "requests to other hosts": sum(load["elsewhere"] for load in loads),
        "violations that axe-core found": sum(load["violations"] for load in loads),
        "slowest page to settle": f"{slowest['seconds']:.1f} s, {slowest['page']}",
    }
    terminalreporter.section("the pages of the site")
    for label, value in rows.items():
        terminalreporter.write_line(f"{label:<48}{value}")


def tell_runs(terminalreporter, runs: list[dict]) -> None:
    """Print how long each chapter took in the browser's kernel, and what it loaded.

    The first cell waits for the kernel; what the others take is the chapter's own.
    """
    columns = {"visible": "visible at, s", "first": "1st cell at, s"}
    columns |= {"cells": "others took, s", "all": "all done at, s"}
    columns |= {"megabytes": "MB", "requests": "requests", "foreign": "to others"}
    terminalreporter.section("the chapters in the browser's kernel, from the button pressed")
    terminalreporter.write_line("".join([f"{'':<32}", *(f"{c:>16}" for c in columns.values())]))
    for run in sorted(runs, key=lambda run: run["notebook"]):
        cells = [
            f"{run[name]:.1f}" if isinstance(run.get(name), float) else str(run.get(name, "-"))
            for name in columns
        ]
        terminalreporter.write_line(
            "".join([f"{run['notebook']:<32}", *(f"{c:>16}" for c in cells)])
        )
