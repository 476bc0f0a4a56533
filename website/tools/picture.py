"""Draw the course's picture, ``course.png``: ``python -m website.tools.picture [FILE]``.

The opening page and the README show it. `make notebooks` draws it again with the chapters, and a
test compares the stored file with a fresh one.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from initcore import _files, plots
from initcore.initializers import RandomNormal, VarianceScaling
from initcore.network import MLP

FILE = Path(__file__).resolve().parents[1] / "assets" / "course.png"
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
    fig.suptitle(
        "A tanh net's activations, for three standard deviations of its weights", weight="bold"
    )
    fig.supxlabel("activation of a hidden unit (1,000 inputs, 20 nets of 5 × 50 units)")
    return fig


def main(file: Path = FILE) -> None:
    """Draw the picture into a file."""
    with matplotlib.rc_context(plots.STYLE):
        picture = io.BytesIO()
        draw().savefig(picture, format="png", dpi=150, metadata={"Software": None})
    _files.write(file, picture.getvalue())


if __name__ == "__main__":
    with _files.plain_errors():
        main(*map(Path, sys.argv[1:]))
