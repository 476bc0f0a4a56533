"""What builds the browser's kernel into the site, without a browser, a network or Node.js."""

import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest

from website.tools import lite

ROOT = Path(__file__).resolve().parents[1]
CDN = "https://cdn.jsdelivr.net/pyodide/"
WHEEL = "one-1.0-py3-none-any.whl"
DIGEST = hashlib.sha256(b"one").hexdigest()


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Start from an environment that asks for nothing."""
    monkeypatch.delenv("OFFLINE", raising=False)
    monkeypatch.delenv("PYODIDE_DIR", raising=False)


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A folder in the official network's stead, and nothing fetched."""
    monkeypatch.setattr(lite, "FETCHED", tmp_path / "fetched")
    monkeypatch.setattr(lite, "cdn", lambda: f"{tmp_path.as_uri()}/network/")
    (tmp_path / "network").mkdir()
    return tmp_path / "network"


# --- the files of Pyodide ------------------------------------------------------------------------


def test_closure_follows_what_packages_need_and_their_other_names():
    packages = {
        "matplotlib-inline": {"depends": ["traitlets", "matplotlib"]},
        "matplotlib": {"depends": ["numpy", "matplotlib-inline"]},  # round in a circle
        "numpy": {"depends": []},
        "traitlets": {"depends": []},
        "scipy": {"depends": ["numpy"]},
    }
    found = lite.closure(packages, ["Matplotlib_Inline"])
    assert found == {"matplotlib", "matplotlib-inline", "numpy", "traitlets"}


def test_a_file_is_fetched_once_from_the_official_network(network):
    lite.FETCHED.mkdir()
    (lite.FETCHED / WHEEL).write_bytes(b"that of an earlier version")
    (network / WHEEL).write_bytes(b"one")
    found = lite.find(WHEEL, DIGEST)
    (network / WHEEL).unlink()
    assert lite.find(WHEEL, DIGEST) == found and found.read_bytes() == b"one"


def test_a_folder_that_is_named_comes_before_the_network(network, tmp_path, monkeypatch):
    monkeypatch.setenv("PYODIDE_DIR", str(tmp_path))
    (tmp_path / WHEEL).write_bytes(b"one")
    assert lite.find(WHEEL, DIGEST) == tmp_path / WHEEL


@pytest.mark.parametrize("content", [b"another", None])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_is_missing_or_not_the_one_of_the_lock_is_refused(
    network, monkeypatch, named, content
):
    if named:
        monkeypatch.setenv("PYODIDE_DIR", str(network))
    if content:
        (network / WHEEL).write_bytes(content)
    with pytest.raises(SystemExit) as error:
        lite.find(WHEEL, DIGEST)
    line = str(error.value)
    assert WHEEL in line and "\n" not in line
    assert content or named or "PYODIDE_DIR" in line


# --- where the kernel asks -----------------------------------------------------------------------


@pytest.mark.parametrize("offline", ["", "0", "1"])
def test_the_kernel_asks_the_official_network_or_the_site_and_no_index(monkeypatch, offline):
    monkeypatch.setenv("OFFLINE", offline)
    settings = lite.settings([WHEEL], "0123")
    kernel = settings["jupyter-config-data"]["litePluginSettings"][lite.KERNEL]
    assert kernel["disablePyPIFallback"] is True
    assert f"../../../../static/wheels/0123/{WHEEL}" in kernel["loadPyodideOptions"]["packages"]
    hosts = re.findall(r"https:[^\"]*", json.dumps(settings))
    assert hosts == ([] if offline == "1" else [kernel["pyodideUrl"]])
    assert kernel["pyodideUrl"].startswith("./static/" if offline == "1" else CDN)


def test_the_policy_lets_the_default_kernel_ask_the_network_and_the_offline_one_nobody(
    tmp_path, monkeypatch
):
    (tmp_path / "index.html").write_text("<script>go()</script>", encoding="utf-8")
    default = lite.policy(tmp_path)
    assert default.count(CDN) == 2 and "'sha256-5KYv" in default
    monkeypatch.setenv("OFFLINE", "1")
    assert "https:" not in lite.policy(tmp_path) and "'sha256-5KYv" in lite.policy(tmp_path)


# --- what it is made of --------------------------------------------------------------------------


def test_the_listed_versions_are_those_that_the_course_installs():
    """Where a package stands in both lists, the browser has the version that made the outputs."""
    files = (ROOT / "requirements.txt", lite.PARTS / "requirements.txt")
    pins = [dict(re.findall(r"^([\w-]+)==(\S+)", f.read_text("utf-8"), re.M)) for f in files]
    both = pins[0].keys() & pins[1].keys()
    assert len(both) >= 3 and all(pins[0][name] == pins[1][name] for name in both)


def test_a_notebook_is_carried_whole_with_its_texts_in_one_piece(tmp_path):
    """JupyterLite would show the lines of a stored output with commas between them."""
    path = ROOT / "chapters/03_small_random_weights.ipynb"
    lite.carry(path, tmp_path / path.name)
    carried = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
    assert nbformat.from_dict(carried) == nbformat.read(path, as_version=4)
    outputs = [output for cell in carried["cells"] for output in cell.get("outputs", [])]
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    assert len(texts) > 5 and all(isinstance(text, str) for text in texts)


def test_without_the_book_there_is_one_line():
    with pytest.raises(SystemExit, match="FOLDER must hold the built book, and nowhere does not"):
        lite.main("nowhere")
