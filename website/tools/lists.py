"""Write the pages that repeat what stands elsewhere (``make lists``).

``claims.yml`` and the cells that decide give ``pages/claims.md``, ``references.bib`` gives
``pages/references.md``. What each chapter says under *In one screen*, but for the paragraph about
its figure, is put into ``pages/ten_minutes.md``, between two comments, and what the files in
``benchmarks`` hold into ``pages/speed.md``, ``pages/framework_defaults.md`` and
``pages/replications.md``. All are plain Markdown: the site, JupyterLab and a repository's host show
them. A link leads to an element with its id.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from jinja2 import Template
from pybtex import PybtexEngine
from pybtex.database import parse_file
from pybtex.richtext import Text

from initcore import _files
from website.tools.claims import LEDGER, Claim, deciding_calls, load_claims

ROOT = Path(__file__).resolve().parents[2]
BIBLIOGRAPHY = "references.bib"
TEMPLATE = Path(__file__).with_name("claims.md.jinja")
PAPERS = Path(__file__).with_name("replications.md.jinja")
SIGNS = {"true": "✓", "imprecise": "≈", "wrong": "✗"}  # said in words too, never by sign alone
HEADING = "## In one screen\n"
RESULTS, AUDIT = "benchmarks/results.json", "benchmarks/audit.json"
PEERS = ("initcore", "NumPy", "PyTorch", "JAX", "Keras", "raw bits")
REPLICATIONS = "benchmarks/replications.json"
OUTCOMES = {"reproduced": "reproduced", "partly": "partly reproduced", "not": "not reproduced"}
ROWS = re.compile(r"(<!-- benchmarks/results.json -->).*?<!-- end -->", re.DOTALL)
DRAWN = re.compile(r"(<!-- benchmarks/audit.json: (\w+) -->).*?<!-- end -->", re.DOTALL)
SCREEN = re.compile(r"(<!-- In one screen: (\S+) -->).*?<!-- end -->", re.DOTALL)
REFERENCES = (
    "The sources of the course and of the docstrings of its package, in the order of their year."
)


def names_of_sources(path: Path) -> dict[str, str]:
    """Return what to call each source of a BibTeX file, by its key: ``He et al. (2015)``."""
    found = {}
    for key, entry in parse_file(str(path)).entries.items():
        people = [[*one.prelast_names, *one.last_names] for one in entry.persons.get("author", [])]
        people = [str(Text.from_latex(" ".join(names))) for names in people]
        who = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
        found[key] = f"{who} ({entry.fields['year']})" if "year" in entry.fields else who
    return found


def deciding_cells(claim: Claim, root: Path) -> Iterator[str]:
    """Yield links to the cells that decide a claim, each with the title of its chapter."""
    for name in claim.chapter:
        cells = json.loads((root / name).read_text(encoding="utf-8"))["cells"]
        title = "".join(cells[0]["source"]).partition("\n")[0].removeprefix("# ")
        code = [(cell["id"], "".join(cell["source"])) for cell in cells if "outputs" in cell]
        decide = (id_ for id_, s in code if claim.id in [c.claim for c in deciding_calls(s)])
        if not (cell := next(decide, "")):
            raise ValueError(f"{name} has no cell that decides {claim.id}")
        yield f"[{title}](../{name}#cell-id={cell})"


def claims_page(root: Path) -> str:
    """Return the page that shows the ledger."""
    claims, sources = load_claims(root / LEDGER), names_of_sources(root / BIBLIOGRAPHY)
    for claim in claims:
        if unknown := [key for key in claim.source if key not in sources]:
            raise ValueError(f"{claim.id} names the source {unknown[0]}, not in {BIBLIOGRAPHY}")
    cells = [(claim, ", ".join(deciding_cells(claim, root))) for claim in claims]
    template = Template(TEMPLATE.read_text(encoding="utf-8"), keep_trailing_newline=True)
    return template.render(claims=cells, sources=sources, signs=SIGNS)


def references_page(root: Path) -> str:
    """Return the page that lists the sources, by their year; those without one stand at the end."""
    file = str(root / BIBLIOGRAPHY)
    text = PybtexEngine().format_from_file(file, "unsrt", output_backend="markdown")
    entries = re.split(r"^\[\d+\] ", text.replace("  \n", "\n"), flags=re.MULTILINE)[1:]
    sources = parse_file(file).entries
    listed = dict(zip(sources, entries, strict=True))
    order = sorted(sources, key=lambda key: sources[key].fields.get("year", "none"))
    items = [f'- <a id="{key}"></a>{" ".join(listed[key].split())}' for key in order]
    # pybtex escapes every sign that could mean something in Markdown. These do not here.
    items = re.sub(r"\\(?=[-.()])", "", "\n".join(items))
    return f"# References\n\n{REFERENCES}\n\n{items}\n"


def in_one_screen(chapter: Path) -> str:
    """Return the answer of a chapter, its links as seen from a folder beside it."""
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    text = next((text.partition(HEADING)[2] for text in texts if HEADING in text), "")
    paragraphs = [part.strip() for part in text.partition("\n## ")[0].split("\n\n")]
    kept = [part for part in paragraphs if part and "figure" not in part]
    if not kept:
        raise ValueError(f"{chapter.name} has nothing under {HEADING.strip()!r}")
    folder = f"../{chapter.parent.name}/"
    answer = re.sub(r"\]\((?=\w+\.ipynb)", f"]({folder}", "\n\n".join(kept))
    return answer.replace("](#", f"]({folder}{chapter.name}#")


def ten_minutes_page(root: Path) -> str:
    """Return the page of all answers, as it stands, with the answers of today."""
    return SCREEN.sub(
        lambda part: f"{part[1]}\n\n{in_one_screen(root / part[2])}\n\n<!-- end -->",
        (root / "pages/ten_minutes.md").read_text(encoding="utf-8"),
    )


def speed_page(root: Path) -> str:
    """Return the page on speed, with the results that are stored today."""
    rows = json.loads((root / RESULTS).read_text(encoding="utf-8"))["rows"]
    told = [f"| work | {' | '.join(PEERS)} | target | |", "|---" * (len(PEERS) + 3) + "|"]
    circumstances = set()
    for row in rows:
        medians = {peer: f"{time:.3g}" for peer, time in row["medians"].items()}
        times = " | ".join(medians.get(peer, "–") for peer in PEERS)
        verdict = {True: "✓ met", False: "✗ missed", None: "not measured"}[row["met"]]
        told.append(f"| {row['name']} | {times} | {row['target']} | {verdict} |")
        for other in medians.keys() - {*PEERS}:  # initcore's too, to be compared with
            told.append(f"| its {other} | {medians[other]} |{' – |' * (len(PEERS) - 1)} | |")
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        circumstances.add(f"{row['date']}, {row['processor']}, {row['cores']} cores, {versions}")
    told += ["", f"Medians in milliseconds. Measured: {'; '.join(sorted(circumstances))}."]
    page = (root / "pages/speed.md").read_text(encoding="utf-8")
    return ROWS.sub(lambda found: "\n\n".join([found[1], "\n".join(told), "<!-- end -->"]), page)


def defaults_page(root: Path) -> str:
    """Return the page on what the frameworks draw, with what was measured last."""
    stored = json.loads((root / AUDIT).read_text(encoding="utf-8"))

    def table(part: re.Match) -> str:
        found = stored[part[2]]
        told = [f"Drawn by {part[2]} {found['version']} on {found['date']}.", ""]
        told += ["| layer | array | drawn | its page says |", "|---|---|---|---|"]
        for row in found["rows"]:
            law = row["drawn"][0] + f", {row['drawn'][1]:g}" * (row["drawn"][1] > 0)
            told.append(f"| {row['layer']} | {row['part']} | {law} | {row['says']} |")
        return "\n\n".join([part[1], "\n".join(told), "<!-- end -->"])

    page = (root / "pages/framework_defaults.md").read_text(encoding="utf-8")
    return DRAWN.sub(table, page)


def replications_page(root: Path) -> str:
    """Return the page of the papers, with what was measured of them last."""
    entries = json.loads((root / REPLICATIONS).read_text(encoding="utf-8"))
    sources = names_of_sources(root / BIBLIOGRAPHY)
    for entry in entries:
        entry["source"], _, _ = entry["key"].partition(":")
        if entry["source"] not in sources:
            raise ValueError(
                f"{REPLICATIONS}: the source of {entry['key']} is not in {BIBLIOGRAPHY}"
            )
    groups = itertools.groupby(entries, lambda entry: entry["source"])
    papers = [(source, list(group)) for source, group in groups]
    template = Template(PAPERS.read_text(encoding="utf-8"), keep_trailing_newline=True)
    signs = dict(zip(OUTCOMES, SIGNS.values()))
    return template.render(papers=papers, sources=sources, outcomes=OUTCOMES, signs=signs)


PAGES = {
    "pages/claims.md": claims_page,
    "pages/references.md": references_page,
    "pages/ten_minutes.md": ten_minutes_page,
    "pages/speed.md": speed_page,
    "pages/framework_defaults.md": defaults_page,
    "pages/replications.md": replications_page,
}


def main(root: Path = ROOT) -> None:
    """Write all pages; end with one line where what they are made of is wrong."""
    try:
        written = {name: page(root) for name, page in PAGES.items()}
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"The lists cannot be made: {error}")
    for name, text in written.items():
        _files.write(root / name, text)
    print(f"{', '.join(PAGES)}: written")


if __name__ == "__main__":
    with _files.plain_errors():
        main()
