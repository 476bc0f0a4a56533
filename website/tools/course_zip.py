"""Pack the site, its server and a README into ``_build/course-offline.zip``: ``make zip``.

The site must carry Python for the browser. With the environment variable ``STUDENTS`` set to ``1``
the zip is ``course-offline-students.zip``, and no answer to an exercise may be in a file of it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from initcore import _files
from website.tools import students

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("index.html", "lite/static/pyodide/pyodide.js")


def main(site: str | Path, folder: str | Path = ROOT / "_build") -> None:
    """Pack a site that has all that is needed into a folder; its hidden files are left out."""
    if missing := [name for name in NEEDED if not Path(site, name).is_file()]:
        sys.exit(f"{site} has no {missing[0]}: run `make book OFFLINE=1` first")
    target = Path(folder, "course-offline.zip")
    if os.environ.get("STUDENTS", "0") not in ("", "0"):
        target = target.with_stem("course-offline-students")
        files = (path for path in sorted(Path(site).rglob("*")) if path.is_file())
        files = ((str(path), path.read_bytes()) for path in files)
        students.check(files, students.read_course()[1])
    with tempfile.TemporaryDirectory(dir=folder) as work:
        course = Path(work, "weight-initialization")
        shutil.copytree(site, course / "site", ignore=shutil.ignore_patterns(".*"))
        shutil.copy(ROOT / "website/tools/serve.py", course / "start.py")
        for name in ("website/offline/README.txt", "LICENSE", "LICENSE-CC-BY-4.0"):
            shutil.copy(ROOT / name, course)
        made = shutil.make_archive(str(Path(work, "made")), "zip", work, course.name)
        Path(made).replace(target)  # whole or not at all
    print(f"{target}: {target.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    with _files.plain_errors():
        main(*sys.argv[1:3])
