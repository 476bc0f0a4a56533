"""The server of the built site: what it answers, and under which policy."""

import json
import urllib.error
import urllib.request

import pytest
from serving import running

from website.tools import serve

POLICIES = {"": "default-src 'self'", "lite/": "default-src 'self'; script-src 'unsafe-eval'"}
TYPES = {
    "index.html": "text/html",
    "lite/a.js": "text/javascript",
    "lite/b.wasm": "application/wasm",
    "a%20picture.png": "image/png",
    "notes.unknown": "application/octet-stream",
}


@pytest.fixture
def server(tmp_path):
    """A server of a folder with a few files."""
    (tmp_path / "lite").mkdir()
    for name in TYPES:
        (tmp_path / name.replace("%20", " ")).write_bytes(name.encode())
    (tmp_path / "content-security-policy.json").write_text(json.dumps(POLICIES), encoding="utf-8")
    return serve.make_server(str(tmp_path), 0)


@pytest.fixture
def ask(server):
    """Ask the running server for a path."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with running(server) as address:
        yield lambda path: opener.open(f"{address}/{path}", timeout=10)


@pytest.mark.parametrize("name", TYPES)
def test_a_file_comes_whole_with_its_type_and_the_policy_of_its_folder(ask, name, capfd):
    with ask(f"{name}?v=1") as answer:
        assert answer.read() == name.encode()
        assert answer.headers["Content-Type"].partition(";")[0] == TYPES[name]
        prefix = "lite/" if name.startswith("lite/") else ""
        assert answer.headers["Content-Security-Policy"] == POLICIES[prefix]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["no.html", "../../etc/hostname", "%2e%2e/%2e%2e/etc/hosts"])
def test_nothing_is_served_but_the_folder_to_this_machine(ask, server, path, capfd):
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        ask(path)
    with error.value as answer:
        assert answer.headers["Content-Security-Policy"] == POLICIES[""]
    assert "404" in capfd.readouterr().err


def test_a_taken_port_gives_another_one(server, capsys):
    with server, serve.make_server(".", server.server_port) as other:
        assert other.server_port != server.server_port and other.policies == {}
    assert "taken" in capsys.readouterr().out


@pytest.mark.parametrize("port", ["eight", "65536"])
def test_a_wrong_port_is_one_clear_line(port):
    with pytest.raises(SystemExit, match="PORT must be a number"):
        serve.main(".", port)
