"""In which order the tests of the site look for a browser."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent / "site"))

import browser  # noqa: E402


@pytest.mark.parametrize(
    "there, named, found",
    [
        ({}, "", None),  # Playwright's own
        ({"google-chrome": 0}, "", "google-chrome"),
        ({"google-chrome": 0, "chromium": 0}, "", "chromium"),
        ({"google-chrome": 0, "chromium": 1}, "", "google-chrome"),  # a stub that does not run
        ({"mine": 0, "chromium": 0}, "mine", "mine"),
    ],
)
def test_one_that_is_named_comes_before_the_path_and_the_path_before_playwrights(
    tmp_path, monkeypatch, there, named, found
):
    for name, status in there.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM", named)
    assert browser.find() == (found and str(tmp_path / found))


def test_one_that_is_named_must_be_there(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/no/browser")
    with pytest.raises(browser.NoBrowserError, match="CHROMIUM must .*, not '/no/browser'"):
        browser.find()
