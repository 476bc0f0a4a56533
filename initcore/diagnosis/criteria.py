"""What is wrong with a net, judged by one `Look` at it: causes before symptoms.

The bands are the theory's, for the widths and depths at hand: `bands`. What leaves its band is a
finding only where the change is also large enough to do harm. A symptom that a found cause
explains is no finding of its own; it gives the cause its level.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from initcore import _checks
from initcore.diagnosis import bands, limits
from initcore.diagnosis.bands import rms, square
from initcore.diagnosis.case import CATALOGUE, CODES, LEVELS, Case, Finding, is_within
from initcore.diagnosis.identify import WRONG, Scheme
from initcore.diagnosis.look import Layer, Look, log_softmax

WEIGHTS = ("packed-qkv", "fans", "weight-scale")
RAISED = (*WEIGHTS, "bias-scale", "embedding-scale")  # to the level of their symptoms
RECURRENT = {"LSTM", "GRU", "RNN", "SimpleRNN"}  # not judged, but what comes into the net is
REACH = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, math.inf)}  # of an output


class Judgement(NamedTuple):
    """The findings, and of each layer what is expected and what its weights look like."""

    findings: list[Finding]
    forward: list[tuple[float, float, float] | None]  # low, middle, high of the sums' RMS
    backward: list[tuple[float, float, float] | None]  # and of the deltas'
    schemes: list[Scheme | None]


# --- The criteria. Each adds what it finds; `_settled` decides what is cause and symptom.


def _finite(case: Case) -> None:
    """NaN and infinity are results: the first place that holds one, in the order of computation."""
    look, add = case.look, functools.partial(case.add, "not-finite", level="fault")
    if look.inputs is not None and not np.isfinite(look.inputs).all():
        add("inputs", None)
    for name, tensor in look.tensors.items():
        good = np.isfinite(tensor)
        largest = float(np.abs(tensor[good], dtype=np.float64).max(initial=0.0))
        if not good.all() or (tensor.dtype.kind == "f" and largest > limits.HUGE):
            layer = next((x for x in case.layers if x.key == name), None)
            return add("huge" if good.all() else "tensor", layer, largest, tensor=name)
    way = itertools.product(look.layers, ("inputs", "sums", "outputs"))
    back = itertools.product(reversed(look.layers), ("deltas", "gradient"))
    for layer, what in itertools.chain(way, back):
        if (signal := getattr(layer, what)) is not None and signal.finite < 1.0:
            says = "back" if what in ("deltas", "gradient") else "signal"
            return add(says, layer, signal.finite, 1.0, what=what)
    if look.loss is not None and not math.isfinite(look.loss):
        add("loss", None, look.loss)


def _symmetry(case: Case) -> None:
    """Units that start equal and get equal gradients stay equal (chapter 2)."""
    seen: dict[tuple, Layer] = {}
    for layer in case.layers:
        scheme, units = case.schemes[layer], layer.weight.shape[0] * layer.weight.shape[2]
        if scheme is None or layer.kind == "embedding":
            continue
        apart, is_last = layer.distinct_gradients, layer is case.last
        if layer.distinct is not None and layer.distinct <= 0.9 * units:
            level = "watch" if apart is None else "note" if apart > layer.distinct else "fault"
            is_zero_end = scheme.kind == "zeros" and (layer.branch is not None or is_last)
            if not is_zero_end or (level == "fault" and not is_last):
                case.add("equal-units", level, layer, layer.distinct, units, level=level)
        if scheme.kind in ("zeros", "constant", "identity"):
            continue
        first = seen.setdefault((layer.weight.shape, float(layer.weight.sum())), layer)
        if first is not layer and np.array_equal(first.weight, layer.weight):
            case.add("equal-layers", "fault", layer, level="fault", other=first.name)


def _data(case: Case) -> None:
    """The first layer multiplies the inputs' mean square (chapter 5), tokens aside."""
    x, layers = case.look.inputs, case.look.layers
    if x is None or any(layer.kind == "embedding" for layer in layers) or not np.isfinite(x).all():
        return
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    level = "note" if layers and layers[0].kind == "normalisation" else ""
    size, band = float(np.square(x).mean()), CATALOGUE["input-scale"]["watch"]
    first = layers[0].inputs if layers else None
    is_seen = first and first.finite == 1.0 and first.rms > 0 and size < 1 / limits.TINY
    got = square(first.rms) if is_seen and not RECURRENT & {*case.look.unseen} else size
    if max(got, size) > 2 * min(got, size):  # the model scales them itself
        if not is_within(got, CATALOGUE["input-scale"]["fault"]):
            case.add("input-scale", "inside", layers[0], got, 1.0, tuple(band), level, of_x=size)
    elif not is_within(size, band):
        says = "pixels" if x.min() >= 0 and 100 < x.max() <= 255 else "plain"
        case.add("input-scale", says, None, size, 1.0, tuple(band), level)
    used = x[:, (x != 0).any(axis=0)]
    if len(x) >= limits.ENOUGH and used.size:
        share = float((used.mean(axis=0) ** 2 > limits.CONSTANT * used.var(axis=0)).mean())
        is_one = not np.ptp(x, axis=0).any()
        if share > 0.5:
            level = "fault" if is_one else level or "watch"
            case.add("input-constant", "all" if is_one else "most", None, share, 0.0, level=level)


def _labels(case: Case, y: np.ndarray, classes: int) -> bool:
    """Judge the labels; return whether there is a loss to be judged by them."""
    low, high, count = int(y.min()), int(y.max()), np.bincount(np.maximum(y, 0), minlength=classes)
    if low < 0 or high >= classes:
        says = "from 1" if (low, high) == (1, classes) else "range"
        case.add("labels", says, None, high, classes - 1.0, (low, high), "fault")
    elif low == high and len(y) >= limits.ENOUGH:
        case.add("labels", "single", None, high, None, (low, high), "fault")
    elif classes > 2 and len(y) >= limits.ENOUGH * classes and not count[0] and count[1:].all():
        case.add("labels", "shifted", None, low, 0.0, level="watch")
    return not any(one.code == "labels" and one.level == "fault" for one in case.found)


def _losses(case: Case) -> None:
    """ln C for C classes is a guess; logits of spread s add about (1 - 1/C) s²/2 (chapter 4)."""
    look, last, pair = case.look, case.last, log_softmax(case.look)
    if last is not None and not last.weight.any():
        says, classes = ("exactly", pair[0].shape[1]) if pair else ("plain", 0)
        case.add("zero-output", says, last, look.loss, level="note", classes=classes)
    if pair is None:
        return _regression(case)
    z, y = pair
    classes, guess = z.shape[1], math.log(z.shape[1])
    if not _labels(case, y, classes):
        return None
    own, twice = (-a[np.arange(len(y)), y] for a in (z, log_softmax(look, is_raw=True)[0]))
    mean, twice = float(own.mean()), float(twice.mean())
    loss = mean if look.loss is None or not math.isfinite(look.loss) else look.loss
    if abs(loss - twice) < abs(twice - mean) / 10 and abs(twice - mean) > 1e-5 * mean:
        return case.add("first-loss", "twice", last, look.loss, mean, level="fault")
    if loss < 0:
        return case.add("first-loss", "negative", last, loss, mean, level="fault")
    if loss > 2 * mean and math.isclose(loss, own.sum(), rel_tol=0.01):
        return case.add("first-loss", "summed", None, loss, mean, level="watch")
    # C normal logits of deviation s give at most ln C + s²/2, from s² = 2 ln C on s √(2 ln C).
    most, corner = case.most_of_last, math.sqrt(2 * guess)
    healthy = guess + most**2 / 2 if most < corner else most * corner
    is_large = any(one.code in WEIGHTS and one.measured > one.expected for one in case.found)
    if loss > healthy or is_large:
        spread = float((z - z.mean(axis=1, keepdims=True)).std())
        words = {"classes": classes, "spread": spread, "added": (1 - 1 / classes) / 2}
        band = (0.0, healthy)
        case.add("first-loss", "logits", last, loss, guess, band, "", loss / guess, **words)
    p = np.unique(y, return_counts=True)[1] / len(y)
    saved = guess + float((p * np.log(p)).sum())  # ln C less the entropy of the classes
    is_flat = last is not None and (last.bias is None or np.ptp(last.bias) < 1)
    is_late = saved > limits.UNBALANCED * guess and loss > guess - saved / 2
    is_late = is_late and classes >= look.outputs.shape[-1]  # not of many outputs of two classes
    if is_flat and is_late and len(y) >= limits.ENOUGH * classes:
        says, words = "plain" if last.weight.shape[2] > 1 else "one", {"classes": classes}
        case.add("class-bias", says, last, loss, guess - saved, level="watch", **words)
    return None


def _regression(case: Case) -> None:
    """The best guess of a target is its mean, and the error then its variance."""
    look = case.look
    if look.task != "regression" or look.outputs is None or look.targets is None:
        return
    t = np.asarray(look.targets, np.float64)
    if t.size != look.outputs.size or len(t) < limits.ENOUGH or not np.isfinite(t).all():
        return
    is_plain = re.fullmatch(r"(?i)(mse|smooth_?l1|l1|huber)_?loss", look.loss_name)
    if is_plain and look.framework == "torch" and t.shape != look.outputs.shape:
        shapes = {"out": look.outputs.shape, "of_y": t.shape}
        case.add("target-scale", "shape", None, look.loss, level="fault", **shapes)
        return
    low, high = REACH.get(case.last.activation if case.last else None, (-math.inf, math.inf))
    if (share := float(((t < low - 0.05) | (t > high + 0.05)).mean())) > 0.05:
        level, band = "fault" if share > 0.25 else "watch", (low, high)
        case.add("target-scale", "range", case.last, share, 0.0, band, level)
        return
    out = look.outputs.reshape(t.shape)
    error, size, spread = rms(out - t) ** 2, rms(out), math.sqrt(float(t.var(axis=0).mean()))
    ratio, target = error / max(spread**2, limits.TINY), spread**2
    if size**2 < error / 2 or spread < 1 / 100:  # the targets' size, not the outputs'
        words = {"change": max(ratio, spread), "mean": rms(t.mean(0)), "spread": spread}
        case.add("target-scale", "plain", None, error, target, **words)
    elif size > case.most_of_last:
        case.add("first-loss", "regression", case.last, error, target, change=ratio)


def _scales(case: Case) -> None:
    """A zero γ at the end of a branch is usual (chapter 9); elsewhere it stops the signal."""
    layers = case.look.layers
    norms = [x for x in layers if x.scale is not None]
    zero = [x for x in norms if not x.scale.any()]
    left = [n for n, x in enumerate(layers) if x.inputs and not x.inputs.rms]  # without a signal
    is_blind = len(zero) == len(norms) and not case.branches
    silent = [x for x in zero if is_blind or (left and left[-1] >= layers.index(x))]
    if zero:
        level = "fault" if silent else "note"
        case.add("zero-scales", level, [*silent, *zero][0], len(zero), len(norms), level=level)
    sizes = [rms(layer.scale) for layer in norms]
    if sizes and max(sizes) < limits.SMALL and not (zero or case.branches):
        band = (limits.SMALL, 1.0)
        case.add("zero-scales", "small", norms[0], sizes[0], 1.0, band, "watch")


def _weights(case: Case) -> None:
    """The rules with the true fans (chapters 5 to 8). A deviation alone is a note.

    It is one to watch beyond what a layer, or layers of one wrong rule together, may do.
    """
    off: dict[Layer, float] = {}
    wrong: dict[Layer, set[str]] = {layer: set() for layer in case.layers}
    for layer in case.layers:
        scheme = case.schemes[layer]
        if scheme is None or not scheme.sd or layer.kind in ("embedding", "recurrent"):
            continue
        least, best, most, highest = case.ranges[layer]
        gain2 = square(scheme.sd) * layer.fan_in
        room = limits.ROOM * (1 + limits.SIGMAS * scheme.error) ** 2
        if case.free and scheme.rule and scheme.rule.fans == "fixed":
            least = 0.0  # 0.02 at every width
        if scheme.rule and scheme.rule.fans in WRONG:
            wrong[layer] = {rule.fans for rule in scheme.fits}
        is_exact = wrong[layer] - {"fan_out"}  # a rule of another layer's shape
        free = limits.ROOM_FREE if case.free and not is_exact else 1.0
        is_right = least / free <= gain2 * room and gain2 <= most * free * room
        is_known = layer.activation is None and scheme.rule and not wrong[layer]
        if not (is_right or is_known or highest / room <= gain2 <= highest * room):
            off[layer] = math.sqrt(gain2 / (most if gain2 > most else least or best))
    count = Counter(fans for layer in off for fans in wrong[layer])
    alone = [x for x in off if not (x.kind == "attention" or x.normalised or x is case.last)]
    total = math.prod(off[x] for x in alone if wrong[x])
    rows = []
    for layer, change in off.items():
        scheme, (least, best, most, _) = case.schemes[layer], case.ranges[layer]
        fans = max(wrong[layer], key=lambda one: (count[one], one), default="")
        rule = next((one for one in scheme.fits if one.fans == fans), scheme.rule)
        is_packed = layer.kind == "attention" and len(layer.weight) == 3 and fans == "library"
        code = "packed-qkv" if is_packed else "fans" if fans in WRONG[:3] else "weight-scale"
        change = total if fans and layer in alone else change
        limit = limits.LAYER if fans else limits.LAYER_FREE
        is_end = layer.normalised or layer is case.last or (case.free and not fans)
        level = "watch" if not is_end and not 1 / limit < change < limit else "note"
        gain2 = square(scheme.sd) * layer.fan_in
        measured, right, *band = (math.sqrt(g) for g in (gain2, best, least, most))
        name = f" ({rule.name})" if rule and rule.fans != "fixed" else ""
        words = {"sd_is": scheme.sd, "rule": name, "phi": layer.activation or "the rule"}
        rows.append(((code, "gain", layer, measured, right, tuple(band)), level, words))
    for row, _, words in rows:  # the first layer of a code, at the level of its worst
        worst = min((one for other, one, _ in rows if other[0] == row[0]), key=LEVELS.index)
        case.add(*row, worst, **words)


def _embeddings(case: Case) -> None:
    """A head that is tied to an embedding gives logits of its size times √units."""
    tables = {layer.key: layer for layer in case.look.layers if layer.kind == "embedding"}
    for head in case.look.layers:
        if head.kind != "embedding" and head.key in tables:
            size = head.sums.rms if head.sums else rms(head.weight) * math.sqrt(head.fan_in)
            words = {"other": head.name, "sd": 0.02}
            case.add("embedding-scale", "plain", tables[head.key], size, 1.0, **words)


def _biases(case: Case) -> None:
    """A bias beyond the spread of the sums fixes what a unit does for all inputs."""
    for layer in case.layers:
        if layer.bias is None or layer is case.last or layer.kind == "recurrent":
            continue
        size, spread = rms(layer.bias), layer.sums.across if layer.sums else 1.0
        if size > limits.BIASED * spread > 0:
            band = (0.0, limits.BIASED * spread)
            case.add("bias-scale", "plain", layer, size, 0.0, band, "note", spread=spread)


def _cut(case: Case) -> None:
    """A gradient comes back to the first layer, unless it is frozen or something cuts the way."""
    last, trained = case.last, [x for x in case.layers if x.trainable]
    if last and last.activation == "relu" and last.outputs and last.outputs.dead == 1.0:
        if last.weight.any():
            case.add("no-gradient", "dead", last, 0.0, level="fault")
    elif case.look.loss is not None and trained and not trained[0].gradient:
        case.add("no-gradient", "cut", trained[0], 0.0, level="fault")
    elif case.look.loss is not None and case.layers and not trained:
        case.add("no-gradient", "frozen", case.layers[0], 0.0, level="watch")


def _levels(case: Case) -> None:
    """Sums and deltas that leave their bands, and change by what does harm."""
    for way, what, found in (
        ("forward", "sums", case.forward),
        ("backward", "deltas", case.backward),
    ):
        # A small end is legal, and a large one the first loss's, or the stream's.
        ends = [x for x in found if x is case.last or x.branch is not None or not x.weight.any()]
        size = {x: getattr(x, what).rms for x in found if way == "backward" or x not in ends}
        low = [x for x in size if size[x] < found[x].ends[0]]
        high = [x for x in size if size[x] > found[x].ends[2]]
        for verb, out, worst in (("vanishes", low, min), ("explodes", high, max)):
            if out:
                least, middle, most = found[out[0]].ends
                change = worst([1.0, *(size[x] / found[x].start for x in out if found[x].start)])
                row = out[0], size[out[0]], middle, (least, most)
                case.add(f"{way}-{verb}", "band", *row, change=change)


def _alike(case: Case) -> None:
    """The spread across inputs is lost while the size stays (chapters 3 and 6: sigmoids).

    Where the gain is that of the summary, as sigmoids' 4, a loss is expected, down to a floor.
    """
    limit = CATALOGUE["inputs-alike"]["watch"][0]
    for chain in bands.chains(case.look):
        hidden = [x for x in chain if x is not case.last]
        left = [x.sums.across / x.sums.rms if x.sums.rms else 0.0 for x in hidden]
        for n, layer in enumerate(hidden[1:], 1):
            part = left[n] / left[0] if left[0] and left[n] else 1.0
            is_small = rms(layer.weight) ** 2 * layer.fan_in < case.ranges[layer].best / 2
            if part < (limit if is_small else limits.FLOOR):
                words = {"every": n / -math.log(part), "cosine": layer.sums.cosine}
                words["change"] = min(left[n:]) / left[0]
                case.add("inputs-alike", "band", layer, part, 1.0, (limit, 1.0), **words)
                break


def _units(case: Case) -> None:
    """Units that are dead, and numbers at an end of their activation's range."""
    if any(one.code == "zero-scales" for one in case.found):
        return  # which is why they are zero
    for layer in case.look.layers:
        if not bands.is_judged(layer) or layer is case.last or not layer.weight.any():
            continue  # zeros are legal, or equal units
        # Where inputs have become alike half of the units are off, give or take.
        by_chance = 0.5 + limits.SIGMAS * 0.5 / math.sqrt(layer.outputs.units)
        dead, share = layer.outputs.dead, layer.outputs.saturated
        if layer.activation == "relu" and (dead > by_chance or dead == 1.0):
            case.add("dead-units", "plain", layer, dead, 0.0)
        if not math.isnan(share):
            case.add("saturated", "plain", layer, share, 0.0)


def _streams(case: Case) -> None:
    """Chapter 9: a stream grows by √2 a block, by √branches where these normalise, or hardly."""
    ends = [x for x in case.look.layers if x.branch is not None and x.stream and x.stream.rms]
    if len(ends) < 2:
        return
    first, growth, root = ends[0], ends[-1].stream.rms / ends[0].stream.rms, math.sqrt(len(ends))
    words, highest = {"branches": len(ends), "growth": growth}, limits.STREAM * root
    rules = [scheme.rule for x in ends if (scheme := case.schemes[x])]
    is_undivided = len(rules) >= 4 and all(rule and rule.name == "sd 0.02" for rule in rules)
    if growth > highest:
        sd = math.sqrt(case.ranges[first].best / first.fan_in) / root
        case.add("residual-growth", "growth", first, growth, 1.0, (0.0, highest), sd=sd, **words)
    elif is_undivided and growth > limits.SLACK:  # it does not grow if the sums are normalised
        sd, band = 0.02 / root, (0.0, 0.02 / root)
        case.add("residual-growth", "undivided", first, 0.02, sd, band, "watch", sd=sd, **words)


def _steps(case: Case) -> None:
    """A first step as large as the weights replaces the start by one batch's gradient."""
    for layer in case.layers:
        step, (least, best, _, _) = layer.update, case.ranges[layer]
        if step is not None and layer.kind != "embedding" and layer.weight.any():
            # An end may be small; elsewhere 1/3 is the least of the rules: PyTorch's default.
            usual = best if least == 0.0 else 1 / 3
            change = step * min(rms(layer.weight) * math.sqrt(layer.fan_in / usual), 1.0)
            case.add("first-step", "plain", layer, step, 0.01, change=change, factor=change / 0.01)


CRITERIA = (
    *(_finite, _symmetry, _data, _scales, _weights, _embeddings, _biases, _losses),
    *(_cut, _levels, _alike, _units, _streams, _steps),
)


def _settled(found: list[Finding]) -> list[Finding]:
    """Return one finding a code: causes, raised to the level of their symptoms, and the rest."""

    def rank(one: Finding) -> tuple[int, int]:
        return LEVELS.index(one.level), CODES.index(one.code)

    left: dict[str, Finding] = {}
    for one in sorted(found, key=rank):
        left.setdefault(one.code, one)
    kept = []
    for code, entry in CATALOGUE.items():
        if (cause := left.pop(code, None)) is None:
            continue
        explained = entry.get("explains", ())
        if code in WEIGHTS:
            explained = explained["large" if cause.measured > cause.expected else "small"]
        if cause.level != "note" or code in (*RAISED, "zero-output"):
            symptoms = sorted([left.pop(one) for one in explained if one in left], key=rank)
            if symptoms and code in RAISED and symptoms[0].level != "note":
                sentence = f"{cause.sentence}; {symptoms[0].sentence}"
                level = min(cause, symptoms[0], key=rank).level
                cause = replace(cause, level=level, sentence=sentence)
        kept.append(cause)
    return sorted(kept, key=rank)


def judge(look: Look) -> Judgement:
    """Return what is wrong with a net, the diagnosis first; a healthy one has notes at most.

    There is at most one finding a code: faults, then what to watch, then notes, and causes
    before symptoms. Of each layer, in the order of the look, there is what the theory expects,
    from the measured first layer of its chain on (of deltas from the last hidden one back); a
    chain ends at a normalisation or a residual stream.
    """
    _checks.instance("look", look, Look, "a Look")
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest are results
        case = Case(look)
        for criterion in CRITERIA:
            criterion(case)
    ways = (case.forward, case.backward)
    ends = ({x: one.ends for x, one in way.items() if one.ends[2] > limits.NOTHING} for way in ways)
    expected = ([*map(way.get, look.layers)] for way in ends)
    return Judgement(_settled(case.found), *expected, [*case.schemes.values()])
