"""The setup cell: what it does where initcore is missing, and how it gets into the chapters."""

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import notebook_rules
import numpy
import pytest
from example_chapter import make_course, notebook
from nbformat.v4 import new_code_cell
from notebook_rules import ROOT, RULES, Chapter, notebooks, setup_cell

URL = "https://github.com/owner/course"
ADDRESS = f"git+{URL}@main"
NO_ADDRESS = setup_cell.TEMPLATE.replace("ADDRESS", "")
WITH_ADDRESS = setup_cell.TEMPLATE.replace("ADDRESS", ADDRESS)
# What stands in for pip where only the question to it matters.
FAKE_PIP = "import sys\nprint(*sys.argv[1:], sep='\\n')\n"


def run(python, code, *options, **environment):
    """Run code in a new Python that does not know this one's settings, but for those given."""
    kept = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    kept = {name: value for name, value in kept.items() if name != "INITCORE_SOURCE"}
    command = [python, *options, "-c", code]
    elsewhere = ROOT.anchor  # -c looks for modules in the folder that it runs in
    return subprocess.run(
        command, cwd=elsewhere, capture_output=True, text=True, env=kept | environment
    )


@pytest.fixture
def asked(tmp_path):
    """Run the cell without initcore; return what it asks pip for, or what it says."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/__init__.py").touch()
    (tmp_path / "pip/__main__.py").write_text(FAKE_PIP, encoding="utf-8")

    def ask(code, source=""):
        # -S: no site-packages, and so no initcore
        options = {"INITCORE_SOURCE": source} if source else {}
        return run(sys.executable, code, "-S", PYTHONPATH=str(tmp_path), **options)

    return ask


# --- in a bare environment ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of initcore, built without a network."""
    folder = tmp_path_factory.mktemp("wheel of the course")  # the spaces are meant
    code = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


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
    python = folder / "env/bin/python"
    found = run(python, "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    Path(found, "numpy.pth").write_text(f"{folder / 'numpy'}\n", encoding="utf-8")
    return python


def test_it_installs_the_package_from_a_wheel_and_the_next_cell_finds_it(bare, wheel):
    before = run(bare, "import numpy; import initcore")
    assert "No module named 'initcore'" in before.stderr, "the environment is not bare"
    next_cell = (
        "from initcore.initializers import HeNormal\n"
        "print(HeNormal(seed=0)((4, 3)).shape, initcore.__file__)"
    )
    # No network: no index, and no dependencies, which are another matter.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_CONFIG_FILE": os.devnull}
    code = f"{NO_ADDRESS}import initcore\n{next_cell}"
    first = run(bare, code, INITCORE_SOURCE=str(wheel), **offline)
    assert first.returncode == 0, first.stderr
    shape, _, file = first.stdout.strip().rpartition(" ")
    assert shape == "(4, 3)" and Path(file).is_relative_to(bare.parents[1])
    # Now it is there, and the cell does nothing: it needs neither a source nor pip.
    second = run(bare, NO_ADDRESS, PATH="")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_where_the_package_is_there_it_does_and_prints_nothing(asked):
    result = run(sys.executable, NO_ADDRESS, PYTHONPATH=str(ROOT))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# --- what pip is asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "source", "wanted"),
    [
        (WITH_ADDRESS, "", ADDRESS),
        (WITH_ADDRESS, "https://example.org/initcore.whl", "https://example.org/initcore.whl"),
        (NO_ADDRESS, str(ROOT), ROOT.as_uri()),
        (NO_ADDRESS, "initcore", "initcore"),  # no index is asked: pip refuses such an address
    ],
)
def test_pip_is_asked_for_an_address_and_never_for_a_name(asked, code, source, wanted):
    result = asked(code, source)
    assert result.returncode == 0, result.stderr
    *words, package = result.stdout.splitlines()
    assert words == ["install", "--quiet"]
    assert package == f"initcore[plots,widgets] @ {wanted}"


def test_where_nothing_is_known_it_says_what_to_do(asked):
    result = asked(NO_ADDRESS)
    assert result.returncode == 1 and result.stdout == ""
    message = result.stderr.strip().splitlines()[-1]
    assert "initcore is not installed" in message and "INITCORE_SOURCE" in message


def test_a_pip_that_fails_is_an_error(bare):
    result = run(
        bare,
        NO_ADDRESS.replace("import initcore ", "import initcore_x "),
        PIP_NO_INDEX="1",
        INITCORE_SOURCE="file:///there/is/no.whl",
    )
    assert result.returncode == 1 and "CalledProcessError" in result.stderr


# --- in the chapters ----------------------------------------------------------------------------


def config(folder, url=URL):
    """Write the settings of a course; return their path."""
    path = folder / "_config.yml"
    path.write_text(f'repository:\n  url: "{url}"\n  branch: main\n', encoding="utf-8")
    return path


def test_the_address_is_that_of_the_settings(tmp_path):
    assert f'or "{ADDRESS}"\n' in setup_cell.source(config(tmp_path))
    assert 'or ""\n' in setup_cell.source(config(tmp_path, ""))
    assert 'or ""\n' in setup_cell.source(tmp_path / "none.yml")
    with pytest.raises(ValueError, match="https address"):
        setup_cell.source(config(tmp_path, "github.com/owner/course"))


def test_the_cell_is_put_below_the_title_once_and_kept_in_step(tmp_path):
    chapter, cells = notebook(), len(notebook().cells)
    for url in ("", URL, URL):
        setup_cell.put(chapter, config(tmp_path, url))
        assert len(chapter.cells) == cells + 1
        assert setup_cell.is_setup(chapter.cells[1], tmp_path / "_config.yml")


def test_make_notebooks_puts_it_and_every_rule_lets_it_pass(tmp_path):
    path = make_course(tmp_path)
    config(tmp_path)
    (problem,) = notebook_rules.begins_with_the_setup_cell(Chapter(path, root=tmp_path))
    assert "no cell below the title" in problem
    chapter = notebook()
    setup_cell.put(chapter, tmp_path / "_config.yml")
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        cell.execution_count = number
    path.write_text(notebooks.to_text(notebooks.normalise(chapter)), encoding="utf-8")
    problems = {rule.__name__: list(rule(Chapter(path, root=tmp_path))) for rule in RULES}
    assert not any(problems.values()), problems


def test_make_notebooks_executes_it(tmp_path):
    (tmp_path / "chapters").mkdir()
    path = tmp_path / "chapters/one.ipynb"
    chapter = notebooks.nbformat.v4.new_notebook(cells=[new_code_cell("print(1)", id="one")])
    chapter.cells.insert(0, notebooks.nbformat.v4.new_markdown_cell("# One?", id="title"))
    path.write_text(notebooks.to_text(chapter), encoding="utf-8")
    config(tmp_path)
    result = notebooks.run(path)
    assert not result.problem
    cells = notebooks.read(result.text).cells
    assert [cell.id for cell in cells] == ["title", "setup", "one"]
    assert cells[1].execution_count == 1 and cells[1].outputs == []
    assert "setup cell" in notebooks.differences(result.was, result.text)
    config(tmp_path, "http://x")
    assert "must be an https address" in notebooks.run(path).problem


@pytest.mark.parametrize(
    "change",
    [
        {"source": setup_cell.TEMPLATE.replace("ADDRESS", "git+https://example.org/other@main")},
        {"source": WITH_ADDRESS.replace("check=True", "check=False").rstrip("\n")},
        {"metadata": {"tags": ["remove-cell", "hide-input"]}},
        {"id": "another"},
    ],
    ids=["address", "code", "tags", "id"],
)
def test_nothing_else_like_it_is_let_pass(tmp_path, change):
    chapter = notebook()
    settings = config(tmp_path)
    setup_cell.put(chapter, settings)
    chapter.cells[1].update(change)
    assert not setup_cell.is_setup(chapter.cells[1], settings)
    path = make_course(tmp_path, chapter)
    problems = [
        problem
        for rule in (notebook_rules.imports_initcore, notebook_rules.lets_nbval_see_every_cell)
        for problem in rule(Chapter(path, root=tmp_path))
    ]
    assert any("subprocess is imported" in problem for problem in problems)
    assert any("has the tag remove-cell" in problem for problem in problems)
    assert list(notebook_rules.begins_with_the_setup_cell(Chapter(path, root=tmp_path)))


def test_it_is_short_and_plain_python():
    for code in (NO_ADDRESS, WITH_ADDRESS):
        ast.parse(code)
        assert notebook_rules.count_lines(code)[0] <= notebook_rules.MOST_LINES
