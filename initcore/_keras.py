"""What Keras asks of an initializer beyond the call, where Keras is loaded (level 1).

This module never imports Keras: it looks whether somebody else has.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from initcore import _checks

PARTS = ("config", "initializers", "random", "saving")  # of Keras that are used here


def _loaded() -> Any:
    keras = sys.modules.get("keras")
    is_ready = all(hasattr(keras, part) for part in PARTS)
    return keras if is_ready else None  # not ready: in the middle of its own import


def float_dtype(dtype: Any) -> np.dtype:
    """Return the dtype to round to: None is Keras' floatx or float32; bfloat16 by ml_dtypes."""
    if dtype is None:
        keras = _loaded()
        dtype = keras.config.floatx() if keras else "float32"
    if isinstance(dtype, str) and dtype in _checks.FLOAT_DTYPES:
        return np.dtype(dtype)
    if "bfloat16" in (str(dtype), getattr(dtype, "__name__", "")):
        with contextlib.suppress(ImportError):  # without it, as unknown as any other name
            from ml_dtypes import bfloat16

            return np.dtype(bfloat16)
    return _checks.float_dtype("dtype", dtype)


def register(classes: Iterable[type], scaling: type) -> None:
    """Register the classes, so that a saved model is not reloaded with Keras' namesakes.

    And make `scaling` one of Keras' variance scalings, behind its own bases: EinsumDense, and so
    each kernel of MultiHeadAttention, names the fan axes to these only, in a clone.
    """
    keras = _loaded()
    if keras and not issubclass(scaling, keras.initializers.VarianceScaling):
        scaling.__bases__ += (keras.initializers.VarianceScaling,)
    for cls in classes if keras else ():
        if keras.saving.get_registered_name(cls) == cls.__name__:
            keras.saving.register_keras_serializable("initcore")(cls)


def serialize_seed(seed: Any) -> Any:
    """Return a Keras SeedGenerator as its config, any other seed as it is."""
    keras = _loaded()
    is_keras = keras is not None and isinstance(seed, keras.random.SeedGenerator)
    return keras.saving.serialize_keras_object(seed) if is_keras else seed


def deserialize_seed(config: Mapping[str, Any]) -> Any:
    """Return the SeedGenerator of its config; Keras must have been imported."""
    keras = _loaded()
    if keras is None or config.get("class_name") != "SeedGenerator":
        allowed = "the config of a Generator, or of a SeedGenerator where Keras is imported"
        _checks.fail("seed", allowed, config)
    return keras.random.SeedGenerator.from_config(config.get("config"))
