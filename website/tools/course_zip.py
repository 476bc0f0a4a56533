"""Pack a site, its server and a README: ``python -m website.tools.course_zip SITE ZIP``.

The site must carry Python for the browser.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from initcore import _files

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("index.html", "lite/static/pyodide/pyodide.js")


def main(site: str | Path, target: str | Path) -> None:
    """Pack a site that has all that is needed into a zip; its hidden files are left out."""
    if missing := [name for name in NEEDED if not Path(site, name).is_file()]:
        sys.exit(f"{site} has no {missing[0]}: run `make book OFFLINE=1` first")
    with tempfile.TemporaryDirectory(dir=Path(target).parent) as work:
        course = Path(work, "weight-initialization")
        shutil.copytree(site, course / "site", ignore=shutil.ignore_patterns(".*"))
        shutil.copy(ROOT / "website/tools/serve.py", course / "start.py")
        for name in ("website/offline/README.txt", "LICENSE", "LICENSE-CC-BY-4.0"):
            shutil.copy(ROOT / name, course)
        made = shutil.make_archive(str(Path(work, "made")), "zip", work, course.name)
        Path(made).replace(target)  # whole or not at all
    print(f"{target}: {Path(target).stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    with _files.plain_errors():
        main(*sys.argv[1:3])
