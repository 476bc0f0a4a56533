"""What a chapter says that practitioners write: its snippets and the names in its tables.

Both stand in the section *What practitioners do today*, and both are held against the real
libraries: ``test_snippets.py`` against Keras, JAX and Flax, ``pytorch/test_pytorch_snippets.py``
against PyTorch.

How a snippet is written
------------------------
A fenced ``python`` block. Its first line is a comment that starts with the library's name, its
last line is the weights, and says what variance they have, in ``fan_in`` and ``fan_out``::

    # JAX: He for ReLU
    import jax

    he = jax.nn.initializers.he_normal()
    W = he(jax.random.key(0), (512, 256))
    W  # variance 2 / fan_in

The block is run as it is, and the variance of `W` is compared. It needs enough of them:
`FEWEST` weights, so that the comparison can fail.

The calls in the table of the page *Summary* draw weights, too, and `VARIANCES` has what they must
have.

How a name in a table is written
--------------------------------
As code, in a column (or a row) whose head names the library: a call (``HeNormal()``,
``kaiming_normal_(w, mode="fan_out")``), a name, alone or with dots (``jax.nn.initializers``), a
setting (``kernel_init=he_normal()``, ``layer.trainable = False``) or a string that Keras knows
(``"he_normal"``). What is called or named must exist in the library, and take the settings that
it is given. Words such as ``w``, ``layer`` or ``…`` stand for anything.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from chapter import ROOT, Chapter, Section

SECTION = "What practitioners do today"
FEWEST = 100_000
TOLERANCE = 0.03  # 6.7 standard errors of the variance of normal weights: false alarm 2e-11
LAST = re.compile(r"(\w+)  # variance (.+)")
LIBRARIES = ("Keras", "JAX", "Flax", "PyTorch")
_JAX = ("jax", "jax.nn", "jax.nn.initializers", "jax.numpy", "flax", "flax.linen", "flax.nnx")
WHERE = {  # the modules (and classes) a name is looked up in, in this order
    "Keras": (
        *("keras", "keras.initializers", "keras.layers", "keras.activations", "keras.optimizers"),
        *("keras.utils", "keras.random", "keras.losses", "keras.regularizers", "keras.callbacks"),
        *("keras.optimizers.schedules", "keras:Model"),
    ),
    "JAX": (*_JAX, "optax"),
    "Flax": (*_JAX, "optax"),
    "PyTorch": (
        *("torch", "torch.nn", "torch.nn.init", "torch.nn.functional", "torch.optim"),
        *("torch.nn.utils", "torch.nn.utils.parametrizations", "torch.optim.lr_scheduler"),
    ),
}
SHORT = {  # what a first part may stand for
    "Keras": {"model": ("keras:Model",)},
    "JAX": {"nn": ("flax.linen", "jax.nn"), "jnp": ("jax.numpy",), "nnx": ("flax.nnx",)},
    "PyTorch": {"nn": ("torch.nn",), "init": ("torch.nn.init",), "F": ("torch.nn.functional",)},
}
SHORT["Flax"] = SHORT["JAX"]
SETTINGS = {  # whose settings may be named without them
    "Keras": ("Dense", "Conv2D", "VarianceScaling", "BatchNormalization", "Adam"),
    "JAX": ("variance_scaling", "flax.nnx.Linear", "flax.linen.Dense", "flax.linen.BatchNorm"),
    "PyTorch": ("Linear", "kaiming_normal_", "xavier_normal_", "calculate_gain", "BatchNorm2d"),
}
SETTINGS["Flax"] = SETTINGS["JAX"]
ANYTHING = set("b m n p w x W conv key layer linear module net parameter params".split())
UNCHECKED = {"torchvision"}  # a package of its own, which no test needs otherwise


class Snippet(NamedTuple):
    """A fenced block: its chapter, its library and its code."""

    chapter: str
    library: str
    source: str


class Name(NamedTuple):
    """A code span of a table: its chapter, its library and what it says."""

    chapter: str
    library: str
    text: str


def library_in(text: str) -> str:
    """Return the library that a text names first; an empty string if it names none."""
    found = [(match.start(), name) for name in LIBRARIES for match in re.finditer(name, text)]
    return min(found)[1] if found else ""


def snippets(chapter: Chapter) -> list[Snippet]:
    """Return the fenced blocks of Python in a chapter's section on practice."""
    fences = [token for token in chapter.section(SECTION).tokens if token.type == "fence"]
    return [
        Snippet(chapter.path.stem, library_of(token.content), token.content)
        for token in fences
        if token.info.strip() == "python"
    ]


def library_of(source: str) -> str:
    """Return the library that the first line of a snippet names."""
    first = source.partition("\n")[0]
    found = re.match(rf"# ({'|'.join(LIBRARIES)})\b", first)
    return found[1] if found else ""


def names(chapter: Chapter) -> list[Name]:
    """Return the code spans of the tables in a chapter's section on practice."""
    return [
        Name(chapter.path.stem, library, text)
        for library, text in spans(chapter.section(SECTION))
        if library
    ]


def spans(section: Section) -> Iterator[tuple[str, str]]:
    """Yield each code span of each table, with the library of its column or of its row."""
    columns: list[str] = []
    cells: list[Any] = []
    is_cell = False
    for token in section.tokens:
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            cells = []
        elif token.type in ("th_open", "td_open"):
            is_cell = True
        elif token.type in ("th_close", "td_close"):
            is_cell = False
        elif token.type == "inline" and is_cell:
            cells.append(token)
        elif token.type == "tr_close" and not columns:
            columns = [library_in(cell.content) for cell in cells]
        elif token.type == "tr_close":
            row = "" if any(columns) else library_in(cells[0].content)
            for column, cell in zip(columns, cells, strict=True):
                for part in cell.children or []:
                    if part.type == "code_inline":
                        yield row or column, part.content


# --- snippets -----------------------------------------------------------------------------------


def run(snippet: Snippet) -> tuple[np.ndarray, float]:
    """Run a snippet; return its weights, and the variance that its last line says they have."""
    assert snippet.library, f"the first line is not `# Keras` or alike:\n{snippet.source}"
    lines = snippet.source.strip().splitlines()
    last = LAST.fullmatch(lines[-1])
    assert last, f"the last line is not `W  # variance 2 / fan_in` or alike: {lines[-1]!r}"
    namespace: dict[str, Any] = {}
    exec(compile(snippet.source, f"<{snippet.chapter}>", "exec"), namespace)
    weights = namespace[last[1]]
    weights = getattr(weights, "value", weights)  # a variable of Keras
    if hasattr(weights, "detach"):  # a parameter of PyTorch
        weights = weights.detach()
    weights = np.asarray(weights, dtype=np.float64)
    assert weights.ndim >= 2 and weights.size >= FEWEST, f"{weights.shape} is too small to measure"
    fan_in, fan_out = fans(snippet.library, weights.shape)
    return weights, eval(last[2], {"__builtins__": {}}, {"fan_in": fan_in, "fan_out": fan_out})


def fans(library: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan_in and fan_out of a weight in the layout of its library."""
    out, inputs = shape[:2] if library == "PyTorch" else shape[:-3:-1]
    field = int(np.prod(shape)) // (out * inputs)
    return inputs * field, out * field


def check(snippet: Snippet) -> None:
    """Fail where the weights of a snippet do not have the variance that it names."""
    weights, expected = run(snippet)
    assert abs(weights.var() - expected) <= TOLERANCE * expected, (
        f"variance {weights.var():.4g}, not {expected:.4g}:\n{snippet.source}"
    )
    assert abs(weights.mean()) <= 7 * (expected / weights.size) ** 0.5


# --- the calls of the summary -------------------------------------------------------------------

LETTERS = {"n": 500, "g": 1.5, "L": 12}  # what they stand for when a call is run
VARIANCES = {  # by the first word of a row: of a weight with `n` inputs and 400 outputs
    "LeCun": 1 / 500,
    "Glorot": 2 / (500 + 400),
    "He": 2 / 500,
    "leaky": 2 / (1.04 * 500),
    "any": 1.5**2 / 500,
    "orthogonal": 1 / 500,
    "GPT-1's": 0.02**2,
    "the": 0.02**2 / 24,
}
DEPTHWISE = 2 / 7**2  # of a kernel of 7 × 7 on one channel


def calls_of_the_summary() -> list[Name]:
    """Return the calls of the summary's table; what a chapter is to others is here a row."""
    page = (ROOT / "pages/summary.md").read_text(encoding="utf-8").partition("## The calls")[2]
    rows = re.findall(r"^\| (.+?) \| (Keras: .+) \|$", page, re.MULTILINE)
    return [
        Name(row, library, call)
        for row, calls in rows
        for library, call in re.findall(r"(\w+): `(.+?)`", calls)
    ]


def first_word(call: Name) -> str:
    """Return the first word of a call's row."""
    return re.split(r"[, ]", call.chapter)[0]


def is_drawn(call: Name) -> bool:
    """Return whether a call of the summary draws random weights."""
    return first_word(call) in VARIANCES


def check_call(call: Name) -> None:
    """Fail where what a call of the summary draws does not have the variance of its row."""
    depthwise = "depthwise" in call.chapter
    shape = (7, 7, 4096, 1) if depthwise else (500, 400)
    expected = DEPTHWISE if depthwise else VARIANCES[first_word(call)]
    if call.library == "PyTorch":
        torch = importlib.import_module("torch")
        torch.manual_seed(0)
        w = torch.empty((4096, 1, 7, 7) if depthwise else shape[::-1])
        weights = eval(call.text, {**vars(torch.nn.init), **LETTERS, "w": w})
    elif call.library == "Keras":
        keras = importlib.import_module("keras")
        keras.utils.set_random_seed(0)
        weights = eval(call.text, {**vars(keras.initializers), **LETTERS})(shape)
    else:
        jax = importlib.import_module("jax")
        shape = (7, 7, 1, 4096) if depthwise else shape
        draw = eval(call.text, {**vars(jax.nn.initializers), **LETTERS})
        weights = draw(jax.random.key(0), shape)
    variance = np.asarray(weights, dtype=np.float64).var()
    assert abs(variance - expected) <= TOLERANCE * expected, f"{variance:.4g}, not {expected:.4g}"


# --- names --------------------------------------------------------------------------------------


def problems(name: Name) -> Iterator[str]:
    """Yield what is wrong with a name of a table, as sentences."""
    text = name.text.strip().replace("…", "...")
    try:
        statement = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        yield f"`{text}` is not Python"
        return
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        setting = statement.targets[0].id
        if not any(takes(find(name.library, known), setting) for known in SETTINGS[name.library]):
            yield f"`{text}`: nothing in {name.library} that the tests know has the setting"
        value = statement.value
        if name.library == "Keras" and isinstance(value, ast.Constant):
            yield from _of_strings(text, {setting: value})
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
        value = statement.value
        dotted = ast.unparse(statement.targets[0])
        if dotted.split(".")[0] not in ANYTHING and find(name.library, dotted) is None:
            yield f"`{dotted}` is not in {name.library}"
    elif isinstance(statement, ast.Expr):
        value = statement.value
    else:
        yield f"`{text}` is neither an expression nor a setting"
        return
    if isinstance(statement, ast.Expr) and isinstance(value, (ast.Name, ast.Attribute)):
        if text.split(".")[0] in ANYTHING | UNCHECKED:
            return
        if find(name.library, ast.unparse(value)) is None:
            yield f"`{text}` is not in {name.library}"
    elif isinstance(statement, ast.Expr) and isinstance(value, ast.Constant):
        if isinstance(value.value, str) and not (name.library == "Keras" and keras_knows(value)):
            yield f"`{text}` is no name that {name.library} knows"
    for call in ast.walk(value):
        if isinstance(call, ast.Call):
            yield from _of_call(name.library, call)


def _of_call(library: str, call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Call):  # an initializer that is made and called at once
        return
    dotted = ast.unparse(call.func)
    if dotted.split(".")[0] in ANYTHING:  # a method of something that stands for anything
        return
    callee = find(library, dotted)
    if callee is None:
        yield f"`{dotted}` is not in {library}"
        return
    if not callable(callee):
        yield f"`{dotted}` of {library} cannot be called"
        return
    settings = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    for setting in settings:
        if not takes(callee, setting):
            yield f"`{dotted}` of {library} has no setting `{setting}`"
    if library == "Keras":
        yield from _of_strings(dotted, settings)


def _of_strings(where: str, settings: dict[str, ast.expr]) -> Iterator[str]:
    for setting, value in settings.items():
        if setting.endswith("initializer") and isinstance(value, ast.Constant):
            if not keras_knows(value):
                yield f"{where}: Keras knows no initializer {value.value!r}"


def find(library: str, dotted: str) -> Any:
    """Return what a dotted name stands for in a library, None if it is not there."""
    first, *rest = dotted.split(".")
    places = []
    if first in WHERE[library]:
        places = [(first, rest)]
    for module in SHORT.get(library, {}).get(first, ()):
        places.append((module, rest))
    places += [(module, [first, *rest]) for module in WHERE[library]]
    for module, parts in places:
        try:
            package, _, inside = module.partition(":")
            found: Any = importlib.import_module(package)
            for part in [inside, *parts] if inside else parts:
                found = getattr(found, part)
        except AttributeError:
            continue
        return found
    return None


def takes(callee: Any, setting: str) -> bool:
    """Return whether a function or class has a parameter of this name."""
    if callee is None:
        return False
    known = set(inspect.signature(callee).parameters)
    if isinstance(callee, type):  # a metaclass may hide the parameters from the first
        known |= set(inspect.signature(callee.__init__).parameters)
    return setting in known | set(getattr(callee, "__dataclass_fields__", ()))


def keras_knows(value: ast.Constant) -> bool:
    """Return whether a string names an initializer of Keras."""
    import keras

    try:
        return keras.initializers.get(value.value) is not None
    except ValueError:
        return False
