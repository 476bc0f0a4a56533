"""Run the notebooks on several NumPy versions, processors and threads (``make matrix``).

Usage::

    python tests/matrix.py [--only WORD] [--workers N]

Each row is one setting: nbval runs every notebook in it and compares the stored text to the
letter. The table says what passed, and what did not by notebook and cell. The environments are
made in ``.matrix/``, one a NumPy version, with what the notebooks need and nothing else. It takes
a few minutes a row.

The exit status is 0 if every row passed, 1 if one did not or cannot run on this processor.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".matrix"
RUNNERS = ("ipykernel", "nbclient", "nbformat", "pytest", "nbval")
RUNNERS_FOR_TESTS = ("pytest-xdist",)
# One thread, whatever the shell says, and the processor's own kernels.
PLAIN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
CLEARED = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Row:
    """One setting: a NumPy version (``""``: the course's own), and environment variables."""

    name: str
    numpy: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    feature: str = ""  # what the processor must have, as NumPy calls it


ROWS = (
    Row("NumPy 1.26", "1.26.4"),
    Row("NumPy 2.0", "2.0.2"),
    Row("NumPy of requirements.txt"),
    Row("OpenBLAS Nehalem", variables={"OPENBLAS_CORETYPE": "Nehalem"}),
    Row("OpenBLAS Haswell", variables={"OPENBLAS_CORETYPE": "Haswell"}, feature="AVX2"),
    Row("OpenBLAS SkylakeX", variables={"OPENBLAS_CORETYPE": "SkylakeX"}, feature="X86_V4"),
    Row("NumPy without AVX", variables={"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"}),
    Row("two threads", variables={"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}),
)


def pinned(name: str, file: str = "requirements.txt") -> str:
    """Return the line of a requirements file that pins a package."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==[^\s#]+", text, re.MULTILINE)
    if not found:
        raise SystemExit(f"{file} does not pin {name}")
    return found.group()


def needed() -> list[str]:
    """Return what the notebooks need beside NumPy: the package's extras, and what runs them."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    names = [re.match(r"[\w-]+", line).group() for lines in extras.values() for line in lines]
    return [*names, *RUNNERS]


def environment(numpy: str) -> Path:
    """Make the environment of a NumPy version if need be, and return its Python."""
    wanted = [f"numpy=={numpy}" if numpy else pinned("numpy"), *map(pinned, needed())]
    wanted += [pinned(name, "tests/requirements.txt") for name in RUNNERS_FOR_TESTS]
    folder = FOLDER / wanted[0].replace("==", "-")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    text = "\n".join([str(ROOT), *wanted])
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != text:
        print(f"Making an environment with {wanted[0]}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        log = folder / "pip.log"
        with log.open("w", encoding="utf-8") as file:
            for command in (
                [*pip, "--only-binary", "numpy", *wanted],
                [*pip, "--no-deps", "-e", ROOT],
                [python, "-c", "import matplotlib.font_manager"],  # it lists the fonts once
            ):
                if subprocess.run(command, stdout=file, stderr=file).returncode:
                    raise SystemExit(f"{wanted[0]} cannot be installed: {log.relative_to(ROOT)}")
        stamp.write_text(text, encoding="utf-8")
    return python


def has(python: Path, feature: str) -> bool:
    """Return whether NumPy finds a feature in this processor."""
    code = (
        "from numpy._core._multiarray_umath import __cpu_features__ as found\n"
        f"print(found.get({feature!r}, False))"
    )
    printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return printed.stdout.strip() == "True"


def run(row: Row, workers: int) -> tuple[bool, str]:
    """Run all notebooks in one setting; return whether they passed, and what there is to say."""
    python = environment(row.numpy)
    if row.feature and not has(python, row.feature):
        return False, f"cannot run here: this processor has no {row.feature}"
    variables = {name: value for name, value in os.environ.items() if name not in CLEARED}
    # Two processes of two threads each on two cores would wait for each other most of the time.
    threads = int((PLAIN | row.variables)["OMP_NUM_THREADS"])
    workers = max(1, workers // threads)
    command = [python, "-m", "pytest", "--nbval", "chapters", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(workers), "--dist", "loadfile"]
    start = time.monotonic()
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=variables | PLAIN | row.variables
    )
    seconds = time.monotonic() - start
    summary = re.findall(r"\d+ (?:passed|failed|error)s?", result.stdout.strip().splitlines()[-1])
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+::Cell \d+)", result.stdout, re.MULTILINE)
    said = ", ".join(summary) or f"pytest ended with {result.returncode}"
    lines = [f"{said}, {seconds:.0f} s", *failed]
    if result.returncode:
        log = FOLDER / f"{row.name.replace(' ', '-')}.log"
        log.write_text(result.stdout + result.stderr, encoding="utf-8")
        lines.append(f"all of it: {log.relative_to(ROOT)}")
    return result.returncode == 0, "\n    ".join(lines)


def main() -> int:
    """Run the rows that are asked for, and print one line a row."""
    parser = argparse.ArgumentParser(prog="matrix.py", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (default: 2)")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only.lower() in row.name.lower()]
    if not rows:
        parser.error(f"no row holds {options.only!r}: {', '.join(row.name for row in ROWS)}")
    good = True
    for row in rows:
        passed, said = run(row, options.workers)
        good &= passed
        print(f"{row.name:26}{'ok' if passed else 'NOT OK':8}{said}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
