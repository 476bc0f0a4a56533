"""Find a browser for the tests of the site, and start it: ``python tests/site/browser.py``.

Looked for in this order:

1. the one that the environment variable ``CHROMIUM`` names, which must be there;
2. with ``PACKAGED_BROWSER=1``, the one in npm's ``@sparticuz/chromium``, which needs nothing of the
   machine (Linux on x86-64): the same browser everywhere, for continuous integration;
3. a Chromium or Chrome on the path;
4. Playwright's own, downloaded if need be.

None of them needs root. Run as a program this prints the browser that was found, and gets ready
what it needs, so that several workers need not do so at once.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "chromium"
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
ADVICE = (
    "install Chromium or Chrome, name one by CHROMIUM=/path/to/it, or take npm's: "
    "PACKAGED_BROWSER=1 make test-site"
)


class NoBrowserError(Exception):
    """There is no browser to test with; the text says in one line what to do."""


@dataclass(frozen=True)
class Found:
    """A browser: its program (none: Playwright knows its own), and how to start it."""

    program: str | None
    arguments: tuple[str, ...] = ARGUMENTS
    environment: dict[str, str] = field(default_factory=dict)


def find(environment: Mapping[str, str] = os.environ) -> Found:
    """Return the first browser, in the order above."""
    if named := environment.get("CHROMIUM"):
        if not (program := shutil.which(named, path=environment.get("PATH"))):
            raise NoBrowserError(f"CHROMIUM must name a program that is there, not {named!r}")
        return Found(program)
    packaged = environment.get("PACKAGED_BROWSER", "")
    if packaged not in ("", "0", "1"):
        raise NoBrowserError(f"PACKAGED_BROWSER must be 1, 0 or empty, not {packaged!r}")
    if packaged == "1":
        return unpack(PACKAGE)
    for name in NAMES:
        program = shutil.which(name, path=environment.get("PATH"))
        # A name on the path may be a stub that only tells how to install the real one.
        if program and subprocess.run([program, "--version"], capture_output=True).returncode == 0:
            return Found(program)
    return Found(None)


def unpack(package: Path) -> Found:
    """Unpack npm's Chromium, if that was not done before, and tell how to start it."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoBrowserError(
            f"PACKAGED_BROWSER=1 is for Linux on x86-64, not {sys.platform} on "
            f"{platform.machine()}: leave it out, or name a browser by CHROMIUM"
        )
    packed = package / "node_modules" / "@sparticuz" / "chromium" / "bin"
    if not (packed / "chromium.br").is_file():
        raise NoBrowserError(
            "PACKAGED_BROWSER=1 asks for npm's Chromium, which is not installed: run "
            "`python -m website.tools.javascript tests/site/chromium`"
        )
    # Below node_modules, which npm empties when the lock file asks for another version.
    folder = package / "node_modules" / ".unpacked"
    if not folder.is_dir():
        new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
        unpack_into(new, packed)
        try:
            new.rename(folder)
        except OSError:  # another worker was faster
            shutil.rmtree(new)
    return Found(
        str(folder / "chromium"),
        (*ARGUMENTS, "--headless=shell"),
        {
            "LD_LIBRARY_PATH": str(folder / "lib"),
            "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        },
    )


def unpack_into(folder: Path, packed: Path) -> None:
    """Write the program, the libraries it needs and its fonts into a folder."""
    import brotli

    for name in ("al2023", "fonts"):
        archive = io.BytesIO(brotli.decompress((packed / f"{name}.tar.br").read_bytes()))
        with tarfile.open(fileobj=archive) as files:
            files.extractall(folder, filter="data")
    (folder / "fonts.conf").write_text(FONTS, encoding="utf-8")
    program = folder / "chromium"
    program.write_bytes(brotli.decompress((packed / "chromium.br").read_bytes()))
    program.chmod(0o755)
    folder.chmod(0o755)  # mkdtemp's are for their maker alone


# The package's own names folders that exist in the cloud it was made for.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


def launch(playwright: Playwright) -> Browser:
    """Start the browser that `find` finds, without a window."""
    from playwright.sync_api import Error

    found = find()
    options = {
        "executable_path": found.program,
        "args": list(found.arguments),
        "env": {**os.environ, **found.environment},
    }
    try:
        return start(playwright, options)
    except Error as error:
        if found.program:
            raise NoBrowserError(f"{found.program} does not start: {reason(error)}") from None
    download()
    try:
        return start(playwright, options)
    except Error as error:
        raise NoBrowserError(
            f"Playwright's own browser does not start ({reason(error)}): {ADVICE}"
        ) from None


def start(playwright: Playwright, options: dict) -> Browser:
    """Start a browser in its sandbox, which root and some containers do not have."""
    from playwright.sync_api import Error

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        return playwright.chromium.launch(chromium_sandbox=not root, **options)
    except Error as error:
        if "sandbox" not in error.message.split("Call log")[-1].replace("--no-sandbox", ""):
            raise
    print(f"{options['executable_path']} has no sandbox here: started without", file=sys.stderr)
    return playwright.chromium.launch(chromium_sandbox=False, **options)


def download() -> None:
    """Let Playwright download its own browser, into the folder of the user where it looks."""
    print("No Chromium or Chrome on the path: Playwright downloads its own")
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=600)
    except subprocess.TimeoutExpired:
        result = None
    if not result or result.returncode:
        raise NoBrowserError(f"No browser, and Playwright could not download its own: {ADVICE}")


def reason(error: Exception) -> str:
    """Return the one line of a long error that tells most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error while loading" in line or "FATAL" in line]
    return (telling or lines)[0]


def main() -> None:
    """Start the browser once; end with one line where there is none."""
    from playwright.sync_api import sync_playwright

    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            print(f"Chromium {browser.version} ({find().program or 'that of Playwright'})")
            browser.close()
    except NoBrowserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
