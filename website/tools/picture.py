"""Draw the pictures that stand on no notebook: ``python -m website.tools.picture [FOLDER]``.

The opening page and the README show ``course.png``; the page on speed shows ``growth.png``, which
is made of what ``benchmarks/growth.py`` measured. `make notebooks` draws them again with the
chapters, and a test compares the stored files with fresh ones.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from initcore import _files, plots
from initcore.initializers import RandomNormal, VarianceScaling
from initcore.network import MLP

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "website/assets"
RESULTS = ROOT / "benchmarks/results.json"
SCALES = {
    "too small: 0.01": (RandomNormal(stddev=0.01), plots.COLOURS[1]),
    "1/√fan_in": (VarianceScaling(1.0, "fan_in", "untruncated_normal"), plots.COLOURS[0]),
    "too large: 1": (RandomNormal(stddev=1.0), plots.COLOURS[3]),
}


def draw() -> Figure:
    """Return the histograms of a tanh net's layers, a row for each scale of the weights."""
    x = np.random.default_rng(0).standard_normal((1000, 100))
    edges = np.linspace(-1, 1, 42)
    fig = Figure(figsize=(8, 4.5), layout="constrained")
    rows = fig.subplots(len(SCALES), 5, sharex=True)
    for row, (name, (weights, colour)) in zip(rows, SCALES.items()):
        net = MLP((100, *[50] * 5, 1), "tanh", weights=weights, replicas=20)
        for ax, a in zip(row, net.forward(x).activations):
            counts, _ = np.histogram(a, edges)
            ax.stairs(counts / counts.max(), edges, fill=True, color=colour)
            ax.set(yticks=[], ylim=(0, 1.12), xlim=(-1.03, 1.03), xticks=[-1, 0, 1])
            ax.spines["left"].set_visible(False)
            ax.grid(False)
        row[0].set_ylabel(name)
    for layer, ax in enumerate(rows[0], start=1):
        ax.set_title(f"layer {layer}", loc="center", fontweight="normal")
    title = "A tanh net's activations, for three standard deviations of its weights"
    fig.suptitle(title, weight="bold")
    fig.supxlabel("activation of a hidden unit (1,000 inputs, 20 nets of 5 × 50 units)")
    return fig


def draw_growth() -> Figure:
    """Return how the costs grow: a panel for each curve of the results."""
    curves = json.loads(RESULTS.read_text("utf-8"))["growth"]
    peers = [peer for curve in curves for peer in curve["series"]]
    colours = {peer: plots.COLOURS[i] for i, peer in enumerate(dict.fromkeys(peers))}
    fig = Figure(figsize=(8, 8.5), layout="constrained")
    for curve, ax in zip(curves, fig.subplots(len(curves) // 2, 2).flat, strict=True):
        for peer, values in curve["series"].items():
            mark = plots.MARKERS[plots.COLOURS.index(colours[peer])]
            ax.plot(curve["at"], values, mark, color=colours[peer], label=peer, ls="-")
        ax.set(xlabel=curve["of"], ylabel=curve["unit"], title=curve["name"])
        if curve["unit"] == "ms":
            ax.set(xscale="log", yscale="log")
            if max(curve["at"]) < 1000:
                ax.set_xticks(curve["at"], curve["at"])
            ax.tick_params(axis="x", which="minor", labelbottom=False)
            ax.legend()
        else:
            ax.set_ylim(0)
    return fig


def main(folder: Path = FOLDER) -> None:
    """Draw the pictures into a folder."""
    with matplotlib.rc_context(plots.STYLE):
        for name, fig in {"course": draw(), "growth": draw_growth()}.items():
            picture = io.BytesIO()
            fig.savefig(picture, format="png", dpi=150, metadata={"Software": None})
            _files.write(folder / f"{name}.png", picture.getvalue())


if __name__ == "__main__":
    with _files.plain_errors():
        main(*map(Path, sys.argv[1:]))
