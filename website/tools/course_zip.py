"""Pack the site into ``_build/course-offline.zip``: ``make zip``.

The zip is for machines without a network, on a stick or a share. It holds the built site, with
Python for the browser in it, a server of the standard library alone, a script that starts it, and
a short README. Nothing is written, and one line says why, where the site would need another host:
it must be built by ``make book OFFLINE=1``. The same site gives the same bytes.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parents[1]
FOLDER = "weight-initialization"  # what the zip unpacks to
DATE = (2026, 1, 1, 0, 0, 0)  # of every file in the zip
STARTED_BY = {
    "README.txt": HERE / "offline" / "README.txt",
    "serve.py": HERE / "tools" / "serve.py",
    "start.py": HERE / "offline" / "start.py",
    "LICENSE": ROOT / "LICENSE",
    "LICENSE-CC-BY-4.0": ROOT / "LICENSE-CC-BY-4.0",
}
LITE = "lite/jupyter-lite.json"
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"


class ZipError(Exception):
    """Why a site cannot be packed, in a line."""


def check(site: Path) -> None:
    """Raise `ZipError` unless a site can do without any other host."""
    again = "run `make book OFFLINE=1` first"
    if not (site / "index.html").is_file():
        raise ZipError(f"there is no site in {site}: {again}")
    if not (site / LITE).is_file():
        raise ZipError(f"the site has no Python for the browser ({LITE}): {again}")
    settings = json.loads((site / LITE).read_text(encoding="utf-8"))["jupyter-config-data"]
    url = settings["litePluginSettings"][KERNEL]["pyodideUrl"]
    if not (site / "lite" / url).is_file():
        raise ZipError(f"the site would load Python from {url}: {again}")


def members(site: Path) -> Iterator[tuple[zipfile.ZipInfo, Path]]:
    """Yield the members of the zip with the files that they are, in one order, with one date.

    The hidden files of a build (``.buildinfo``, ``.doctrees``) are left out.
    """
    files = dict(STARTED_BY)
    for path in site.rglob("*"):
        name = path.relative_to(site)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            files[f"site/{name.as_posix()}"] = path
    for name in sorted(files):
        info = zipfile.ZipInfo(f"{FOLDER}/{name}", DATE)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3  # the permissions below are Unix's, whatever wrote the zip
        info.external_attr = 0o100644 << 16
        yield info, files[name]


def pack(site: Path, target: Path) -> int:
    """Write the zip, in one step; return the number of its files."""
    check(site)
    unfinished = target.with_suffix(".part")
    count = 0
    with zipfile.ZipFile(unfinished, "w") as archive:
        for info, path in members(site):
            archive.writestr(info, path.read_bytes(), compresslevel=6)
            count += 1
    unfinished.replace(target)
    return count


def main(site: Path = ROOT / "_build/html", target: Path | None = None) -> None:
    """Pack a site; exit with 1 if that cannot be."""
    target = target or ROOT / "_build/course-offline.zip"
    try:
        count = pack(site, target)
    except ZipError as error:
        sys.exit(f"The zip cannot be made: {error}")
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
