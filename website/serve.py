"""Serve the built site on this machine only: ``python website/serve.py [FOLDER] [PORT]``."""

from __future__ import annotations

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "127.0.0.1"


class Handler(SimpleHTTPRequestHandler):
    """Files as they are; what was read is not logged, what is missing is."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of a request that was answered."""


def make_server(folder: str, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder at this port, or at a free one if the port is taken."""
    handler = functools.partial(Handler, directory=folder)
    try:
        return ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError:
        print(f"Port {port} is taken or not allowed: taking a free one")
        return ThreadingHTTPServer((ADDRESS, 0), handler)


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
