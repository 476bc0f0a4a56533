"""Small sites, built as `make book` builds the course: every warning counts."""

from pathlib import Path

from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parents[1]


def build(folder: Path, configuration: str, builder: str = "html") -> list[str]:
    """Build a folder of pages into its folder ``out``, and return Sphinx's warnings."""
    # Sphinx adds the extensions' suffixes to its default, for all builds of a process.
    suffix = {".rst": "restructuredtext"}
    text = f"source_suffix = {suffix}\n{configuration}"
    (folder / "conf.py").write_text(text, encoding="utf-8")
    warnings = folder / "warnings.txt"
    options = ["-b", builder, "-W", "-n", "-q", "--keep-going", "-w", str(warnings), "--no-color"]
    status = build_main([*options, str(folder), str(folder / "out")])
    found = warnings.read_text(encoding="utf-8").splitlines()
    assert bool(found) == bool(status), found
    return found
