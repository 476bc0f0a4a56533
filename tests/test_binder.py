"""The environment on Binder, as far as it can be looked at without Docker."""

import os
import re
import sys
import tomllib
from pathlib import Path

from notebook_rules import IMPORTS
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(path):
    """Return the pins of a requirement file by their names."""
    lines = [line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {requirement.name: str(requirement.specifier) for requirement in found}


def test_the_pins_are_those_of_the_course():
    here, course = pins(BINDER / "requirements.txt"), pins(ROOT / "requirements.txt")
    assert here.items() <= course.items()
    assert all(specifier.startswith("==") for specifier in here.values())


def test_the_chapters_and_the_package_find_there_what_they_need():
    here = pins(BINDER / "requirements.txt")
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(here[requirement.name].removeprefix("==")), text
    assert IMPORTS - set(sys.stdlib_module_names) - {"initcore"} <= set(here)


def test_its_python_is_one_of_the_package_s_and_its_script_installs_the_package():
    version = (BINDER / "runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
    script = (BINDER / "postBuild").read_text(encoding="utf-8")
    assert script.startswith("#!/bin/bash\n")
    assert re.search(r"^python -m pip install .*--no-deps -e \.$", script, re.MULTILINE)
    assert os.access(BINDER / "postBuild", os.X_OK)
