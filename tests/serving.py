"""The site's server, for as long as a test asks it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer


@contextlib.contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """Let a server run meanwhile; give its address, without a slash at its end."""
    with server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
