"""What the pages weigh at their first view, and how soon and how quietly they come up.

Usage: ``python benchmarks/site.py [SITE_FOLDER]`` (after ``make book`` and once ``make test-site``,
which find the browser; on an idle machine: other work makes the times longer). The opening page and
each chapter are opened wide and on a phone, three times, in a fresh profile, from this machine,
with the processor slowed down four times. The times are the median of three.

- kB: what comes over the wire, gzip and the heads of the answers included, before any scrolling;
- whole: the same when the reader has slowly gone through the whole page, with every figure;
- paint: the largest contentful paint, in seconds;
- shift: all layout shifts of the first view added up, the most of the three times; scrolled: at the
  end of the whole page;
- ready: seconds until all formulas are set, and the last file has come.

The course promises 900 kB, 1.5 s and 0.05 for its chapters. Nothing here fails, it only prints.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "site"))

import browser as browsers  # noqa: E402
import weight  # noqa: E402

from website.tools import serve  # noqa: E402

FOLDER = "_build/html"
RUNS = 3
SLOWED = 4
COLUMNS = {"kB": 7, "whole": 7, "requests": 10, "paint": 7, "shift": 7, "scrolled": 10, "ready": 7}
PLACES = {"paint": 2, "shift": 3, "scrolled": 3, "ready": 1}


def measure(browser: Browser, address: str, screen: str) -> dict[str, float]:
    """Return what three first views of a page came to."""
    views = [weight.look(browser, address, screen, SLOWED, scroll=run == 0) for run in range(RUNS)]
    return {
        "kB": max(weight.transferred(view.files) for view in views) / 1000,
        "whole": weight.transferred(views[0].files + views[0].later) / 1000,
        "requests": max(len(view.files) for view in views),
        "paint": median(view.paint for view in views),
        "shift": max(view.shift for view in views),
        "scrolled": views[0].scrolled,
        "ready": median(view.ready for view in views),
    }


def above(row: dict[str, float]) -> str:
    """Return which limits of a first view are exceeded."""
    limits = {"kB": weight.TRANSFER / 1000, "paint": weight.PAINT, "shift": weight.SHIFT}
    return ", ".join(name for name, limit in limits.items() if row[name] > limit)


def first_views(folder: Path) -> None:
    """Print a line a page and screen."""
    pages = ["intro.html", *(f"chapters/{p.name}" for p in sorted(folder.glob("chapters/*.html")))]
    head = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    print(f"{'page':34}{'screen':7}{head}  above the limit")
    over = 0
    server = serve.make_server(str(folder), 0)
    with serve.running(server) as site, sync_playwright() as playwright:
        browser = browsers.launch(playwright)
        for page in pages:
            for screen in weight.SCREENS:
                print(f"{page}, {screen} …", file=sys.stderr, flush=True)
                row = measure(browser, f"{site}/{page}", screen)
                over += bool(above(row))
                values = (f"{row[name]:{w}.{PLACES.get(name, 0)}f}" for name, w in COLUMNS.items())
                print(f"{Path(page).stem:34}{screen:7}{''.join(values)}  {above(row)}", flush=True)
        browser.close()
    print(
        f"\nLimits: {weight.TRANSFER // 1000} kB, paint {weight.PAINT} s, shift {weight.SHIFT}: "
        f"{over} of {len(pages) * len(weight.SCREENS)} first views are above one of them."
    )


def main(folder: str = FOLDER) -> None:
    """Print the table."""
    if not (ROOT / folder / "intro.html").is_file():
        sys.exit(f"There is no site in {folder}: run `make book` first")
    try:
        first_views(ROOT / folder)
    except browsers.NoBrowserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:2])
