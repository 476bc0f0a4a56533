"""Call every public function with what is right, almost right or absurd: ``make fuzz``.

``python tests/fuzz.py [SECONDS] [NAME …]`` runs until the time is over: ten minutes, of all whose
names contain a NAME. A call may end with a `ValueError` or a `TypeError`, within ten seconds and
with 1 GB of memory, and may start no program, ask no network, load no pickle and write no file. The
functions are found by looking at the package, their arguments in `ARGUMENTS` by their names; texts
and files are damaged copies of the course's own.
"""

import contextlib
import copy
import importlib
import inspect
import io
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from itertools import count
from pathlib import Path
from unittest import mock

import matplotlib.pyplot
import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import initcore
from initcore import activations, initializers, network, optimizers, theory
from initcore.datasets import Dataset, load_digits
from initcore.diagnosis import Report, Scaling, criteria, of_weights
from initcore.explorers import Depth
from initcore.plots import figure
from website.tools import claims, grade, repository

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 10
FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.posix", "os.fork", "socket.", "pickle.")
TRAPS = ("__import__('os').system('true')", "!!python/object/apply:os.system [true]", "=1+1")

# --- arguments -----------------------------------------------------------------------------------

reals = st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0, 2.0, 1e-300, 1e300, np.float32(1)])
sizes = st.integers(-1, 6)
texts = st.text(max_size=8) | st.sampled_from(TRAPS)
shapes = st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple)
dtypes = st.sampled_from(["float64", "float32", "int64", "bool", "complex128", "O", "U3"])
filled = st.builds(lambda shape, kind, n: np.full(shape, n).astype(kind), shapes, dtypes, sizes)
arrays_of = filled | arrays("float64", shapes, elements=st.floats())
numbers = st.just(2**70) | st.booleans() | sizes | st.floats()
junk = st.recursive(
    st.none() | numbers | texts | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
) | st.sampled_from([object, len, np.float16(1), np.array(1 + 1j), np.array(["a"]), 1j, range(3)])
matrices = arrays("float64", st.tuples(st.just(4), st.sampled_from([3, 3, 0])), elements=reals)
phi = st.sampled_from(activations.names()) | st.just(np.tanh)
nets = st.builds(
    lambda widths, replicas: network.MLP(widths, "tanh", replicas=replicas, seed=0),
    st.sampled_from([(3, 2), (3, 4, 2), (3, 4, 4, 3)]),
    st.sampled_from([None, 2]),
)
x = st.just(np.arange(12.0).reshape(4, 3) / 7) | matrices
y = st.just(np.array([0, 1, 1, 0])) | arrays("int64", 4, elements=st.integers(-1, 3))
lists_of = st.lists(matrices, max_size=3)
traces = nets.map(lambda net: net.forward(np.ones((4, 3))))
weights = st.sampled_from(["he_normal", "glorot_uniform", "orthogonal"])
optimizer = st.sampled_from(["sgd", "adam"]) | st.builds(optimizers.SGD, st.just(0.1))
functions = st.sampled_from([np.tanh, np.cos, len, str, lambda *_: None, lambda **_: np.nan])
config = st.fixed_dictionaries(
    {"class_name": st.sampled_from(["HeNormal", "Constant", "Orthogonal"]) | texts},
    optional={"config": st.dictionaries(st.sampled_from(["seed", "gain", "value"]) | texts, junk)},
)
formulas = st.recursive(
    st.sampled_from(["z", "2", "0.5", "1e400", "-z", "z.real", "z^2", "'z'", "lambda: z", *TRAPS]),
    lambda part: st.builds(
        str.format,
        st.sampled_from(
            ["({} + {})", "{} * {}", "{} ** {}", "tanh({})", "max({}, {})", "exp({})", "1 / {}"]
            + ["where({} > {}, z, 0)", "sqrt(abs({}))", "gelu({})", "erf({}", "{}({})", "{}[{}]"]
        ),
        part,
        part,
    ),
    max_leaves=12,
)
figures = st.just(None).map(lambda _: figure()[0])
axes = st.just(None).map(lambda _: figure()[1])
columns = st.dictionaries(texts, st.lists(reals, min_size=2, max_size=2), max_size=3)

models = st.lists(st.tuples(matrices, st.none(), phi), max_size=2)
models |= st.dictionaries(texts | st.sampled_from(["a.weight", "a.bias", "b/kernel"]), arrays_of)
models |= st.sampled_from(
    [lambda seed: network.MLP((3, 2), seed=seed), lambda: network.MLP((3, 2))]
)

FACTORIES = [
    lambda width: network.MLP((3, width, 2)),
    lambda width, seed: network.MLP((3, width, width, 2), replicas=2, seed=seed, dtype="float32"),
    lambda width: [(np.ones((3, width)), None, "tanh")],
    lambda width: width,
    lambda: network.MLP((3, 2)),
]

ARGUMENTS = {
    reals: "at_zero alpha slope branch_scale within gain mean stddev minval maxval "
    "scale param beta_1 beta_2 learning_rate epsilon momentum q c c1 q1 sigma_w2 "
    "sigma_b2 variance xi_q xi_c probability dropout wanted right value limit height between "
    "result seconds attention_scale",
    sizes: "blocks batch_size depth width batch replicas hidden epochs units "
    "measure_every layers stream examples columns series steps tokens heads",
    st.just(0) | st.none() | st.integers(0, 9): "seed",
    st.booleans(): "normalise standardize whole falls line signed parameters stable legend packed",
    texts: "name title label xlabel ylabel alt quantity claim statement spec labels",
    st.sampled_from(["x", "y", "xy", ""]): "log",
    st.sampled_from(["fan_in", "fan_avg"]): "mode",
    st.sampled_from(["layer", "rms", "none"]): "norm",
    st.sampled_from(["pre", "post"]): "place",
    st.sampled_from(["uniform", "truncated_normal"]): "distribution",
    st.sampled_from(["true", "imprecise", "wrong"]): "verdict",
    st.sampled_from(["rbm", "autoencoder"]): "method",
    st.sampled_from(["float32", "float64", "float16"]): "dtype",
    st.sampled_from([(3, 2), (3, 4, 2), [2, 2], (2, 3), [3, 5]]): "widths",
    phi: "activation output_activation",
    weights: "weights",
    st.just("zeros"): "biases positions gates",
    phi | weights | texts | config: "identifier",
    optimizer: "optimizer",
    nets: "net",
    x: "x z inputs outputs targets logits W v h a values gradient uniform quantiles answer",
    y: "y",
    st.just(np.ones(3)): "b",
    lists_of: "pre_activations activations masks normalised deviations scales deltas "
    "decoder_weights decoder_biases errors train test kinks rows "
    "output streams branches tape ends shifts",
    st.builds(Dataset, x, y): "data validation",
    functions: "function derivative experiment probe",
    st.just({"half": lambda value: value / 2}): "slips",
    st.dictionaries(texts, st.tuples(phi, reals), max_size=2): "cases",
    columns: "checks formats theory",
    st.dictionaries(st.sampled_from(["alpha", "gain"]), reals): "controls case",
    shapes: "shape",
    st.none() | st.integers(-3, 3) | st.tuples(sizes): "input_axes output_axes",
    formulas: "text",
    config: "config",
    weights.map(initializers.get): "initializer",
    traces: "trace",
    st.none(): "gradients",
    axes: "ax",
    figures: "fig",
    st.sampled_from(["softmax_cross_entropy", "squared_error"]): "loss",
    reals | matrices: "history accuracy validation_loss validation_accuracy diverged probes",
    st.just([np.random.default_rng(0)]): "rngs",
    st.builds(lambda: None): "stack",
    st.just({}): "options",
    nets | models: "model",
    st.none() | sizes: "seeds",
    st.sampled_from(FACTORIES): "make_model",
}
BY_NAME = {name: kind for kind, names in ARGUMENTS.items() for name in names.split()}
# Not called: the first changes Keras for all that follows, the second is only inherited from, the
# third starts processes and writes files, as it should.
LEFT_OUT = {"initializers.register_keras", "initializers.Initializer", "sweeps.sweep"}


def public():
    """Return the public functions and classes by their names, with those that objects have."""
    found = {}
    for name in initcore.__all__:
        module = importlib.import_module(f"initcore.{name}")
        for key, value in inspect.getmembers(module, callable):
            own = getattr(value, "__module__", None) == module.__name__
            if own and not key.startswith("_") and f"{name}.{key}" not in LEFT_OUT:
                found[f"{name}.{key}"] = value
    found["diagnosis.diagnose.widths"] = initcore.diagnose.widths
    return found


def call(function, draw):
    """Call a function with drawn arguments; of those that need not be, some are left out."""
    positional, named = [], {}
    for parameter in inspect.signature(function).parameters.values():
        kind = BY_NAME[parameter.name]
        if parameter.default is not parameter.empty and draw(st.booleans()):
            continue
        if parameter.kind == parameter.VAR_KEYWORD:
            named |= draw(kind)
        elif parameter.kind == parameter.VAR_POSITIONAL:
            positional += draw(st.lists(kind, max_size=2))
        else:
            is_drawn = parameter.name in ("ax", "fig")  # on what is Matplotlib's own
            named[parameter.name] = draw(kind if is_drawn else st.one_of(kind, kind, kind, junk))
    if positional:
        return function(*named.values(), *positional)
    return function(**named)


def use(made, draw):
    """Use what was made, as its reader would."""
    if isinstance(made, initializers.Initializer):
        made(draw(st.one_of(shapes, shapes, junk)), draw(st.sampled_from(["float32", "float64"])))
    elif isinstance(made, activations.Activation):
        made(draw(x | junk))
        made.derivative(draw(x | junk))
    elif isinstance(made, network.MLP):
        made.predict(draw(x | arrays_of | junk))
    elif isinstance(made, Scaling):
        str(made), made.ok
    elif isinstance(made, Report):
        str(made), made.plot(), made.to_dict(), made.compare(made)
        made.assert_healthy(draw(st.just(criteria.CODES) | junk))
    elif inspect.isgenerator(made):
        next(made, None)


# --- texts and files -----------------------------------------------------------------------------


@st.composite
def damaged(draw, whole):
    """Return a text or bytes of which parts are lost, doubled or replaced."""
    for _ in range(draw(st.integers(0, 3))):
        start, length = draw(st.integers(0, len(whole))), draw(st.integers(0, 60))
        new = draw(st.sampled_from([*TRAPS, *"[{:-", "", "null", "&a", "*a", "\x00"]) | texts)
        new = new if isinstance(whole, str) else new.encode(errors="replace")
        whole = whole[:start] + new * draw(st.integers(1, 3)) + whole[start + length :]
    return whole


def with_file(name, content, read):
    """Call a function with the path of a file of this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        content = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
        WRITES[:] = [folder]
        path.write_bytes(content)
        read(path)


def grade_answers(path):
    """Read a returned notebook, and what it answers."""
    if notebook := grade.read(path):
        answers = grade.given(notebook, {"my_sd", "my_k", "my_gain"})
        assert all(isinstance(grade.is_value(answer), bool) for answer in answers.values())


def load_numbers(content):
    """Load a live figure's numbers from a text."""
    with mock.patch.object(Depth, "stored", lambda: content):
        Depth.load()


def load_damaged_digits(content):
    """Load the digits from bytes."""
    with mock.patch.object(Path, "read_bytes", lambda path: content):
        load_digits()


def use_formula(act):
    """Ask of an activation what the calculator of chapter 8 asks."""
    assert np.isfinite(act(np.linspace(-9, 9, 99))).all()
    theory.fixed_points(act, theory.forward_gain(act) ** 2)


def sources():
    """Return what reads texts and files: a function of one argument, and what to damage."""
    ledger = (ROOT / "claims.yml").read_text(encoding="utf-8")[:3000]
    chapter = next(ROOT.glob("chapters/03*.ipynb")).read_text(encoding="utf-8")
    chapter = chapter[: chapter.index('"outputs"')] + '"outputs": []}], "metadata": {}}'
    numbers = (ROOT / "initcore/explorers/data/depth.json").read_text(encoding="utf-8")[:2000]
    digits = (ROOT / "initcore/data/digits.npz").read_bytes()
    tensors = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    tensors = len(tensors).to_bytes(8, "little") + tensors + bytes(24)
    return {
        "claims.yml": (lambda t: with_file("claims.yml", t, claims.load_claims), damaged(ledger)),
        "a cell": (claims.deciding_calls, damaged("decide('S1', 'true', '…', {'a': (b, '<', 1)})")),
        "a notebook": (lambda t: with_file("a.ipynb", t, grade_answers), damaged(chapter)),
        "an answer": (grade.is_value, damaged("(np.sqrt(6 / 600), 24**-0.5, Fraction(23, 40))")),
        "depth.json": (load_numbers, damaged(numbers)),
        "a.safetensors": (lambda b: with_file("a", b, of_weights.read), damaged(tensors)),
        "weights.npz": (lambda b: with_file("a", b, of_weights.read), damaged(digits)),
        "digits.npz": (load_damaged_digits, damaged(digits)),
        "an address": (repository.read_repository, damaged("https://github.com/owner/course.git")),
        "an initializer": (initializers.get, damaged("he_normal") | config | junk),
        "an activation": (activations.get, damaged("leaky_relu") | junk),
        "a formula": (
            lambda t: use_formula(activations.from_expression(t)),
            damaged("where(z > 0, z, 0.2 * max(z, -1)) + z * tanh(log1p(exp(z)))") | formulas,
        ),
        "an optimizer": (optimizers.get, damaged("adam") | config | junk),
    }


# --- the run -------------------------------------------------------------------------------------

WRITES = []  # folders in which a file may be written
WATCHING = []


def watch(event, arguments):
    """Refuse what no argument may bring about."""
    if not WATCHING:
        return
    writes = event == "open" and isinstance(arguments[1], str) and {*arguments[1]} & {*"wax+"}
    writes = writes and not str(arguments[0]).startswith(("/dev/null", *WRITES))
    if event.startswith(FORBIDDEN) or (writes and ".pyc" not in str(arguments[0])):
        raise SystemError(f"an argument brought about {event} {arguments}")


class Slow(BaseException):
    """A call took too long."""


def late(*_):
    raise Slow(f"more than {SECONDS} s")


@contextlib.contextmanager
def guarded():
    """Let a call end well or with one of the two errors, in silence, in time."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    WATCHING.append(True)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            with contextlib.suppress(ValueError, TypeError):
                yield
    finally:
        WATCHING.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)


def targets():
    """Return a hypothesis test for each function and each source, by its name."""

    def of_function(function):
        @given(st.data())
        def test(data):
            with guarded():
                use(call(copy.copy(function), data.draw), data.draw)

        return test

    def of_source(read, kind):
        @given(kind)
        def test(text):
            with guarded():
                read(text)

        return test

    made = {name: of_function(function) for name, function in public().items()}
    return made | {name: of_source(*source) for name, source in sources().items()}


def run(test, examples, number):
    """Run a test with fresh examples."""
    checks = [check for check in HealthCheck]
    options = {"database": None, "deadline": None, "derandomize": False, "print_blob": False}
    settings(max_examples=examples, suppress_health_check=checks, **options)(seed(number)(test))()


def limit():
    """Set the limits of time and memory for this process."""
    signal.signal(signal.SIGALRM, late)
    sys.addaudithook(watch)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))


def work(pipe, test, number):
    """Run a test and send its error, or nothing."""
    limit()
    said = ""
    try:
        run(test, 20, number)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        several = getattr(error, "exceptions", ())  # of a group
        said = "\n".join([f"{type(one).__name__}: {one}" for one in (error, *several)])
        said += "\n" + " ".join(getattr(error, "__notes__", ()))
    pipe.send(said)


def outcome(test, number):
    """Run a test in a process of its own, for which the limits hold; return its error, or ""."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(theirs, test, number))
    process.start()
    theirs.close()
    try:
        said = ours.recv()
    except EOFError:
        said = "the process died"
    process.join()
    return said


def main(seconds=600, *names):
    """Run all until the time is over, and end with the functions that fail."""
    matplotlib.use("Agg")
    failed, calls, end = set(), 0, time.monotonic() + float(seconds)
    for number in count():
        # made anew, as hypothesis gives a test its settings once
        made = {n: t for n, t in targets().items() if not names or any(part in n for part in names)}
        for name, test in made.items():
            if time.monotonic() > end:
                print(f"{len(made)} functions and files, {calls} calls, {len(failed)} fail")
                sys.exit(1 if failed else 0)
            if name in failed:
                continue
            if said := outcome(test, number):
                failed.add(name)
                print(f"{name}: {said}", flush=True)
            calls += 20


if __name__ == "__main__":
    main(*sys.argv[1:])
