"""How long a reader's "run all" of each chapter takes on one core, and its peak memory.

Usage: ``python benchmarks/chapters.py`` (in the course's environment, on an idle machine). Each
chapter is run as `make notebooks ARGS=--check` runs it, one at a time. The course promises 30
seconds (chapters 1 and 7: 45) and less than 1 GB; nothing here fails, it only prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def measure(path: Path) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of the largest process of one run."""
    command = [sys.executable, "-m", "website.tools.notebooks", "--check", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # the kernel's share is in it
    if status:
        raise SystemExit(f"{path.name} does not run as stored")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    seconds = float(re.search(r": ([\d.]+) s,", said).group(1))  # of the kernel, from its start
    return seconds, usage.ru_maxrss * kilobyte / 1e6


def main() -> None:
    """Print a line a chapter."""
    if hasattr(os, "sched_setaffinity"):  # one core, for the kernels too
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{'chapter':40}{'seconds':>8}{'MB':>7}")
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        seconds, megabytes = measure(path)
        print(f"{path.stem:40}{seconds:8.1f}{megabytes:7.0f}", flush=True)


if __name__ == "__main__":
    main()
