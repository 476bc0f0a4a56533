"""The package as others get it: its metadata, its wheel, and the files around it."""

import json
import re
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


def requirements(name):
    """Return the requirements of a file, without its comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for text in lines if (line := text.split("#")[0].strip())]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without a network and unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_numpy_is_the_only_runtime_dependency():
    assert [re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]] == ["numpy"]
    assert set(PROJECT["optional-dependencies"]) == {"plots", "widgets", "progress"}


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert initcore.__version__ == PROJECT["version"] == citation["version"]


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    package = {name for name in names if name.startswith("initcore/")}
    info = {name for name in names if name.startswith(f"initcore-{PROJECT['version']}.dist-info/")}
    assert names == package | info
    sources = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("initcore/**/*.py")}
    data = {"initcore/data/digits.npz", "initcore/data/README.md"}
    kinds = ("js", "css", "json")
    figures = {
        p.relative_to(ROOT).as_posix() for k in kinds for p in ROOT.glob(f"initcore/**/*.{k}")
    }
    assert "initcore/explorers/kit.js" in figures
    assert package == sources | data | figures
    licences = {name.rsplit("/", 1)[1] for name in info if "/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-CC-BY-4.0"}


def test_the_wheel_works_by_itself(wheel):
    code = f"""
import sys
sys.path.insert(0, {str(wheel)!r})
import initcore.datasets
print(initcore.__file__, initcore.datasets.load_digits().x.shape)
"""
    command = [sys.executable, "-I", "-c", code]
    result = subprocess.run(command, cwd=wheel, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split(" ", 1)[0].startswith(str(wheel))
    assert "(1797, 64)" in result.stdout


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned(name):
    lines = [line for line in requirements(name) if line != "-e ."]
    assert lines
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]


def test_building_and_testing_never_need_pytorch():
    names = requirements("requirements.txt") + requirements("tests/requirements.txt")
    assert not [line for line in names if re.match(r"torch|tensorflow", line)]
    assert [line.split("==")[0] for line in requirements("tests/requirements-torch.txt")] == [
        "torch"
    ]


def test_the_runtime_pins_satisfy_the_package():
    pins = dict(line.split("==") for line in requirements("requirements.txt") if "==" in line)
    extras = PROJECT["optional-dependencies"]
    for line in [*PROJECT["dependencies"], *(line for extra in extras.values() for line in extra)]:
        name, lowest = line.split(">=")
        as_numbers = [tuple(map(int, text.split("."))) for text in (pins[name], lowest)]
        assert as_numbers[0] >= as_numbers[1], line


def test_the_javascript_is_locked_without_a_host():
    lock = json.loads((ROOT / "website/package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((ROOT / "website/package.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["dependencies"] == wanted["dependencies"]
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_what_the_front_pages_link_to_is_there():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "intro.md"):
        text = re.sub(r"```.*?```|`[^`]+`", "", (ROOT / page).read_text("utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{page}: {target}"


def test_every_target_of_the_readme_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.M))
    for page in ("README.md", "CONTRIBUTING.md", "intro.md"):
        code = re.findall(
            r"`make ([a-z-]+)|^make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.M
        )
        assert {name for pair in code for name in pair if name} <= targets, page
