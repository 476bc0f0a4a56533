"""Initialization, by experiment: the package that the course's notebooks import.

Only `plots`, `widgets` and `explorers` need more than NumPy. The modules are imported when they are
first used, so ``import initcore`` costs next to nothing.

Examples
--------
>>> import initcore
>>> initcore.initializers.HeNormal(seed=0)(shape=(256, 128)).shape
(256, 128)
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from types import ModuleType

__version__ = "0.1.0"
__all__ = [
    "activations",
    "blocks",
    "datasets",
    "diagnosis",
    "exercises",
    "experiments",
    "explorers",
    "initializers",
    "losses",
    "network",
    "optimizers",
    "plots",
    "pretraining",
    "probes",
    "sweeps",
    "tables",
    "theory",
    "training",
    "transformer",
    "widgets",
]


if sys.platform == "emscripten":
    # A browser's first start lists the fonts for seconds, and would say so in a cell's output. It
    # does so as soon as a module, whichever comes first, imports Matplotlib: so this stands here.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def __getattr__(name: str) -> ModuleType | Callable:
    if name == "diagnose":
        return importlib.import_module(f"{__name__}.diagnosis").diagnose
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "diagnose"])
