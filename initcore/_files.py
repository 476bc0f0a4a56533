"""Files that are whole or as they were, and errors of a disk in one line (level 0).

The commands write with it: `python -m initcore.explorers`, and those in `website/tools`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Replace a file, so that at no moment a part of it stands there as if it were all."""
    new = path.with_name(f"{path.name}.tmp")
    try:
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.replace(path)
    except OSError as error:
        error.filename = str(path)  # of a full disk there is none
        raise
    finally:
        with contextlib.suppress(OSError):
            new.unlink()  # what could not be finished


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """End a command with one line where a file cannot be read or written, and on Ctrl+C."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or 'A file'} cannot be read or written"
        sys.exit(f"{what}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("Stopped: what was not finished is as it was")
