"""What named weights show without their model: those of a safetensors or npz file, or a mapping.

Nothing runs, unless inputs are given and the layers are dense and follow each other.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers
from initcore.diagnosis import of_arrays
from initcore.diagnosis.look import Layer, Look

DAMAGED = (ValueError, TypeError, KeyError, AttributeError, EOFError, RuntimeError, MemoryError)
DAMAGED += (OverflowError, zipfile.BadZipFile, zlib.error)
# Of safetensors. NumPy has no bfloat16, which is the upper half of a float32.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1"}
DTYPES |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "U64": "<u8", "U32": "<u4", "U16": "<u2"}
DTYPES["BOOL"] = "?"
# What a weight's name ends with, and its bias's in its place.
BIASES = {"weight": "bias", "kernel": "bias", "gamma": "beta", "scale": "bias", "W": "b"}
LEAF = re.compile(rf"({'|'.join(BIASES)})(?=\d*(:0)?$)")
EMBEDDING = re.compile(r"(^|[./_])(wte|wpe|embed\w*|\w*embeddings?)([./:]|$)", re.I)
ATTENTION = re.compile(r"attn|attention|qkv|in_proj", re.I)
PACKED = re.compile(r"in_proj|c_attn|qkv|query_key_value", re.I)
HEADS = re.compile(r"(query|key|value)[./]kernel")  # of Keras, (channels, heads, size)


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors or npz file by name, in the file's order.

    Raises
    ------
    ValueError
        A file that is neither, or is damaged.
    OSError
        A file that cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        if data.startswith(b"PK"):  # a zip
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        return _safetensors(data)
    except DAMAGED as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is no safetensors or npz file, or damaged: {said}") from None


def _safetensors(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors: the header's length in 8 bytes, the header in JSON, the numbers."""
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        raise ValueError(f"its header would have {size} bytes")
    header, body = json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind, shape, offsets = (entry[key] for key in ("dtype", "shape", "data_offsets"))
        if not all(type(number) is int and number >= 0 for number in [*shape, *offsets]):
            raise ValueError(f"{name!r} has sizes or offsets that are no counts")
        (begin, end), dtype = offsets, np.dtype(DTYPES[kind])
        if end > len(body) or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the offsets of {name!r} do not fit its shape or the file")
        array = np.frombuffer(body[begin:end], dtype)
        if kind == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[name] = array.reshape(shape)
    return arrays


def look(
    tensors: Mapping[str, Any],
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    *,
    activation: str | None = None,
    layout: str | None = None,
) -> Look:
    """Return what named weights show.

    Parameters
    ----------
    tensors : mapping of str to array_like
        Weights, of two axes or more, and biases of their names: ``fc.weight`` and ``fc.bias``,
        or ``fc/kernel`` and ``fc/bias``. A weight of one axis is a normalisation's scale.
    x, y, loss, optimizer : optional
        As in `of_arrays.look`, where all layers are dense and follow each other.
    activation : str, optional
        Of all layers but the last.
    layout : {"torch", "keras"}, optional
        Whether the units come first or last. None: as the biases and the neighbours fit, and
        where they fit both, as the name has it.

    Raises
    ------
    ValueError, TypeError
        No mapping of arrays, no layer in it, or inputs for layers that are no chain.
    """
    phi = None if activation is None else activations.get(activation).name
    if layout is not None:
        _checks.choice("layout", layout, ("torch", "keras"))
    _checks.mapping("model", tensors, "named weight")
    arrays = {str(name): np.asarray(array) for name, array in tensors.items()}
    names = [name for name, array in arrays.items() if array.size and array.dtype.kind not in "iub"]
    if names == sorted(names):  # safetensors has 10 before 2
        names.sort(key=lambda name: [part.zfill(9) for part in re.split(r"(\d+)", name)])
    arrays = {name: of_arrays.floats(f"model[{name!r}]", arrays[name]) for name in names}
    found, matrices = Look("arrays", [], arrays), []
    shapes = [array.shape for array in arrays.values() if array.ndim > 1]
    votes = sum((a[0] == b[1]) - (a[-1] == b[-2]) for a, b in itertools.pairwise(shapes))
    for name, array in arrays.items():
        leaf, is_embedding = LEAF.search(name), array.ndim == 2 and EMBEDDING.search(name)
        if not leaf and not is_embedding:
            if array.ndim > 1:
                found.unseen[name] = 1
            continue
        stem = name[: leaf.start()].rstrip("./_") if leaf else name
        bias = arrays.get(LEAF.sub(lambda match: BIASES[match[0]], name)) if leaf else None
        row = Layer(stem or name, "normalisation", bias=bias, shape=array.shape, key=name)
        found.layers.append(row)
        if array.ndim == 1:
            row.scale = array
            continue
        row.kind, n = "convolution" if array.ndim > 2 else "dense", 0 if bias is None else bias.size
        if ATTENTION.search(name) and array.ndim < 4:
            row.kind = "attention"
        fits = (
            (n == array.shape[0]) - (n == array.shape[-1]) or votes or leaf and leaf[0] == "weight"
        )
        is_torch = not is_embedding and (fits > 0 if layout is None else layout == "torch")
        matrix = array.reshape(-1, array.shape[-1])
        if is_torch:
            matrix = array.reshape(len(array), -1).T
        elif HEADS.search(name):
            matrix = array.reshape(len(array), -1)
        fan_in, units = matrix.shape
        groups = 3 if PACKED.search(name) and units % 3 == 0 else 1
        places = math.prod(array.shape[2:] if is_torch else array.shape[:-2])
        row.weight = np.stack(np.split(matrix.astype(np.float64), groups, axis=1))
        row.fan_in = float(fan_in)
        row.fan_out = units / groups * (places if row.kind == "convolution" else 1)
        fans = (fan_in, len(array) * places) if is_torch else initializers.compute_fans(array.shape)
        row.library_fans, row.distinct = fans, of_arrays.distinct(matrix, bias)
        row.activation = phi
        if is_embedding:
            row.kind, row.fan_in, row.activation = "embedding", 1.0, "linear"
        matrices.append((matrix, bias, phi))
    if not matrices:
        _checks.fail("model", "weights whose names end with weight, kernel or W", names)
    found.layers[-1].activation = "linear"
    if x is None:
        return found
    if any(row.kind != "dense" for row in found.layers) or (phi is None and len(matrices) > 1):
        allowed = "None: only dense layers with a known activation can be run"
        _checks.fail("x", allowed, [f"{row.name} ({row.kind})" for row in found.layers])
    ran = of_arrays.look([*matrices[:-1], matrices[-1][:2]], x, y, loss, optimizer)
    for row, named in zip(ran.layers, found.layers):
        row.name, row.key, row.shape = named.name, named.key, named.shape
    ran.tensors = arrays
    return ran
