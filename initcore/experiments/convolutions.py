"""What the fans of a convolution are: counted by measuring, grouped and transposed ones too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from initcore import _checks, network
from initcore.experiments._common import counts


def convolve(
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int = 1,
    groups: int = 1,
    transposed: bool = False,
) -> np.ndarray:
    """Return the convolution of images with a kernel, as deep learning defines it, no padding.

    ``z[b, i, j, o] = Σ x[b, s i + u, s j + v, c] · kernel[u, v, c, o]`` over the receptive field
    (u, v) and the channels c of the output channel's group. Transposed, each input adds the
    kernel, times its value, to the outputs: ``z[b, s i + u, s j + v, o] += x[b, i, j, c] ·
    kernel[u, v, c, o]``.

    Parameters
    ----------
    x : array_like, shape (batch, height, width, channels in)
    kernel : array_like, shape (rows, columns, channels in / groups, channels out)
    stride : int
        The s of the formulas.
    groups : int
        The channels are cut into so many groups, which do not see each other. As many groups as
        channels make a *depthwise* convolution.
    transposed : bool
        Whether to compute the transposed convolution; only without groups.

    Returns
    -------
    ndarray, shape (batch, rows out, columns out, channels out)

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit each other, a count below 1, groups in a transposed convolution.

    Notes
    -----
    Written for the eye: windows are views, the sum is one `numpy.einsum`. It is slow.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> convolve(x, np.ones((3, 3, 1, 1)))[0, :, :, 0]
    array([[45., 54.],
           [81., 90.]])
    """
    x = _checks.array("x", x, ndim=4, dtype=np.float64)
    kernel = _checks.array("kernel", kernel, ndim=4, dtype=np.float64)
    stride, groups = counts(stride=stride, groups=groups)
    transposed = _checks.flag("transposed", transposed)
    rows, columns, per_group, out = kernel.shape
    if per_group * groups != x.shape[3] or out % groups:
        allowed = f"one of {x.shape[3]}/{groups} input channels and a multiple of {groups} outputs"
        _checks.fail("kernel", allowed, kernel)
    if transposed:
        if groups > 1:
            _checks.fail("groups", "1 in a transposed convolution", groups)
        x, kernel, stride = _spread_out(x, stride, rows, columns), kernel[::-1, ::-1], 1
    if x.shape[1] < rows or x.shape[2] < columns:
        _checks.fail("x", f"images of at least {rows} by {columns}", x)
    windows = sliding_window_view(x, (rows, columns), axis=(1, 2))[:, ::stride, ::stride]
    grouped = windows.reshape(*windows.shape[:3], groups, per_group, rows, columns)
    kernels = kernel.reshape(rows, columns, per_group, groups, out // groups)
    z = np.einsum("bijgcuv,uvcgo->bijgo", grouped, kernels, optimize=True)
    return z.reshape(*z.shape[:3], out)


def _spread_out(x: np.ndarray, stride: int, rows: int, columns: int) -> np.ndarray:
    """Return the images with ``stride - 1`` zeros between pixels and a margin of the kernel's."""
    batch, height, width, channels = x.shape
    size = (stride * (height - 1) + 1, stride * (width - 1) + 1)
    wide = np.zeros((batch, size[0] + 2 * (rows - 1), size[1] + 2 * (columns - 1), channels))
    top, left = rows - 1, columns - 1
    wide[:, top : top + size[0] : stride, left : left + size[1] : stride] = x
    return wide


def convolution_q(
    kernel_shape: Sequence[int],
    fan_in: float,
    *,
    stride: int = 1,
    groups: int = 1,
    transposed: bool = False,
    size: int = 12,
    batch: int = 5,
    replicas: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """Return q of a convolution with weights N(0, 2 / fan_in), on rectified normal images.

    The images are ``relu(N(0, 1))``, so ``E[x²] = ½``, and q is 1 if `fan_in` is the number of
    weights times inputs that are added up in one output.

    Parameters
    ----------
    kernel_shape : sequence of int
        ``(rows, columns, channels in / groups, channels out)``, with as many rows as columns.
    fan_in : float
        What the weights' variance is divided by.
    stride, groups, transposed
        As for `convolve`.
    size : int
        Height and width of the images.
    batch, replicas, seed : int
        Images, independent layers (each with images of its own), and their seed.

    Returns
    -------
    ndarray, shape (replicas, stride, stride) if transposed, else (replicas, 1, 1)
        The mean square of the outputs; of a transposed convolution, separately for each position
        of an output relative to the stride, and without the outputs at the margin, to which a
        part of the kernel does not reach.

    Raises
    ------
    ValueError, TypeError
        As `convolve`; `fan_in` is not positive; images too small to have an inside.

    Examples
    --------
    >>> q = convolution_q((3, 3, 16, 32), fan_in=9 * 16)
    >>> q.shape, float(q.mean().round(1))
    ((20, 1, 1), 1.0)
    """
    shape = _checks.shape("kernel_shape", kernel_shape)
    if len(shape) != 4 or shape[0] != shape[1]:
        _checks.fail("kernel_shape", "(rows, rows, channels in, channels out)", kernel_shape)
    fan_in = _checks.number("fan_in", fan_in, above=0.0)
    stride, groups, size = counts(stride=stride, groups=groups, size=size)
    batch, replicas = counts(batch=batch, replicas=replicas)
    steps = stride if _checks.flag("transposed", transposed) else 1
    length = (size - 1) * stride - shape[0] + 2  # of the inside, where transposed
    if transposed and length < steps:
        _checks.fail("size", f"large enough for a kernel of {shape[0]} rows to fit inside", size)
    q = np.empty((replicas, steps, steps))
    for r, rng in enumerate(network.replica_generators(seed, replicas)):
        x = np.maximum(rng.standard_normal((batch, size, size, shape[2] * groups)), 0.0)
        kernel = rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)
        z = convolve(x, kernel, stride=stride, groups=groups, transposed=transposed)
        if transposed:
            first, whole = shape[0] - 1, length // steps * steps
            z = z[:, first : first + whole, first : first + whole]
        for i in range(steps):
            for j in range(steps):
                q[r, i, j] = np.square(z[:, i::steps, j::steps]).mean()
    return q
