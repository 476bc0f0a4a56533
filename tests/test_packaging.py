"""The package as others get it: its metadata, its wheel, and the files around it."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import initcore

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def build(folder, root=ROOT):
    """Build the wheel without a network."""
    code = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=root, check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    file = build(folder)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_numpy_is_the_only_runtime_dependency():
    assert [re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]] == ["numpy"]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert initcore.__version__ == PROJECT["version"] == citation["version"]


def test_the_wheel_holds_the_package_and_its_licences_and_nothing_else(wheel):
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    info = {name for name in names if name.startswith(f"initcore-{PROJECT['version']}.dist-info/")}
    kinds = (".py", ".js", ".css", ".json", ".npz", ".md")
    package = [path for path in ROOT.glob("initcore/**/*") if path.suffix in kinds]
    assert names - info == {path.relative_to(ROOT).as_posix() for path in package}
    licences = {name.rpartition("/")[2] for name in info if "/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-CC-BY-4.0"}


def test_the_wheel_works_by_itself(wheel):
    code = f"""
import sys
sys.path.insert(0, {str(wheel)!r})
import initcore.datasets
print(initcore.__file__, initcore.datasets.load_digits().x.shape)
"""
    printed = subprocess.check_output([sys.executable, "-IB", "-c", code], cwd=wheel, text=True)
    assert printed.startswith(str(wheel)) and "(1797, 64)" in printed


def test_the_wheel_of_a_later_copy_has_the_same_bytes(wheel, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copytree(ROOT / "initcore", copy / "initcore", copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-CC-BY-4.0"):
        shutil.copyfile(ROOT / name, copy / name)
    (first,) = wheel.parent.glob("*.whl")
    assert build(tmp_path, copy).read_bytes() == first.read_bytes()


def locked(name):
    """Return the packages of a lock by their names: the rest of the line, and the hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)(==.*?) \\\n((?: +--hash=.*\n)+)", text, re.MULTILINE)
    assert re.sub(r"^#.*\n", "", text, flags=re.M) == "".join(
        f"{package}{version} \\\n{hashes}" for package, version, hashes in found
    )
    return {(package, version.split()[0]): hashes for package, version, hashes in found}


@pytest.mark.parametrize("folder", ["", "tests/"])
def test_a_lock_has_the_pins_each_with_hashes_and_no_host(folder):
    lock = locked(f"{folder}requirements.lock")
    hashes = [line.split() for text in lock.values() for line in text.splitlines()]
    assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one, *_ in hashes)
    pins = (ROOT / folder / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)(==\S+)", pins, re.MULTILINE)
    assert {(name.lower(), version) for name, version in pins} <= lock.keys()
    assert lock.keys() <= locked("tests/requirements.lock").keys()


def test_the_list_for_machines_has_every_package_of_the_lock(tmp_path):
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        str(ROOT / "requirements.lock"),
    ]
    subprocess.run([*command, "-o", str(tmp_path / "sbom.json")], check=True, capture_output=True)
    listed = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    found = {(part["name"], f"=={part['version']}") for part in listed["components"]}
    assert found == locked("requirements.lock").keys()


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned_and_none_is_pytorch(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    for line in filter(None, (line.split("#")[0].strip() for line in lines)):
        assert line == "-e ." or re.fullmatch(r"(?!torch|tensorflow)[\w.-]+==[\w.]+", line), line


@pytest.mark.parametrize("folder", ["website", "tests/site"])
def test_the_javascript_is_locked_without_a_host(folder):
    lock = json.loads((ROOT / folder / "package-lock.json").read_text(encoding="utf-8"))
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "intro.md", "pages/deployment.md"]
)
def test_what_a_page_links_to_and_runs_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```|`[^`]+`", "", text, flags=re.S)):
        found = target.startswith("https://") or (ROOT / page).parent.joinpath(target).exists()
        assert found, target
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:`|^ *)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)
