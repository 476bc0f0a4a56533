"""In which order the tests of the site look for a browser, and what they say if there is none."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "site"))

import browser  # noqa: E402


@pytest.fixture
def programs(tmp_path):
    """A folder for the path, and a function that puts a program into it."""

    def make(name, status=0):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\nexit {status}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return tmp_path, make


@pytest.fixture
def packaged(monkeypatch):
    """A packaged browser, without unpacking it."""
    found = browser.Found("packaged")
    monkeypatch.setattr(browser, "unpack", lambda package: found)
    return found


def test_the_one_that_is_named_comes_first(programs, packaged):
    folder, make = programs
    make("chromium")
    mine = make("mine")
    environment = {"CHROMIUM": mine, "PACKAGED_BROWSER": "1", "PATH": str(folder)}
    assert browser.find(environment).program == mine
    assert browser.find({**environment, "CHROMIUM": "mine"}).program == mine


def test_one_that_is_named_must_be_there(programs):
    folder, make = programs
    make("chromium")
    with pytest.raises(browser.NoBrowserError, match=r"^CHROMIUM must .*, not '/no/browser'$"):
        browser.find({"CHROMIUM": "/no/browser", "PATH": str(folder)})


def test_the_packaged_one_only_when_it_is_asked_for(programs, packaged):
    folder, make = programs
    mine = make("chromium")
    path = {"PATH": str(folder)}
    assert browser.find({**path, "PACKAGED_BROWSER": "1"}) is packaged
    for no in ("", "0"):
        assert browser.find({**path, "PACKAGED_BROWSER": no}).program == mine
    with pytest.raises(browser.NoBrowserError, match="PACKAGED_BROWSER must be 1, 0 or empty"):
        browser.find({**path, "PACKAGED_BROWSER": "yes"})


def test_the_path_comes_before_the_one_of_playwright(programs):
    folder, make = programs
    path = {"PATH": str(folder)}
    assert browser.find(path).program is None  # Playwright's own
    chrome = make("google-chrome")
    assert browser.find(path).program == chrome
    assert browser.find({**path, "CHROMIUM": ""}).program == chrome
    chromium = make("chromium")
    assert browser.find(path).program == chromium
    make("chromium", status=1)  # a stub, which tells how to install it
    assert browser.find(path).program == chrome


def test_no_sandbox_is_not_among_the_arguments(programs):
    folder, make = programs
    make("chromium")
    assert "--no-sandbox" not in browser.find({"PATH": str(folder)}).arguments


def test_a_package_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(browser.NoBrowserError, match="tests/site/chromium"):
        browser.unpack(tmp_path)


@pytest.mark.parametrize("system, machine", [("darwin", "arm64"), ("linux", "aarch64")])
def test_the_package_is_for_one_kind_of_machine(tmp_path, monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(browser.NoBrowserError, match=f"not {system} on {machine}"):
        browser.unpack(tmp_path)


def test_a_download_that_fails_is_one_line(monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(browser.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(browser.NoBrowserError) as error:
        browser.download()
    assert "\n" not in str(error.value) and "CHROMIUM=/path" in str(error.value)


def test_the_telling_line_of_a_long_error():
    words = "Launch failed\nx: error while loading shared libraries: libnss3.so\nCall log:"
    assert browser.reason(Exception(words)).endswith("libnss3.so")
    assert browser.reason(Exception("one\ntwo")) == "one"


def test_site_tests_are_no_part_of_the_others():
    """They need a browser and Node.js, which `make test` does not."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "tests/test_browser.py",
        "tests",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert "tests/test_browser.py" in result.stdout
    assert "tests/site" not in result.stdout
