"""What all tests share: reproducible property tests, and figures that open no window."""

import itertools
import random
import signal
from collections import defaultdict

import matplotlib
from hypothesis import settings

settings.register_profile("course", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("course")

# PyTorch's nets of tests/calibrate.py: a test without it cannot import them.
collect_ignore = ["calibration_torch.py"]

# A shell that starts tests in the background has Ctrl+C ignored, as what they start would have too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Not by the environment variable MPLBACKEND, which the kernels of the notebooks would inherit.
matplotlib.use("Agg")


def pytest_collection(session):
    """Keep nbval from measuring coverage in the kernels of the notebooks.

    It does so wherever `--cov` was given; but only the unit tests are to count, and a kernel that
    is measured is slow to start. pytest-cov itself has read the option by now.
    """
    session.config.option.cov_source = None


def pytest_addoption(parser):
    told = "run the files, and the tests in each, in another order; a notebook's cells keep theirs"
    parser.addoption("--shuffle", type=int, metavar="SEED", help=told)


def pytest_collection_modifyitems(config, items):
    if (seed := config.getoption("--shuffle")) is None:
        return
    draw = random.Random(seed)
    files = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    for path, inside in files.items():
        if path.suffix != ".ipynb":
            draw.shuffle(inside)
    order = list(files.values())
    draw.shuffle(order)
    items[:] = itertools.chain.from_iterable(order)
