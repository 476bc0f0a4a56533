"""``make fuzz`` knows every public function, and sees what it looks for."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import fuzz
import numpy as np
import pytest


def test_every_public_function_and_each_of_its_arguments_is_tried():
    functions = fuzz.public()
    assert len(functions) > 100
    missing = {
        f"{name}: {parameter.name}"
        for name, function in functions.items()
        for parameter in fuzz.inspect.signature(function).parameters.values()
        if parameter.name not in fuzz.BY_NAME
    }
    assert not missing, "give them a place in ARGUMENTS of tests/fuzz.py"


BAD = {
    "IndexError": lambda: [][0],
    "Slow": lambda: time.sleep(60),
    "MemoryError": lambda: np.ones(2**28).sum(),
    "os.system": lambda: os.system("true"),
    "subprocess": lambda: subprocess.run(["true"]),
    "pickle.find_class": lambda: pickle.loads(pickle.dumps(os.getcwd)),
    "open": lambda: open(fuzz.ROOT / "canary", "w"),
}


def call(what):
    """Do in a process of its own, as the limits hold for all of it, what a call must not do."""
    code = 2
    try:
        fuzz.SECONDS = 0.2
        fuzz.limit()
        with fuzz.guarded():
            BAD[what]()
    except BaseException as error:  # noqa: BLE001 - its name is what is asked for
        code = 0 if what in f"{type(error).__name__} {error}" else 1
    finally:
        os._exit(code)


@pytest.mark.parametrize("what", BAD)
def test_it_sees_what_a_call_must_not_do(what):
    code = f"import test_fuzz; test_fuzz.call({what!r})"
    environment = os.environ | {"PYTHONPATH": str(fuzz.ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parent, env=environment)
    assert done.returncode == 0
    assert not (fuzz.ROOT / "canary").exists()


@pytest.mark.parametrize("name", fuzz.sources())
def test_a_few_damaged_texts_and_files(name):
    read, kind = fuzz.sources()[name]

    @fuzz.settings(max_examples=10)
    @fuzz.given(kind)
    def test(text):
        with fuzz.contextlib.suppress(ValueError, TypeError):
            read(text)

    test()
