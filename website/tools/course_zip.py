"""Pack the site, its server and a README into ``_build/course-offline.zip``: ``make zip``.

It is for machines without a network: the site must carry Python for the browser.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTED_BY = (
    *("website/offline/README.txt", "website/offline/start.py", "website/tools/serve.py"),
    *("LICENSE", "LICENSE-CC-BY-4.0"),
)
NEEDED = ("index.html", "lite/static/pyodide/pyodide.js")


def main(site: str | Path, target: str | Path = ROOT / "_build/course-offline.zip") -> None:
    """Pack a site that has all that is needed; its hidden files are left out."""
    if missing := [name for name in NEEDED if not Path(site, name).is_file()]:
        sys.exit(f"{site} has no {missing[0]}: run `make book OFFLINE=1` first")
    with tempfile.TemporaryDirectory() as work:
        course = Path(work, "weight-initialization")
        shutil.copytree(site, course / "site", ignore=shutil.ignore_patterns(".*"))
        for name in STARTED_BY:
            shutil.copy(ROOT / name, course)
        shutil.make_archive(str(target).removesuffix(".zip"), "zip", work, course.name)
    print(f"{target}: {Path(target).stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:3])
