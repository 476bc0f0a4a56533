"""Measure the numbers of the live figures: ``python -m website.tools.explorer_data [NAME ...]``.

Writes ``initcore/explorers/data/NAME.json``, which the package carries, in minutes; without a name
all of them. The tests measure a sample again and compare.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tqdm import tqdm

from initcore.explorers import EXPLORERS

FOLDER = Path(__file__).resolve().parents[2] / "initcore" / "explorers" / "data"


def to_text(data: dict) -> str:
    """Return the text that numbers are stored as: compact, a case a line, for readable changes.

    Examples
    --------
    >>> print(to_text({"shared": {"x": [1.0]}, "cases": {"a": {"y": [None, 0.5]}}}))
    {"shared":{"x":[1]},"cases":{
    "a":{"y":[null,0.5]}
    }}
    """

    def compact(value: object) -> str:
        text = json.dumps(_whole(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        return text

    cases = ",\n".join(f"{compact(name)}:{compact(case)}" for name, case in data["cases"].items())
    return f'{{"shared":{compact(data["shared"])},"cases":{{\n{cases}\n}}}}'


def _whole(value: object) -> object:
    """Write whole numbers without their ``.0``, unless they would become long."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    short = isinstance(value, float) and value.is_integer() and abs(value) < 1e6
    return int(value) if short else value


def write(name: str) -> None:
    """Measure one explorer's numbers and replace its file in one step."""
    start = time.monotonic()
    data = EXPLORERS[name].compute(progress=lambda cases: tqdm(cases, desc=name, unit="case"))
    path = FOLDER / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(to_text(data) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {time.monotonic() - start:.0f} s")


def main(names: list[str]) -> None:
    """Write the named ones, or all."""
    for name in names:
        if name not in EXPLORERS:
            sys.exit(f"NAME must be one of {', '.join(EXPLORERS)}, not {name!r}")
    for name in names or EXPLORERS:
        write(name)


if __name__ == "__main__":
    main(sys.argv[1:])
