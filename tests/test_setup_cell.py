"""The setup cell: what it does where initcore is missing, and how it gets into the chapters."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import notebook_rules
import numpy
import pytest
from chapter import ROOT
from example_chapter import make_chapter, make_course, notebook

from website.tools import notebooks, setup_cell

URL = "https://github.com/owner/course"
CODE = setup_cell.TEMPLATE.replace("ADDRESS", "")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The Python of a new environment with pip and NumPy, and with nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "env", with_pip=True, symlinks=os.name == "posix")
    packages = Path(numpy.__file__).parents[1]
    (folder / "numpy").mkdir()
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / "numpy" / name).symlink_to(packages / name)
    return folder / "env/bin/python"


def run(python, code, source=""):
    """Run code far from this Python's settings and from any package index."""
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    environment |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_CONFIG_FILE": os.devnull}
    environment |= {"INITCORE_SOURCE": source, "PYTHONPATH": str(python.parents[2] / "numpy")}
    command = [python, "-c", code]
    return subprocess.run(command, cwd=ROOT.anchor, capture_output=True, text=True, env=environment)


def test_it_installs_the_package_from_a_wheel_and_the_next_cell_finds_it(bare, tmp_path):
    folder = tmp_path / "wheel of the course"  # the spaces are meant
    folder.mkdir()
    build = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, folder], cwd=ROOT, check=True, capture_output=True)
    assert "No module named 'initcore'" in run(bare, "import numpy; import initcore").stderr
    next_cell = (
        "import initcore\nfrom initcore.initializers import HeNormal\n"
        "print(HeNormal(seed=0)((4, 3)).shape, initcore.__file__)"
    )
    first = run(bare, f"{CODE}\n{next_cell}", source=str(*folder.iterdir()))
    assert first.returncode == 0, first.stderr
    shape, _, file = first.stdout.strip().rpartition(" ")
    assert shape == "(4, 3)" and Path(file).is_relative_to(bare.parents[1])
    again = run(bare, CODE)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "initcore is not installed. Set the environment variable INITCORE_SOURCE"),
        ("file:///there/is/no.whl", "CalledProcessError"),
        ("initcore", "Invalid"),  # a name, for which no index is asked
    ],
)
def test_it_says_so_where_it_cannot_install_the_package(bare, source, words):
    missing = CODE.replace("import initcore ", "import initcore_x ")
    result = run(bare, missing, source=source)
    assert result.returncode == 1 and words in result.stderr, result.stderr


# --- in the chapters ----------------------------------------------------------------------------


def config(folder, url=URL):
    """Write the settings of a course; return their path."""
    path = folder / "_config.yml"
    path.write_text(f'repository: {{url: "{url}"}}\n', encoding="utf-8")
    return path


def test_the_cell_is_put_below_the_title_once_with_the_address_of_the_settings(tmp_path):
    chapter, cells = notebook(), len(notebook().cells)
    for url, address in (("", ""), (URL, f"git+{URL}@main")):
        setup_cell.put(chapter, config(tmp_path, url))
        assert len(chapter.cells) == cells + 1 and chapter.cells[1].id == "setup"
        assert f'or "{address}"\n' in chapter.cells[1].source
    with pytest.raises(ValueError, match="https address"):
        setup_cell.make(config(tmp_path, "github.com/owner/course"))


def test_make_notebooks_puts_and_executes_it(tmp_path):
    config(tmp_path)
    chapter = notebook()
    chapter.cells = chapter.cells[:2]
    path = make_course(tmp_path, chapter)
    good, report = notebooks.run(path)
    assert good, report
    cells = notebooks.read(path.read_text(encoding="utf-8")).cells
    assert [cell.id for cell in cells] == ["cell-0", "setup", "cell-1"]
    assert [cell.execution_count for cell in cells[1:]] == [1, 2] and cells[1].outputs == []
    config(tmp_path, "http://x")
    assert "must be an https address" in notebooks.run(path)[1]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({}, 0),
        ({"source": CODE.replace("check=True", "check=False")}, 1),
        ({"source": setup_cell.TEMPLATE.replace("ADDRESS", "git+https://x.org/other@main")}, 1),
        ({"metadata": {"tags": ["remove-cell", "hide-input"]}}, 1),
        ({"id": "another"}, 3),  # missing, with a tag and with imports that no cell has
    ],
)
def test_nothing_else_like_it_is_let_pass(tmp_path, change, faults):
    def put(chapter):
        setup_cell.put(chapter, config(tmp_path))
        chapter.cells[1].update(change)
        code = [cell for cell in chapter.cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, start=1):
            cell.execution_count = number

    chapter = make_chapter(tmp_path, put)
    rules = set(notebook_rules.RULES) - {notebook_rules.is_stored_by_make_notebooks}
    found = [fault for rule in rules for fault in rule(chapter)]
    assert len(found) >= faults and bool(found) == bool(faults), found
