"""Serve the built site on this machine only: ``python -m website.tools.serve [FOLDER] [PORT]``.

The policy in the site's ``content-security-policy.json`` says what its pages may load. The standard
library is enough, as the zip of the course carries this file, as ``start.py``, to machines with a
bare Python: ``python3 start.py [PORT]`` serves the folder ``site`` beside it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

# What a machine's own list may lack, or have otherwise: browsers insist on these.
TYPES = dict.fromkeys((".js", ".mjs"), "text/javascript")
TYPES |= {".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm"}


class Handler(SimpleHTTPRequestHandler):
    """Files under the site's policy; what was read is not logged, what is missing is."""

    protocol_version = "HTTP/1.1"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}

    def handle(self) -> None:
        """Answer, and say nothing of readers who went away."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of a request that was answered."""

    def end_headers(self) -> None:
        """Add the policy of the longest folder that the path begins with."""
        path, policies = unquote(getattr(self, "path", "/")).lstrip("/"), self.server.policies
        if fitting := [prefix for prefix in policies if path.startswith(prefix)]:
            self.send_header("Content-Security-Policy", policies[max(fitting, key=len)])
        self.send_header("Cache-Control", "no-cache")  # ask each time whether a file has changed
        super().end_headers()


def make_server(folder: str, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder at this port, or at a free one if the port is taken."""
    handler = functools.partial(Handler, directory=folder)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        print(f"Port {port} is taken or not allowed: taking a free one")
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    path = Path(folder, "content-security-policy.json")
    server.policies = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return server


def main(folder: str = "_build/html", port: str = "8000") -> None:
    """Serve until Ctrl+C."""
    if not port.isdecimal() or int(port) > 65535:
        sys.exit(f"PORT must be a number from 0 to 65535, not {port!r}")
    with make_server(folder, int(port)) as server:
        print(f"The course: http://127.0.0.1:{server.server_port}/ (Ctrl+C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    packed = Path(__file__).resolve().with_name("site")
    main(*([str(packed)] if packed.is_dir() else []), *sys.argv[1:3])
