"""What named weights show without their model: those of a safetensors or npz file, or a mapping.

Nothing runs, unless inputs are given and the layers are dense and follow each other.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers
from initcore.diagnosis import of_arrays
from initcore.diagnosis.look import Layer, Look

WRITE = "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
UNPACKED, SMALL = 100, 1 << 26  # bytes that an npz may unpack to: times its own, or in any case
# Of safetensors. NumPy has no bfloat16, which is the upper half of a float32.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1"}
DTYPES |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "U64": "<u8", "U32": "<u4", "U16": "<u2"}
DTYPES["BOOL"] = "?"
# What a weight's name ends with, and its bias's in its place.
BIASES = {"weight": "bias", "kernel": "bias", "gamma": "beta", "scale": "bias", "W": "b"}
LEAF = re.compile(rf"({'|'.join(BIASES)})(?=\d*(:0)?$)")
EMBEDDING = re.compile(r"(wte|wpe|emb[a-z_]*)([./](weight|kernel|embeddings))?(:0)?$", re.I)
ATTENTION = re.compile(r"attn|attention|qkv|in_proj", re.I)
PACKED = re.compile(r"in_proj|c_attn|qkv|query_key_value", re.I)
HEADS = re.compile(r"(query|key|value)[./]kernel")  # of Keras, (channels, heads, size)


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors or npz file by name; a damaged one is a ValueError."""
    data = Path(path).read_bytes()
    try:
        if data.startswith(b"PK"):  # a zip
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                if not all(name.endswith(".npy") for name in file.zip.namelist()):
                    raise ValueError("it holds more than arrays")
                size = sum(entry.file_size for entry in file.zip.infolist())
                if size > max(UNPACKED * len(data), SMALL):
                    raise ValueError(f"it would unpack to {size / 2**20:,.0f} MB")
                return {name: file[name] for name in file.files}
        return _safetensors(data)
    except Exception as error:  # noqa: BLE001 - what a damaged file raises is not known
        said = " ".join(str(error).split()) or type(error).__name__
        what = f"{path} is no safetensors or npz file, or damaged: {said}"
        raise ValueError(f"{what}. In place of PyTorch's save, use {WRITE}") from None


def _safetensors(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors: the header's length in 8 bytes, the header in JSON, the numbers."""
    end = 8 + int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:end]), memoryview(data)[end:]
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
    activation: str | None = None,
    layout: str | None = None,
) -> Look:
    """Return what named weights show.

    ``fc.weight`` has the bias ``fc.bias``, ``fc/kernel`` has ``fc/bias``; a weight of one axis is
    the scale of a normalisation. Whether the units come first ("torch") or last ("keras") is found
    from biases and neighbours, then from the name. `activation` is that of all layers but the
    last; with `x`, dense layers that follow each other are run.
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
    is_torch = layout == "torch" or (layout is None and any(n.endswith(".weight") for n in names))
    found = Look("torch" if is_torch else "arrays", [], arrays)
    shapes = [array.shape for array in arrays.values() if array.ndim > 1]
    votes = sum((a[0] == b[1]) - (a[-1] == b[-2]) for a, b in itertools.pairwise(shapes))
    for name, array in arrays.items():
        leaf = LEAF.search(name)
        if not leaf and not (array.ndim == 2 and EMBEDDING.search(name)):
            found.unseen |= {name: 1} if array.ndim > 1 else {}
            continue
        bias = arrays.get(LEAF.sub(lambda match: BIASES[match[0]], name)) if leaf else None
        stem = name[: leaf.start()].rstrip("./_") if leaf else name
        row = Layer(stem or name, "normalisation", None, bias, shape=array.shape, key=name)
        row.activation, row.scale = phi, array if array.ndim == 1 else None
        if array.ndim > 1:
            units = 3 * min(array.shape) if PACKED.search(name) else np.size(bias)
            first = (units == array.shape[0]) - (units == array.shape[-1]) or votes
            first = first or (1 if leaf and leaf[0] == "weight" else -1)
            _fill(row, array, first > 0 if layout is None else layout == "torch")
        found.layers.append(row)
    rows = [row for row in found.layers if row.weight is not None]
    if not rows:
        _checks.fail("model", "weights whose names end with weight, kernel or W", names)
    if phi is not None or x is not None:
        rows[-1].activation = "linear"
    if x is None:
        return found
    others = [row for row in found.layers if row.kind != "dense" or row.activation is None]
    if others:
        what = ", ".join(f"{row.name} ({row.kind})" for row in others[:3])
        why = "only dense layers whose activation is known can be run"
        raise ValueError(f"`x` (--inputs) cannot pass {len(others)} layers, such as {what}: {why}")
    dtype = np.result_type(*(arrays[row.key] for row in rows))
    layers = [(row.weight[0].astype(dtype), row.bias, row.activation) for row in rows]
    ran = of_arrays.look(layers, x, y, loss, optimizer)
    for row, named in zip(ran.layers, rows):
        row.name, row.key, row.shape = named.name, named.key, named.shape
    ran.tensors, ran.framework = arrays, found.framework
    return ran


def _fill(row: Layer, array: np.ndarray, units_first: bool) -> None:
    """Set what a row tells of its weight."""
    row.kind, groups, places = "dense", 1, 1
    if array.ndim == 2 and EMBEDDING.search(row.key):
        row.kind, row.activation, units_first = "embedding", "linear", False
    elif ATTENTION.search(row.key) and array.ndim < 4:
        row.kind = "attention"
        groups = 3 if PACKED.search(row.key) else 1
    elif array.ndim > 2:
        row.kind = "convolution"
        places = math.prod(array.shape[2:] if units_first else array.shape[:-2])
    split = 1 if units_first or HEADS.search(row.key) else -1  # between inputs and outputs
    matrix = array.reshape(math.prod(array.shape[:split]), -1)
    matrix = matrix.T if units_first else matrix
    groups = groups if matrix.shape[1] % groups == 0 else 1
    row.weigh(np.stack(np.split(matrix, groups, axis=1)), row.bias, places=places)
    row.library_fans = initializers.compute_fans(array.shape)
    if units_first:
        row.library_fans = len(matrix), len(array) * places
