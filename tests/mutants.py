"""Break `initcore` in thousands of small ways, and ask which of them the tests see.

``python tests/mutants.py unit`` (``make mutants``) changes one thing at a time in the package's
source, as mutmut's operators do, and runs the unit tests that reach the changed statement, the
cheapest first, until one fails. ``notebooks`` runs the notebooks instead, as ``make quick`` does:
what they print must differ. A mutant that nothing sees has survived. It either shows that an
assertion is missing, or it computes the same: then it is named, with the reason, in
``equivalent_mutants.yml``. What is changed, and by what it is killed, is set in ``pyproject.toml``.

Nothing is written into the package. A process that has imported what the tests need, but not
`initcore`, forks a child for each mutant, and the child alone imports the changed source. Each
result is appended to a file under ``_build/mutants`` as it comes; a second run continues there.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import itertools
import json
import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "initcore"
BUILD = ROOT / "_build" / "mutants"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.yml")
MAIN = os.getpid()
MOST_MEMORY = 8 << 30  # bytes of addresses: a mutant may ask for an array of any size
FIXED_SECONDS, FACTOR = 20, 5  # of processor time that a test may take: fixed, and times its own


class Mutant(NamedTuple):
    """One change of one module.

    `name` is what the lists say of it, and stays the same while the changed lines do. `lines` are
    those of the changed statement, or of the function's body where its defaults are changed;
    there are none where the change takes effect on import.
    """

    name: str
    path: Path
    span: tuple[int, int]
    text: str
    lines: tuple[int, ...]

    @property
    def module(self) -> str:
        return module_name(self.path)

    def source(self) -> str:
        old = self.path.read_text(encoding="utf-8")
        return old[: self.span[0]] + self.text + old[self.span[1] :]


def module_name(path: Path) -> str:
    """Return a module's name within the package, with dots."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


# --- What is changed.


def changes(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield each change that mutmut's operators make, as a span of the source and its new text.

    Left alone are annotations, decorators, what is for type checkers only, calls of `len` and
    `isinstance`, the words of an error, and what the operators named in the settings would change.
    """
    import libcst as cst
    from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
    from mutmut.mutation.mutators import mutation_operators

    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(WhitespaceInclusivePositionProvider)
    starts = line_starts(source)
    operators = [o for o in mutation_operators if o[1].__name__ not in SETTINGS["without"]]

    def called(node: cst.CSTNode) -> str:
        return wrapper.module.code_for_node(node.func).rpartition(".")[2]

    def visit(node: cst.CSTNode, in_error: bool = False) -> Iterator[tuple[int, int, str]]:
        if isinstance(node, (cst.Annotation, cst.Decorator)):
            return
        if isinstance(node, cst.Call) and called(node) in ("len", "isinstance"):
            return
        if isinstance(node, cst.If) and wrapper.module.code_for_node(node.test) == "TYPE_CHECKING":
            return
        in_error |= isinstance(node, cst.Raise) or (
            isinstance(node, cst.Call) and called(node) == "fail"
        )
        if in_error and isinstance(node, (cst.FormattedString, cst.ConcatenatedString)):
            return
        where = positions[node]
        start = starts[where.start.line - 1] + where.start.column
        end = starts[where.end.line - 1] + where.end.column
        for kind, operator in operators:
            if isinstance(node, kind):
                for changed in operator(node):
                    yield start, end, wrapper.module.code_for_node(changed)
        for child in node.children:
            yield from visit(child, in_error)

    yield from visit(wrapper.module)


def places(tree: ast.Module) -> Iterator[tuple[int, int, str, tuple[int, ...]]]:
    """Yield each statement's first and last line, the name of its function, and its `lines`.

    A statement comes after those that it is in. Of a compound one the lines are its head's.
    """

    def visit(node: ast.AST, name: str, inside: bool) -> Iterator:
        for child in ast.iter_child_nodes(node):
            inner, within = name, inside
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{name}.{child.name}".lstrip(".")
                within = inside or isinstance(child, ast.FunctionDef)
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                body = getattr(child, "body", None)
                first = getattr(child, "lineno", 0) or child.pattern.lineno
                last = body[0].lineno - 1 if body else child.end_lineno
                last = max(first, last)
                lines = range(first, last + 1) if inside else ()
                if isinstance(child, ast.FunctionDef):
                    lines = range(body[0].lineno, child.end_lineno + 1)
                yield first, child.end_lineno if body is None else last, inner, tuple(lines)
            yield from visit(child, inner, within)

    yield from visit(tree, "", False)


def mutants(path: Path) -> list[Mutant]:
    """Return the mutants of a module; they are read again as long as it has not changed."""
    key = digest(path, ROOT / "pyproject.toml", ROOT / "tests" / "requirements-mutants.txt")
    store = BUILD / f"mutants-{module_name(path)}.json"
    if store.exists():
        stored = json.loads(store.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return [Mutant(n, path, (a, b), text, tuple(ls)) for n, a, b, text, ls in stored["all"]]
    found = new_mutants(path)
    rows = [(m.name, *m.span, m.text, m.lines) for m in found]
    write(store, json.dumps({"key": key, "all": rows}))
    return found


def new_mutants(path: Path) -> list[Mutant]:
    """Make the mutants of a module; left out are those that do not compile or are the same code."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    statements = list(places(tree))
    starts = line_starts(source)
    pieces = []  # of the module's top level: one alone is read again, instead of the whole module
    for node in tree.body:
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda n: n.lineno)
        pieces.append((starts[first.lineno - 1], starts[node.end_lineno], ast.dump(node)))
    seen: Counter[str] = Counter()
    found = []
    for start, end, text in changes(source):
        first, last, same = next(piece for piece in pieces if piece[0] <= start < piece[1])
        mutated = source[first:start] + text + source[end:last]
        try:
            [node] = ast.parse(mutated).body
            if ast.dump(node) == same:
                continue
            compile(mutated, str(path), "exec")
        except SyntaxError:
            continue
        line = source.count("\n", 0, start + len(text) - len(text.lstrip())) + 1
        around = [s for s in statements if s[0] <= line <= s[1]]
        *_, function, lines = around[-1] if around else (0, 0, "", ())
        was, becomes = difference(source[first:last], mutated)
        name = f"{module_name(path)}:{function}: {was} -> {becomes}"
        seen[name] += 1
        name += f" (no. {seen[name]})" if seen[name] > 1 else ""
        found.append(Mutant(name, path, (start, end), text, lines))
    return found


def line_starts(source: str) -> list[int]:
    """Return where each line begins, and where the last one ends."""
    return list(itertools.accumulate(map(len, source.splitlines(keepends=True)), initial=0))


def difference(old: str, new: str) -> tuple[str, str]:
    """Return the lines that differ, each side in one line."""
    sides = [[line.strip() for line in text.splitlines()] for text in (old, new)]
    for end in (0, -1):
        while all(sides) and sides[0][end] == sides[1][end]:
            sides[0].pop(end), sides[1].pop(end)
    return " ".join(sides[0]), " ".join(sides[1])


# --- What runs in a forked child.


class Child:
    """A call in a forked process; it ends with what the call returned, or with how it died.

    `seconds` is the longest that it may wait; how long it may compute, `allow` says in it.
    """

    def __init__(self, function: Callable, *arguments: Any, seconds: float) -> None:
        fork = multiprocessing.get_context("fork")
        self.pipe, other = fork.Pipe(duplex=False)
        self.process = fork.Process(target=_work, args=(other, function, arguments))
        self.process.start()
        other.close()
        self.began, self.seconds = time.monotonic(), seconds

    def ended(self) -> bool:
        late = time.monotonic() > self.began + self.seconds
        if late:
            self.kill()
        return late or not self.process.is_alive() or self.pipe.poll()

    def kill(self) -> None:
        """End the process, and those that it has forked."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()

    def result(self) -> Any:
        """Return what was sent, or raise `DiedError`."""
        try:
            return self.pipe.recv()
        except EOFError:
            self.process.join()
            code = -self.process.exitcode
            late = code in (signal.SIGPROF, signal.SIGKILL)
            raise DiedError("timeout" if late else f"crash {code}") from None
        finally:
            self.kill()
            self.pipe.close()


class DiedError(Exception):
    """A child ended without a word."""


def _work(pipe: Any, function: Callable, arguments: tuple) -> None:
    if os.getppid() == MAIN:
        os.setpgid(0, 0)  # with all that it forks
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if os.environ.get("MUTANTS_VERBOSE") else (0, 1, 2):
        os.dup2(silent, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    pipe.send(function(*arguments))
    pipe.close()
    os._exit(0)


def import_as(path: Path | None, source: str) -> None:
    """Have a later import of a module find other source than its file's."""
    original = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> Any:
        if path is not None and loader.path == str(path):
            return compile(source, str(path), "exec", dont_inherit=True)
        return original(loader, name)

    SourceFileLoader.get_code = get_code


def allow(seconds: float) -> None:
    """End this process if it computes for longer than this, and a fixed time, from now on."""
    signal.setitimer(signal.ITIMER_PROF, FIXED_SECONDS + FACTOR * seconds)


class Plugin:
    """Chooses and orders the tests, looks how long each takes, and keeps the first that fails."""

    def __init__(self, chosen: list[str] | None, seconds: dict[str, float]) -> None:
        self.order = None if chosen is None else {name: i for i, name in enumerate(chosen)}
        self.seconds, self.failed, self.coverage = seconds, "", None
        self.took: dict[str, float] = {}

    def pytest_collection(self) -> None:
        from hypothesis import Phase, settings

        importlib.import_module("conftest")  # for the doctests alone pytest would not
        course = settings.get_profile("course")
        phases = [Phase.explicit, Phase.generate]  # which example is the smallest, nobody asks
        settings.register_profile("mutants", course, phases=phases, database=None)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list) -> None:
        if self.order is not None:
            items[:] = [item for item in items if item.nodeid in self.order]
            items.sort(key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self.coverage is None:
            allow(self.seconds.get(nodeid, 0.0))
        else:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.took[report.nodeid] = self.took.get(report.nodeid, 0.0) + report.duration
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = f"import of {report.nodeid}"


def run_pytest(files: list[str], plugin: Plugin) -> None:
    """Run the tests; raise `RuntimeError` if pytest itself fails."""
    import pytest

    options = ["-x", "-q", "--tb=no", "--assert=plain", "-o", "addopts=", "--doctest-modules"]
    options += ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-p", "no:nbval"]
    code = pytest.main([*options, *files], plugins=[plugin])
    if code not in (0, 5) and not plugin.failed:
        raise RuntimeError(f"pytest ends with {code}")


def try_tests(mutant: Mutant, chosen: list[str], seconds: dict[str, float]) -> str:
    """Return the test that sees the mutant, "" if none does."""
    import_as(mutant.path, mutant.source())
    allow(0)
    plugin = Plugin(chosen, seconds)
    files = sorted({name.partition("::")[0] for name in chosen})
    run_pytest(files, plugin)
    return plugin.failed


def try_notebooks(mutant: Mutant, chosen: list[str], seconds: dict[str, float]) -> str:
    """Return the notebook and the cell that see the mutant, "" if none does."""
    import_as(mutant.path, mutant.source())
    for name in chosen:  # a process for each, as a notebook would have a kernel
        child = Child(first_difference, name, seconds[name], seconds=40 * FACTOR * seconds[name])
        while not child.ended():
            wait([child.pipe, child.process.sentinel], timeout=5)
        try:
            if cell := child.result():
                return f"{name} {cell}"
        except DiedError as died:
            return f"{name} {died}"
    return ""


def first_difference(name: str, seconds: float) -> str:
    """Return the first cell of a notebook whose text is another, "" if there is none."""
    import quick

    allow(seconds)
    contents = quick.contents

    def words(outputs: Any) -> defaultdict[str, list]:  # a reader's eye may miss what moved
        found = contents(outputs)
        for kind in [kind for kind in found if kind.startswith("image/")]:
            del found[kind]
        return found

    quick.contents = words
    return next((cell for cell, _ in quick.differences(ROOT / name)), "")


# --- Which lines each test reaches.


def reach(kind: str, name: str) -> dict[str, Any]:
    """Run one file without a mutant; return, for each test, its seconds and the lines it ran."""
    from coverage import Coverage

    coverage = Coverage(data_file=None, include=[f"{PACKAGE}/*"], config_file=False)
    began = time.process_time()
    coverage.start()
    if kind == "unit":
        plugin = Plugin(None, {})
        plugin.coverage = coverage
        run_pytest([name], plugin)
        seconds, failed = plugin.took, plugin.failed
    else:
        coverage.switch_context(name)
        failed = first_difference(name, 600)
        seconds = {name: time.process_time() - began}
    coverage.stop()
    data = coverage.get_data()
    lines: dict[str, dict[str, list[int]]] = {test: {} for test in seconds}
    for file in data.measured_files():
        module = module_name(Path(file))
        for line, tests in data.contexts_by_lineno(file).items():
            for test in tests:
                if test in lines:
                    lines[test].setdefault(module, []).append(line)
    tests = {test: {"seconds": seconds[test], "lines": lines[test]} for test in seconds}
    return {"failed": failed, "tests": tests}


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def reached(kind: str, files: list[str], jobs: int) -> dict[str, dict[str, Any]]:
    """Return what `reach` says of all tests; what has not changed is read from the last time."""
    store = BUILD / f"reach-{kind}.json"
    known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    package = digest(*sorted(PACKAGE.rglob("*.py")))
    todo = []
    for name in files:
        key = f"{package} {digest(ROOT / name)}"
        if known.get(name, {}).get("key") != key:
            todo.append((name, key))
    random.shuffle(todo)  # so that two runs share the work

    def begin(job: tuple[str, str]) -> Child:
        return Child(reach, kind, job[0], seconds=3600)

    for (name, key), outcome in in_turn(todo, begin, jobs):
        if isinstance(outcome, DiedError) or outcome["failed"]:
            told = outcome if isinstance(outcome, DiedError) else outcome["failed"]
            raise SystemExit(f"{name} fails without a mutant: {told}")
        print(f"{name}: {len(outcome['tests'])} tests", flush=True)
        if store.exists():  # another run may have been there
            known = json.loads(store.read_text(encoding="utf-8")) | known
        known[name] = {"key": key, **outcome}
        write(store, json.dumps(known))
    return {test: about for name in files for test, about in known[name]["tests"].items()}


def write(path: Path, text: str) -> None:
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def in_turn(todo: list, begin: Callable[[Any], Child], jobs: int) -> Iterator[tuple[Any, Any]]:
    """Yield each job with what its child returned, or `DiedError`; `jobs` of them run at a time."""
    waiting, running = list(todo), []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                job = waiting.pop(0)
                running.append((job, begin(job)))
            wait([c.pipe for _, c in running] + [c.process.sentinel for _, c in running], 5)
            for job, child in [pair for pair in running if pair[1].ended()]:
                running.remove((job, child))
                try:
                    yield job, child.result()
                except DiedError as died:
                    yield job, died
    finally:
        for _, child in running:
            child.kill()


class Choice:
    """Which tests may see a mutant: those that reach it, the cheapest first.

    Behind them come the others in the test files named after the module: what a test finds in a
    cache, another test has reached. Where a change takes effect on import, all that reach the
    module come.
    """

    def __init__(self, kind: str, tests: dict[str, dict[str, Any]]) -> None:
        self.kind = kind
        self.seconds = {name: about["seconds"] for name, about in tests.items()}
        self.by_line: dict[str, defaultdict[int, set[str]]] = {}
        for name, about in tests.items():
            for module, lines in about["lines"].items():
                by_line = self.by_line.setdefault(module, defaultdict(set))
                for line in lines:
                    by_line[line].add(name)

    def __call__(self, mutant: Mutant) -> list[str]:
        by_line = self.by_line.get(mutant.module, {})
        first = {name for line in mutant.lines for name in by_line.get(line, ())}
        then = set() if mutant.lines else set().union(*by_line.values())
        if self.kind == "unit":
            stem = f"tests/test_{mutant.module.replace('.', '_').replace('__', '_')}"
            own = (f"{stem}.py::", f"{stem}_", f"initcore/{mutant.path.name}::")
            then |= {name for name in self.seconds if name.startswith(own)}
        return sorted(first | then, key=lambda name: (name not in first, self.seconds[name]))


# --- The account.


def equivalents() -> dict[str, str]:
    """Return the reason for each mutant that is named equivalent."""
    entries = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    return {name: entry["reason"] for entry in entries for name in entry["mutants"]}


def account(kind: str, results: dict[str, dict], todo: list[Mutant], sampled: bool) -> int:
    """Print killed and survived by module, and the survivors; return 1 if too many survived."""
    known = equivalents()
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    unnamed = []
    for mutant in todo:
        outcome = results[mutant.name]["outcome"]
        if outcome == "survived":
            outcome = "equivalent" if mutant.name in known else "survived"
            unnamed += [mutant.name] if outcome == "survived" else []
        rows[mutant.module][outcome] += 1
    total = sum(rows.values(), Counter())
    heads = ("killed", "timeout", "crash", "survived", "equivalent")
    print(f"{'module':24}" + "".join(f"{head:>12}" for head in heads))
    for name, row in [*sorted(rows.items()), ("all", total)]:
        print(f"{name:24}" + "".join(f"{row[head]:12}" for head in heads))
    whole = total.total() - total["equivalent"]
    part = whole - total["survived"]
    told = ""
    if sampled:
        from scipy import stats

        low, high = stats.binomtest(part, whole).proportion_ci(method="wilson")
        told = f" (a sample; of all, at 95%: {low:.1%} to {high:.1%}; Wilson)"
    print(f"{kind}: {part} of {whole} killed, {part / whole:.1%}{told}; a timeout counts.")
    for name in unnamed:
        print(f"survived: {name}")
    return int(part / whole < SETTINGS[kind]["floor"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("unit", "notebooks"), help="what is to see the mutants")
    parser.add_argument("modules", nargs="*", help="modules, as theory or explorers.scale")
    parser.add_argument("--sample", type=int, help="so many mutants of all these modules")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--again", action="store_true", help="run survivors of earlier runs again")
    parser.add_argument("--match", help="only mutants whose name contains this")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after about these")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended: the next run continues"))
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    BUILD.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS[options.kind]

    paths = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    wanted = settings.get("modules", list(paths))
    if options.modules:
        wanted = [name for name in wanted if name in options.modules]
    todo = [mutant for name in wanted for mutant in mutants(paths[name])]
    print(f"{len(todo)} mutants in {len(wanted)} modules", flush=True)
    if options.sample and options.sample < len(todo):
        chosen = random.Random(options.seed).sample(range(len(todo)), options.sample)
        todo = [todo[i] for i in sorted(chosen)]
    if options.match:
        todo = [mutant for mutant in todo if options.match in mutant.name]

    os.environ |= {"KERAS_BACKEND": "jax", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in settings["warm"]:
        importlib.import_module(name)
    if options.kind == "notebooks":
        importlib.import_module("quick").warm()
    for name in [name for name in sys.modules if name.partition(".")[0] == "initcore"]:
        del sys.modules[name]  # a tool writes its files with it; each child imports all anew

    began = time.monotonic()
    files = sorted(
        str(path.relative_to(ROOT)) for glob in settings["files"] for path in ROOT.glob(glob)
    )
    choice = Choice(options.kind, reached(options.kind, files, options.jobs))
    store = BUILD / f"{options.kind}.jsonl"
    results = {}
    if store.exists():
        for line in store.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last line of a run that was ended
                result = json.loads(line)
                results[result["name"], result["module"]] = result
    sources = {name: digest(path) for name, path in paths.items()}
    open_ = [
        mutant
        for mutant in todo
        if (mutant.name, sources[mutant.module]) not in results
        or (options.again and results[mutant.name, sources[mutant.module]]["outcome"] == "survived")
    ]
    random.shuffle(open_)
    attempt = {"unit": try_tests, "notebooks": try_notebooks}[options.kind]

    def begin(mutant: Mutant) -> Child:
        tests = choice(mutant)
        seconds = sum(choice.seconds[name] for name in tests)
        return Child(attempt, mutant, tests, choice.seconds, seconds=600 + 20 * FACTOR * seconds)

    with store.open("a", encoding="utf-8") as file:
        for mutant, outcome in in_turn(open_, begin, options.jobs):
            died = isinstance(outcome, DiedError)
            result = {
                "name": mutant.name,
                "module": sources[mutant.module],
                "outcome": str(outcome).split()[0] if died else "killed" if outcome else "survived",
                "by": str(outcome),
            }
            results[result["name"], result["module"]] = result
            file.write(json.dumps(result, ensure_ascii=False) + "\n")
            file.flush()
            if time.monotonic() > began + 60 * options.minutes:
                break
    own = {name: r for (name, module), r in results.items() if module in sources.values()}
    done = [mutant for mutant in todo if mutant.name in own]
    print(f"{len(done)} of {len(todo)} mutants are done")
    return account(options.kind, own, done, bool(options.sample)) if done else 1


if __name__ == "__main__":
    sys.exit(main())
