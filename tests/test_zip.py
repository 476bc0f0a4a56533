"""``website/tools/course_zip.py``: the site in one file, for machines without a network."""

import re
import subprocess
import sys
import urllib.request
import zipfile

import pytest

from website.tools import course_zip

FILES = ["index.html", "_static/a.css", ".buildinfo", "lite/static/pyodide/pyodide.js"]


@pytest.fixture
def site(tmp_path):
    """A small site with what matters here of an offline build."""
    for name in FILES:
        path = tmp_path / "html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path / "html"


def test_it_holds_the_site_and_is_served_by_a_bare_python(site, tmp_path):
    course_zip.main(site, tmp_path / "course.zip")
    with zipfile.ZipFile(tmp_path / "course.zip") as archive:
        names = {name.partition("/")[2] for name in archive.namelist() if name[-1] != "/"}
        archive.extractall(tmp_path / "on a stick")
    started_by = {"README.txt", "start.py", "LICENSE", "LICENSE-CC-BY-4.0"}
    assert names == started_by | {f"site/{name}" for name in FILES if name[0] != "."}
    # -S -E: only the standard library, and none of this environment's settings
    start = tmp_path / "on a stick/weight-initialization/start.py"
    command = [sys.executable, "-S", "-E", str(start), "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(address + FILES[-1], timeout=10) as answer:
                assert answer.read() == FILES[-1].encode()
        finally:
            process.terminate()


@pytest.mark.parametrize("name", ["index.html", "lite/static/pyodide/pyodide.js"])
def test_a_site_that_needs_another_host_is_not_packed(site, tmp_path, name):
    (site / name).unlink()
    with pytest.raises(SystemExit, match=rf"no {name}: run `make book OFFLINE=1` first"):
        course_zip.main(site, tmp_path / "course.zip")
    assert not list(tmp_path.glob("course*")), "something was written"
