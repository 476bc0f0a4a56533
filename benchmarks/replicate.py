"""Measure the papers again, seed by seed, and write what came of it (``make replicate``).

Usage: ``make replicate [ARGS="glorot2010 he2015"]``; with words, only the papers whose keys have
one of them. The numbers, with their verdicts, go into ``benchmarks/replications.json``, which keeps
the other papers, and from there into ``pages/replications.md``.

After an interruption the same command goes on. Until all seeds of a paper are there, those that are
done stand in ``_build/replicate``, in a file that is named after the code and NumPy: what another
code measured is not mixed in. ``ARGS=--words`` runs nothing: it judges the stored numbers again,
after a change of what ``papers.py`` says of them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import papers

from initcore import _files
from initcore.sweeps import sweep

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from website.tools import lists  # noqa: E402

RESULTS = ROOT / lists.REPLICATIONS
PARTS = ROOT / "_build/replicate"


def run(key: str, seed: int) -> dict[str, Any]:
    """Measure a paper once, with the time of the processor: the clock sees who else runs."""
    began = time.process_time()
    numbers = next(paper for paper in papers.PAPERS if paper.key == key).run(seed)
    return {"numbers": numbers, "seconds": time.process_time() - began}


def part(key: str) -> Path:
    """Return the file of the seeds of a paper that are done."""
    code = sorted([*ROOT.glob("initcore/**/*.py"), *ROOT.glob("benchmarks/papers*.py")])
    content = b"".join(path.read_bytes() for path in code) + np.__version__.encode()
    return PARTS / f"{key.replace(':', '-')}-{hashlib.sha256(content).hexdigest()[:12]}.jsonl"


def measured(paper: papers.Paper) -> dict[str, Any]:
    """Return the numbers of all seeds, in the six digits that are stored, and what they cost."""
    PARTS.mkdir(parents=True, exist_ok=True)
    rows = sweep(run, {"key": [paper.key], "seed": range(paper.seeds)}, part(paper.key))
    found = [row.result["numbers"] for row in rows]
    values = {name: [float(f"{numbers[name]:.6g}") for numbers in found] for name in found[0]}
    cost = {"seconds": round(sum(row.result["seconds"] for row in rows), 1)}
    return {"values": values} | cost | common.circumstances({"NumPy": np})


def judged(paper: papers.Paper, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a paper: what it says, and what follows from the numbers."""
    values = {name: np.array(row) for name, row in numbers["values"].items()}
    verdict, sentence = paper.judge(values)
    said = {"key": paper.key, "statement": paper.statement, "ours": paper.ours}
    return numbers | said | {"seeds": paper.seeds, "verdict": verdict, "measured": sentence}


def stored() -> dict[str, dict[str, Any]]:
    """Return the entries by their keys."""
    entries = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    return {entry["key"]: entry for entry in entries}


def store(entries: dict[str, dict[str, Any]]) -> None:
    """Write the entries in the order of the papers."""
    found = [entries[paper.key] for paper in papers.PAPERS if paper.key in entries]
    _files.write(RESULTS, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def main(arguments: list[str]) -> None:
    """Measure the papers that are asked for; end with the names of those that failed."""
    by_key, failed = {paper.key: paper for paper in papers.PAPERS}, []
    anew = arguments != ["--words"]
    keys = common.chosen(by_key, arguments) if anew else [key for key in by_key if key in stored()]
    if not keys:
        sys.exit(f"No paper is called so. There are: {', '.join(by_key)}")
    try:
        for key in keys:
            try:
                numbers = measured(by_key[key]) if anew else stored()[key]
                store(stored() | {key: judged(by_key[key], numbers)})
            except (RuntimeError, KeyError) as error:  # of a seed, or of a number that is missing
                failed.append(f"{key} ({error})")
                continue
            part(key).unlink(missing_ok=True)
            entry = stored()[key]
            print(
                f"{key}: {entry['verdict']}, {entry['seconds']} s. {entry['measured']}", flush=True
            )
    finally:
        lists.main(ROOT)
    if failed:
        sys.exit(f"Failed: {'; '.join(failed)}")


if __name__ == "__main__":
    with _files.plain_errors():
        main(sys.argv[1:])
