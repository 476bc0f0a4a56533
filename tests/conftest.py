"""What all tests share: reproducible property tests, and figures that open no window."""

import matplotlib
from hypothesis import settings

settings.register_profile("course", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("course")

# Not by the environment variable MPLBACKEND, which the kernels of the notebooks would inherit.
matplotlib.use("Agg")


def pytest_collection(session):
    """Keep nbval from measuring coverage in the kernels of the notebooks.

    It does so wherever `--cov` was given; but only the unit tests are to count, and a kernel that
    is measured is slow to start. pytest-cov itself has read the option by now.
    """
    session.config.option.cov_source = None
