"""The Content-Security-Policy: what is made of a page, and of the settings of servers."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from website.extensions import csp

ROOT = Path(__file__).resolve().parents[1]

HEAD = '<head>\n<meta charset="utf-8" /><title>A</title>'


def hashed(text):
    """Return the source that allows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize(
    "script, allowed",
    [
        ("<script>a()</script>", {hashed("a()")}),
        ('<script type="module">a()\n</script>', {hashed("a()\n")}),
        ('<script data-cfasync="false">é</script>', {hashed("é")}),
        ('<script src="a.js"></script>', set()),
        ('<script type="application/json">{}</script>', set()),
        ("<script>a()</script><script>b()</script>", {hashed("a()"), hashed("b()")}),
    ],
)
def test_the_scripts_within_a_page_are_allowed_by_their_hash(script, allowed):
    assert csp.inline_scripts(script) == allowed


def test_a_page_gets_its_policy_right_after_its_encoding():
    page = csp.harden(f"{HEAD}<script>a()</script>")
    assert page.startswith('<head>\n<meta charset="utf-8" /><meta http-equiv="Content-Security-Po')
    assert f"script-src 'self' {hashed('a()')}; " in page
    assert csp.harden(page) == page
    assert hashed("b()") in csp.harden(page.replace("a()", "b()"))


def test_scripts_that_differ_on_each_page_and_that_nobody_reads_are_left_out():
    page = (
        f"{HEAD}\n<script>DOCUMENTATION_OPTIONS.pagename = 'pages/a';</script>"
        '<script type="text/x-thebe-config">\n{}\n</script>'
        "<script>kernelName = 'python3'</script>"
    )
    assert "<script" not in csp.harden(page)


@pytest.mark.parametrize(
    "element",
    ['<button class="a"\n onclick="go()">', "<img onload = 'go()'>", '<a href="javascript:go()">'],
)
def test_code_in_an_attribute_is_an_error(element):
    with pytest.raises(ValueError, match="code in an attribute"):
        csp.harden(HEAD + element)


def test_a_text_about_such_code_is_none():
    page = f'{HEAD}<p>An onclick="go()" in a text</p>'
    assert page.split("<title>")[1] in csp.harden(page)


def test_the_file_keeps_the_other_policy(tmp_path):
    csp.write(tmp_path, "", "a")
    csp.write(tmp_path, "lite/", "b")
    csp.write(tmp_path, "", "c")
    assert json.loads((tmp_path / csp.FILE).read_text()) == {"": "c", "lite/": "b"}


@pytest.mark.parametrize("server", csp.SERVERS)
def test_the_settings_of_a_server_hold_both_policies(server, tmp_path, capsys):
    csp.write(tmp_path, "", "default-src 'self'")
    csp.write(tmp_path, "lite/", "default-src 'none'")
    csp.main(server, str(tmp_path))
    printed = capsys.readouterr().out
    assert "\"default-src 'self'\"" in printed and "\"default-src 'none'\"" in printed


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("iis",), "SERVER must be nginx or apache, not 'iis'"),
        (("nginx", "nowhere"), "FOLDER must"),
    ],
)
def test_what_cannot_be_printed_is_one_clear_line(arguments, message):
    with pytest.raises(SystemExit, match=message):
        csp.main(*arguments)
