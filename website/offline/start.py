"""Show the course in this folder: ``python3 start.py [PORT]``."""

from __future__ import annotations

import sys
from pathlib import Path

import serve

if __name__ == "__main__":
    serve.main(str(Path(__file__).resolve().parent / "site"), *sys.argv[1:2])
