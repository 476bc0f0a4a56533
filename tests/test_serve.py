"""The server of the built site: what it answers, and what it says about it."""

import gzip
import http.client
import json
import os
from pathlib import Path

import pytest

from website.extensions import csp
from website.tools import serve

ROOT = Path(__file__).resolve().parents[1]

POLICIES = {"": "default-src 'self'", "lite/": "default-src 'self'; script-src 'unsafe-eval'"}
FILES = {
    "index.html": b"<p>" + b"a page " * 500,
    "lite/a.js": b"go()",
    "lite/b.wasm": b"\0asm" + bytes(5000),
    "a picture.png": b"\x89PNG",
    "notes.unknown": b"?",
}


@pytest.fixture
def server(tmp_path):
    """A running server of a folder with a few files."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (tmp_path / serve.POLICY).write_text(json.dumps(POLICIES), encoding="utf-8")
    made = serve.make_server(str(tmp_path), 0)
    with serve.running(made):
        yield made


@pytest.fixture
def ask(server):
    """Ask the server, over one connection: `ask(path, method, **headers)` → answer, content."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)

    def asked(path, method="GET", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        return answer, answer.read()

    yield asked
    connection.close()


def test_the_names_of_the_file_are_one():
    assert serve.POLICY == csp.FILE


def test_it_is_there_for_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "name, kind",
    [
        ("index.html", "text/html; charset=utf-8"),
        ("lite/a.js", "text/javascript; charset=utf-8"),
        ("lite/b.wasm", "application/wasm"),
        ("a%20picture.png", "image/png"),
        ("notes.unknown", "application/octet-stream"),
    ],
)
def test_a_file_comes_whole_with_its_type(ask, name, kind):
    answer, content = ask(f"/{name}?v=1")
    assert answer.status == 200 and answer.headers["Content-Type"] == kind
    assert content == FILES[name.replace("%20", " ")]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Encoding"] is None


def test_texts_are_packed_for_those_who_take_it(ask):
    answer, content = ask("/index.html", Accept_Encoding="gzip, br")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(content) == FILES["index.html"] and len(content) < 200
    assert int(answer.headers["Content-Length"]) == len(content)
    answer, content = ask("/a%20picture.png", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] is None and content == FILES["a picture.png"]


def test_a_head_has_no_content(ask):
    answer, content = ask("/index.html", "HEAD", Accept_Encoding="gzip")
    assert answer.status == 200 and content == b"" and int(answer.headers["Content-Length"]) > 50


def test_what_has_not_changed_is_not_sent_again(ask, tmp_path):
    for headers in ({}, {"Accept_Encoding": "gzip"}):
        date = ask("/index.html", **headers)[0].headers["Last-Modified"]
        answer, content = ask("/index.html", If_Modified_Since=date, **headers)
        assert answer.status == 304 and content == b""
    path = tmp_path / "index.html"
    path.write_bytes(b"a new page")
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))
    answer, content = ask("/index.html", If_Modified_Since=date, Accept_Encoding="gzip")
    assert answer.status == 200 and gzip.decompress(content) == b"a new page"


@pytest.mark.parametrize(
    "path, prefix",
    [("/", ""), ("/nothing.html", ""), ("/lite/a.js", "lite/"), ("/lit%65/a.js", "lite/")],
)
def test_each_answer_has_the_policy_of_its_folder(ask, path, prefix):
    assert ask(path)[0].headers["Content-Security-Policy"] == POLICIES[prefix]


def test_a_missing_file_is_told_in_a_line(ask, capsys):
    answer, content = ask("/chapters/<b>.html")
    assert answer.status == 404 and answer.headers["Content-Type"].startswith("text/plain")
    assert b"404" in content and b"/index.html" in content
    assert "404" in capsys.readouterr().err


def test_one_connection_serves_many(ask, server, capsys):
    for _ in range(3):
        answer, _ = ask("/index.html")
        assert answer.version == 11 and not answer.will_close
    assert capsys.readouterr().err == ""


def test_nothing_above_the_folder_is_served(ask):
    assert ask("/../../etc/hostname")[0].status == 404
    assert ask("/%2e%2e/%2e%2e/etc/hostname")[0].status == 404


def test_a_reader_who_goes_away_is_no_news(server, capsys):
    for error in (ConnectionResetError(), BrokenPipeError()):
        try:
            raise error
        except OSError:
            server.handle_error(None, None)
    assert capsys.readouterr().err == ""
    try:
        raise ValueError("a mistake")
    except ValueError:
        server.handle_error(None, ("127.0.0.1", 1))
    assert "a mistake" in capsys.readouterr().err


def test_a_site_without_a_policy_is_served_without_one(tmp_path):
    (tmp_path / "index.html").write_text("a page", encoding="utf-8")
    made = serve.make_server(str(tmp_path), 0)
    with serve.running(made):
        connection = http.client.HTTPConnection(*made.server_address, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.headers["Content-Security-Policy"] is None
        connection.close()


def test_a_taken_port_gives_another_one(server, capsys):
    with serve.make_server(".", server.server_port) as other:
        assert other.server_port != server.server_port
    assert "taken" in capsys.readouterr().out


def test_a_wrong_port_is_one_clear_line():
    with pytest.raises(SystemExit, match="PORT must be a number"):
        serve.main(".", "eight")
