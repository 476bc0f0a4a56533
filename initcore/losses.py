"""The losses, their gradients, and the accuracy (level 1).

Without a leading underscore: checked. With it: what `training.fit` calls on checked arrays. Nothing
here knows of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from initcore import _checks


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean cross-entropy of softmax probabilities, and its gradient.

    ``loss = mean_batch(log Σ_k exp(z_k) - z_label)`` and
    ``∂loss/∂z_k = (softmax(z)_k - [k = label]) / batch``, with the largest logit taken out of the
    exponentials, so that none overflows (Bishop 2006, eqs. 4.108 and 4.109).

    Parameters
    ----------
    logits : array_like, shape ([replicas,] batch, classes)
        z, the output of a network whose last layer is linear.
    labels : array_like of int, shape (batch,) or (replicas, batch)
        From 0 to classes - 1.

    Returns
    -------
    loss : float, or ndarray of shape (replicas,)
    gradient : ndarray, shape of `logits`
        Of each replica's loss.

    Raises
    ------
    ValueError, TypeError
        Labels out of range or no integers, shapes that do not fit, logits that are not finite or
        so large that the loss is not.

    Examples
    --------
    >>> loss, gradient = softmax_cross_entropy([[0.0, 0.0], [1e4, -1e4]], [0, 0])
    >>> round(float(loss), 6), gradient.tolist()
    (0.346574, [[-0.25, 0.25], [0.0, 0.0]])
    """
    logits, labels = _logits_and_labels(logits, labels)
    return _finite("logits", logits, _softmax_cross_entropy(logits, labels))


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared error an example, and its gradient.

    ``loss = mean_batch(Σ_units (a - t)²)`` and ``∂loss/∂a = 2 (a - t) / batch``: the sum over an
    example's units, as Hinton and Salakhutdinov (2006) report it for images.

    Parameters
    ----------
    outputs : array_like, shape ([replicas,] batch, units)
        a, the output of a network.
    targets : array_like, shape (batch, units) or (replicas, batch, units)
        t. The result and the errors are as in `softmax_cross_entropy`.

    Examples
    --------
    >>> loss, gradient = squared_error([[1.0, 3.0]], [[0.0, 1.0]])
    >>> float(loss), gradient.tolist()
    (5.0, [[2.0, 4.0]])
    """
    outputs = _floats("outputs", outputs)
    targets = _checks.array("targets", targets, dtype=outputs.dtype)
    if targets.shape not in (outputs.shape, outputs.shape[-2:]):
        _checks.fail("targets", f"an array of the outputs' shape {outputs.shape}", targets)
    return _finite("outputs", outputs, _squared_error(outputs, targets))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share of examples whose largest logit is the label's (of equal ones, the first).

    Shapes and errors are those of `softmax_cross_entropy`; the result has the shape of its loss.

    Examples
    --------
    >>> round(float(accuracy([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], [0, 1, 1])), 4)
    0.6667
    """
    return _accuracy(*_logits_and_labels(logits, labels))


@np.errstate(over="ignore", invalid="ignore")  # the caller looks whether the loss is finite
def _softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
    z = np.subtract(logits, logits.max(axis=-1, keepdims=True), order="C")
    examples = z.reshape(-1, z.shape[-1])  # a view of z, which becomes the softmax
    if labels.shape != z.shape[:-1]:
        labels = np.broadcast_to(labels, z.shape[:-1])
    of_label = np.arange(len(examples)), labels.reshape(-1)
    z_label = examples[of_label].reshape(z.shape[:-1])
    softmax = np.exp(z, out=z)
    total = softmax.sum(axis=-1, keepdims=True)
    loss = (np.log(total[..., 0]) - z_label).mean(axis=-1)
    softmax /= total
    examples[of_label] -= 1.0
    softmax /= z.shape[-2]
    return loss, softmax


@np.errstate(over="ignore", invalid="ignore")
def _squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[Any, np.ndarray]:
    difference = outputs - targets
    loss = np.square(difference).sum(axis=-1).mean(axis=-1)
    difference *= 2.0 / outputs.shape[-2]
    return loss, difference


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (logits.argmax(axis=-1) == labels).mean(axis=-1)


LOSSES: dict[str, Callable] = {
    "softmax_cross_entropy": _softmax_cross_entropy,
    "squared_error": _squared_error,
}


def _floats(name: str, values: Any) -> np.ndarray:
    values = _checks.array(name, values, ndim=(2, 3))
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _logits_and_labels(logits: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    logits = _floats("logits", logits)
    labels = _checks.labels("labels", labels, logits.shape[-1])
    if labels.shape not in (logits.shape[:-1], logits.shape[-2:-1]):
        _checks.fail("labels", f"an array of shape {logits.shape[:-1]}", labels)
    return logits, labels


def _finite(name: str, values: np.ndarray, result: tuple) -> tuple:
    if not np.isfinite(result[0]).all():
        _checks.fail(name, f"small enough for a finite loss in {values.dtype}", values)
    return result
