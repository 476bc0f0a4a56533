"""The environment on Binder, as far as it can be looked at without Docker."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from notebook_rules import IMPORTS
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(path):
    """Return the pins of a requirement file by their names."""
    lines = [line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {requirement.name: str(requirement.specifier) for requirement in found}


def test_it_has_the_files_that_binder_reads_and_no_others():
    assert sorted(path.name for path in BINDER.iterdir()) == [
        *("postBuild", "requirements.txt", "runtime.txt")
    ]


def test_the_pins_are_those_of_the_course():
    here, course = pins(BINDER / "requirements.txt"), pins(ROOT / "requirements.txt")
    assert here.items() <= course.items()
    assert all(specifier.startswith("==") for specifier in here.values())
    assert not [name for name in here if re.search("book|sphinx|myst|pytest|nbval", name.lower())]


def test_the_chapters_and_the_package_find_there_what_they_need():
    here = pins(BINDER / "requirements.txt")
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(here[requirement.name].removeprefix("==")), text
    third_parties = IMPORTS - set(sys.stdlib_module_names) - {"initcore"}
    assert third_parties <= set(here)


def test_the_python_is_one_that_the_package_is_tried_on():
    version = re.fullmatch(r"python-(3\.\d+)\n", (BINDER / "runtime.txt").read_text("utf-8"))[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_the_script_is_one_that_runs_and_installs_the_package_in_place():
    script = BINDER / "postBuild"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash\n") and "\r" not in text
    assert re.search(r"^python -m pip install .*--no-deps -e \.$", text, re.MULTILINE)
    if bash := shutil.which("bash"):
        assert os.access(script, os.X_OK)
        subprocess.run([bash, "-n", script], check=True)
