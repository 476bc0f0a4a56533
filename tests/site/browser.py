"""Find a browser for the tests of the site, and start it: ``python tests/site/browser.py``.

Looked for in this order:

1. the one that the environment variable ``CHROMIUM`` names, which must be there;
2. a Chromium or Chrome on the path;
3. Playwright's own, downloaded if need be.

Run as a program this starts it once, so that several workers need not download it at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Nothing of the browser's own on the wire, and no graphics card.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ADVICE = "Install Chromium or Chrome, or name one: CHROMIUM=/path/to/it"


class NoBrowserError(Exception):
    """There is no browser to test with; the text says in one line what to do."""


def find() -> str | None:
    """Return the program, or None for Playwright's own."""
    if named := os.environ.get("CHROMIUM"):
        if not (program := shutil.which(named)):
            raise NoBrowserError(f"CHROMIUM must name a program that is there, not {named!r}")
        return program
    for program in filter(None, map(shutil.which, NAMES)):
        # A name on the path may be a stub that only tells how to install the real one.
        if subprocess.run([program, "--version"], capture_output=True).returncode == 0:
            return program
    return None


def launch(playwright: Playwright) -> Browser:
    """Start the browser that `find` finds, without a window."""
    from playwright.sync_api import Error

    program = find()
    try:
        if not program:
            print("No Chromium or Chrome on the path: Playwright gets its own, if it has none yet")
            command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
            subprocess.run(command, capture_output=True, timeout=600, check=True)
        return playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
    except (Error, subprocess.SubprocessError) as error:
        reason = str(error).strip().splitlines()[0]
        raise NoBrowserError(
            f"{program or 'That of Playwright'} does not start: {reason}. {ADVICE}"
        ) from None


def main() -> None:
    """Start the browser once; end with one line where there is none."""
    from playwright.sync_api import sync_playwright

    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            print(f"Chromium {browser.version} ({find() or 'that of Playwright'})")
            browser.close()
    except NoBrowserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
