"""Serve the built site on this machine only: ``python -m website.tools.serve [FOLDER] [PORT]``.

As a good host would: texts are compressed, connections are kept, and the policy in the site's
``content-security-policy.json`` says what its pages may load. The standard library is enough, as
the zip of the course (``make zip``) carries this file to machines with a bare Python.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

ADDRESS = "127.0.0.1"
POLICY = "content-security-policy.json"
# What a machine's own list may lack, or have otherwise: browsers are told to believe these.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ipynb": "application/json",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".whl": "application/zip",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
TEXTS = ("text/", "application/json", "application/wasm", "application/manifest", "image/svg")
UNICODE = ("text/", "application/json", "application/manifest", "image/svg")


@functools.lru_cache(maxsize=256)
def compressed(path: Path, changed: float) -> bytes:
    """Return a file's content, packed by gzip; kept until the file changes."""
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


class Handler(SimpleHTTPRequestHandler):
    """Files as they are; what was read is not logged, what is missing is."""

    protocol_version = "HTTP/1.1"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d: %(message)s.\nThe course begins at /index.html.\n"

    def __init__(self, *args: object, policies: dict[str, str], **options: object) -> None:
        self.policies = policies
        super().__init__(*args, **options)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of a request that was answered."""

    def guess_type(self, path: str) -> str:
        """Return the type of a file, with the encoding of a text."""
        kind = super().guess_type(path)
        return f"{kind}; charset=utf-8" if kind.startswith(UNICODE) else kind

    def end_headers(self) -> None:
        """Add what every answer has."""
        path = unquote(urlsplit(getattr(self, "path", "/")).path).lstrip("/")
        fitting = [prefix for prefix in self.policies if path.startswith(prefix)]
        if fitting:
            self.send_header("Content-Security-Policy", self.policies[max(fitting, key=len)])
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")  # ask each time whether a file has changed
        super().end_headers()

    def send_head(self) -> BinaryIO | None:
        """Answer with a packed text, where the browser takes one; else as the library does."""
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(str(path))
        takes = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (takes and kind.startswith(TEXTS) and path.is_file()):
            return super().send_head()
        changed = path.stat().st_mtime
        date = formatdate(changed, usegmt=True)
        if self.headers.get("If-Modified-Since") == date:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.end_headers()
            return None
        content = compressed(path, changed)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Last-Modified", date)
        self.end_headers()
        return io.BytesIO(content)


class Server(ThreadingHTTPServer):
    """A server that says nothing of readers who went away."""

    request_queue_size = 128  # a browser opens several connections at once

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell of an error, unless the other side has closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: str, port: int) -> Server:
    """Return a server of a folder at this port, or at a free one if the port is taken."""
    path = Path(folder, POLICY)
    policies = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    handler = functools.partial(Handler, directory=folder, policies=policies)
    try:
        return Server((ADDRESS, port), handler)
    except OSError:
        print(f"Port {port} is taken or not allowed: taking a free one")
        return Server((ADDRESS, 0), handler)


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Let a server run meanwhile; give its address, without a slash at its end."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def main(folder: str = "_build/html", port: str = "8000") -> None:
    """Serve until Ctrl+C."""
    if not port.isdecimal() or int(port) > 65535:
        sys.exit(f"PORT must be a number from 0 to 65535, not {port!r}")
    with make_server(folder, int(port)) as server:
        print(
            f"The course is at http://{ADDRESS}:{server.server_port}/ (Ctrl+C ends it)", flush=True
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main(*sys.argv[1:3])
