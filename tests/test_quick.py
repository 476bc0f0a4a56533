"""``make quick`` gives nbval's verdict, cell by cell, on what cells can say otherwise."""

import re
import subprocess
import sys

import nbformat
from chapter import ROOT, WIDGET
from example_chapter import ALT, PNG
from nbformat.v4 import new_code_cell, new_notebook, new_output


def said(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    """What a cell displays, the kinds of data by their last words."""
    kinds = {"text": "text/plain", "html": "text/html", "png": "image/png", "widget": WIDGET}
    return new_output("display_data", {kinds[name]: value for name, value in data.items()})


def result(text):
    return new_output("execute_result", {"text/plain": text}, execution_count=1)


ERROR = new_output("error", ename="ValueError", evalue="bad", traceback=["bad"])
FIGURE = f"fig, ax = plots.figure()\nax.plot([1, 3])\nplots.show(fig, {ALT!r})"
IMAGE = f"from IPython.display import Image\ndisplay(Image(b64decode({PNG!r}), format='png'))"
IMAGE_TEXT = "<IPython.core.display.Image object>"
OTHER = PNG.replace("A", "B", 1)
TABLE = "layer\n    1\n    2"
WARNS = "import sys\nprint(1)\nprint('careful', file=sys.stderr)\nprint(2)"
# A cell, what is stored of it, and what `make quick` says of it: nothing where all is well.
CELLS = {
    "imports": (
        "from base64 import b64decode\nfrom initcore import explorers, plots, tables",
        (),
        "",
    ),
    "print": ("print(0.07068)", [said("0.07068\n")], ""),
    "pieces": ("print(1)\nprint(2)", [said("1\n"), said("2\n")], ""),
    "changed": ("print(0.07068)", [said("0.07069\n")], "stdout:\n-0.07069\n+0.07068"),
    "line-end": ("print(1, end='')", [said("1\n")], "stdout:\nthe same lines, but"),
    "overwritten": ("print('10%\\r20%')", [said("20%\n")], ""),
    "no-more": ("x = 1", [said("1\n")], "stdout:\n-1"),
    "more": ("print(x)", (), "stdout:\n+1"),
    "table": ("tables.Table({'layer': [1, 2]})", [result(TABLE)], ""),
    "result": ("tables.Table({'layer': [1, 3]})", [result(TABLE)], "text/plain:\n-    2\n+    3"),
    "quiet": ("x;", (), "text/plain:\n+1"),
    "both": ("print(x)\nx + 1", [result("2"), said("1\n")], ""),
    "warns": (WARNS, [said("1\n2\n")], "stderr:\n+careful"),
    "warned": (WARNS, [said("careful\n", "stderr"), said("1\n2\n")], ""),
    "figure": (FIGURE, [shown(text=f"Figure: {ALT}.", png=PNG)], f"text/plain:\n-Figure: {ALT}."),
    "image": (IMAGE, [shown(text=IMAGE_TEXT, png=PNG)], ""),
    "images": (IMAGE, [shown(text=IMAGE_TEXT, png=PNG)] * 2, "image/png:\n-a picture "),
    "html": (
        "from IPython.display import HTML\ndisplay(HTML('<b>'))",
        [shown(html="<i>")],
        "text/html:\n-<i>\n+<b>",
    ),
    "widget": (
        "import ipywidgets\n_ = display(ipywidgets.IntSlider())",
        [shown(text="IntSlider(value=0)", widget={"model_id": "1"})],
        "",
    ),
    "error": ("raise ValueError('bad')", (), "ends in ValueError: bad"),
    "stored-error": ("raise ValueError('bad')", [ERROR], "ends in ValueError: bad"),
    "error-no-more": ("print(x)", [ERROR, said("1\n")], "error:\n-ValueError: bad"),
    "syntax": ("print(", (), "ends in SyntaxError"),
    "too-early": ("print(later)", [said("1\n")], "ends in NameError"),
    "later": ("later = 1\nprint(later)", [said("1\n")], ""),
    "folder": ("import os\nprint(os.listdir('.'))", [said("['all.ipynb']\n")], ""),
}
PICTURES = {  # which nbval does not look at
    "picture": (IMAGE, [shown(text=IMAGE_TEXT, png=OTHER)], "image/png:\n-a picture "),
    "live-figure": (
        "_ = display(explorers.Scale())",
        [shown(text="Scale(activation='tanh', sd=0.14, depth=5)", widget={"model_id": "1"})],
        "image/png:\n+a picture ",
    ),
}


def save(path, cells):
    made = [
        new_code_cell(source, id=name, outputs=list(stored), execution_count=1)
        for name, (source, stored, *_) in cells.items()
    ]
    nbformat.write(new_notebook(cells=made), path)
    return path


def run(*paths):
    """Return how the command ended, and the words on each cell."""
    command = [sys.executable, "tests/quick.py", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    parts = re.findall(r"^cell (\S+)\n((?:    .*\n)*)", done.stdout, re.MULTILINE)
    return done, {cell: re.sub(r"^    ", "", words, flags=re.MULTILINE) for cell, words in parts}


def test_its_verdict_on_each_cell_is_nbvals(tmp_path):
    (tmp_path / "folder").mkdir()
    path = save(tmp_path / "folder/all.ipynb", CELLS | PICTURES)
    done, words = run(path)
    wanted = {name: told for name, (*_, told) in (CELLS | PICTURES).items() if told}
    assert list(words) == list(wanted), done
    assert [name for name in wanted if wanted[name] not in words[name]] == [], words
    assert done.returncode == 1 and f" s, {len(wanted)} cells not as stored\n" in done.stdout

    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    command += ["-rA", "--rootdir", ROOT, path]
    verdicts = re.findall(
        r"^(PASSED|FAILED) .*::Cell (\d+)",
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout,
        re.MULTILINE,
    )
    names = list(CELLS | PICTURES)
    assert len(verdicts) == len(names)
    failed = {names[int(number)] for verdict, number in verdicts if verdict == "FAILED"}
    assert failed == set(wanted) - set(PICTURES)


def test_a_worker_that_dies_or_hangs_is_told_with_its_cell(tmp_path, monkeypatch):
    """The others are run all the same; what cannot be read is told before any is."""
    sources = {
        "dies": ("import os\nos._exit(3)", (), ""),
        "hangs": ("while True:\n    pass", (), ""),
        "good": ("print(1)", [said("1\n")], ""),
    }
    paths = [save(tmp_path / f"{name}.ipynb", {name: cell}) for name, cell in sources.items()]
    command = "import sys; sys.path.insert(0, 'tests'); import quick; quick.CELL_TIMEOUT = 2; "
    command += "sys.exit(quick.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", command, *paths], cwd=ROOT, capture_output=True, text=True
    )
    told = {line.partition(":")[0]: line for line in done.stdout.splitlines() if "ipynb: " in line}
    assert done.returncode == 1 and set(told) == set(map(str, paths)), done
    assert told[str(paths[2])].endswith(" s, as stored")
    assert "cell dies\n    the worker died: exit code 3\n" in done.stdout
    assert "cell hangs\n    is not done after 2 s\n" in done.stdout

    (tmp_path / "no.ipynb").write_text("{", encoding="utf-8")
    done, _ = run(paths[2], tmp_path / "no.ipynb")
    assert done.returncode == 1 and not done.stdout
    assert "no.ipynb: cannot be read as a notebook" in done.stderr and "Trace" not in done.stderr


def test_chapters_that_say_what_is_stored_pass(tmp_path):
    path = save(tmp_path / "one.ipynb", {name: CELLS[name] for name in ("imports", "print")})
    done, words = run(path)
    assert done.returncode == 0 and not words and done.stdout.endswith(" s, as stored\n"), done
