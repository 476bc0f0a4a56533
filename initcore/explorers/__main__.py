"""Measure the numbers of the live figures: ``python -m initcore.explorers [NAME ...]``.

Writes ``data/NAME.json``, which the package carries, in minutes; without a name all of them. The
tests measure a sample again and compare.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tqdm import tqdm

from initcore import _files
from initcore.explorers import EXPLORERS


def to_text(data: dict) -> str:
    """Return the text that numbers are stored as: compact, a case a line, for readable changes.

    >>> print(to_text({"shared": {"x": [1.0]}, "cases": {"a": {"y": [None, 0.5]}}}))
    {"shared":{"x":[1]},"cases":{
    "a":{"y":[null,0.5]}
    }}
    """

    def compact(value: object) -> str:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        return re.sub(r"\b(\d{1,6})\.0(?=[],}])", r"\1", text)  # short whole numbers without .0

    cases = ",\n".join(f"{compact(name)}:{compact(case)}" for name, case in data["cases"].items())
    return f'{{"shared":{compact(data["shared"])},"cases":{{\n{cases}\n}}}}'


def main(names: list[str]) -> None:
    """Measure the named ones, or all, and replace their files."""
    for name in names or EXPLORERS:
        if name not in EXPLORERS:
            sys.exit(f"NAME must be one of {', '.join(EXPLORERS)}, not {name!r}")
        data = EXPLORERS[name].compute(progress=tqdm)
        path = Path(__file__).parent / "data" / f"{name}.json"
        _files.write(path, to_text(data) + "\n")
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    with _files.plain_errors():
        main(sys.argv[1:])
