"""``website/tools/course_zip.py``: the site in one file, for machines without a network."""

import json
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from website.tools import course_zip

ROOT = Path(__file__).resolve().parents[1]

CARRIED = "./static/pyodide/pyodide.js"


def settings(url):
    """Return the settings of a browser's kernel that is loaded from an address."""
    kernel = {course_zip.KERNEL: {"pyodideUrl": url}}
    return json.dumps({"jupyter-config-data": {"litePluginSettings": kernel}})


@pytest.fixture
def site(tmp_path):
    """A small site with what matters here of an offline build."""
    files = {
        "index.html": "<title>The course</title>",
        "chapters/one.html": "a chapter",
        "_static/a.css": "a {}",
        "_sources/chapters/one.ipynb": "{}",
        ".buildinfo": "",
        "lite/.made-from": "",
        "lite/jupyter-lite.json": settings(CARRIED),
        "lite/static/pyodide/pyodide.js": "// Python",
    }
    for name, text in files.items():
        path = tmp_path / "html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "html"


def test_it_holds_the_site_and_what_starts_it(site, tmp_path, capsys):
    course_zip.main(site, tmp_path / "course.zip")
    assert "course.zip: 11 files" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "course.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert archive.read("weight-initialization/site/_static/a.css") == b"a {}"
    assert names == sorted(names)
    assert {name.partition("/")[2] for name in names} == {
        *("README.txt", "start.py", "serve.py", "LICENSE", "LICENSE-CC-BY-4.0"),
        *("site/index.html", "site/chapters/one.html", "site/_static/a.css"),
        *("site/_sources/chapters/one.ipynb", "site/lite/jupyter-lite.json"),
        "site/lite/static/pyodide/pyodide.js",
    }


def test_the_same_site_gives_the_same_bytes(site, tmp_path):
    made = []
    for name in ("a.zip", "b.zip"):
        course_zip.main(site, tmp_path / name)
        made.append((tmp_path / name).read_bytes())
        for path in site.rglob("*"):
            path.touch()
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {info.date_time for info in archive.infolist()} == {course_zip.DATE}
    (site / "index.html").write_text("another", encoding="utf-8")
    course_zip.main(site, tmp_path / "c.zip")
    assert (tmp_path / "c.zip").read_bytes() != made[0]


def test_it_is_served_from_where_it_was_unpacked_by_a_bare_python(site, tmp_path):
    course_zip.main(site, tmp_path / "course.zip")
    zipfile.ZipFile(tmp_path / "course.zip").extractall(tmp_path / "on a stick")
    start = tmp_path / "on a stick" / course_zip.FOLDER / "start.py"
    # -S -E: only the standard library, and none of this environment's settings
    command = [sys.executable, "-S", "-E", str(start), "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(address, timeout=10) as answer:
                assert answer.read() == b"<title>The course</title>"
            with opener.open(f"{address}lite/static/pyodide/pyodide.js", timeout=10) as answer:
                assert answer.read() == b"// Python"
        finally:
            process.terminate()


def test_the_readme_names_what_is_there():
    text = (ROOT / "website/offline/README.txt").read_text(encoding="ascii")
    assert max(map(len, text.splitlines())) < 80
    for name in re.findall(r"\b(?:start\.py|LICENSE[\w.-]*[\w])", text):
        assert name in course_zip.STARTED_BY
    assert all(path.is_file() for path in course_zip.STARTED_BY.values())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("index.html", None, "there is no site in"),
        ("lite/jupyter-lite.json", None, "has no Python for the browser"),
        (
            "lite/jupyter-lite.json",
            settings("https://cdn.example.org/pyodide.js"),
            "would load Python from https://cdn.example.org/pyodide.js",
        ),
        ("lite/static/pyodide/pyodide.js", None, f"would load Python from {CARRIED}"),
    ],
)
def test_a_site_that_needs_another_host_is_not_packed(site, tmp_path, name, text, message):
    if text is None:
        (site / name).unlink()
    else:
        (site / name).write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        course_zip.main(site, tmp_path / "course.zip")
    assert message in str(error.value) and "make book OFFLINE=1" in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("course*")), "something was written"
