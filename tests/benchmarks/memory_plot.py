"""The figures of `memory.py` as a picture: one column for each text, accuracy above, the gradient below."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot

matplotlib.use("Agg")

COLOURS = {"lstm": "#0b6e4f", "gru": "#c8791b", "rnn": "#8a3b6f"}
MARKERS = {"lstm": "o", "gru": "s", "rnn": "^"}
CAPTIONS = {"prose": "characters read before the one to guess"}


def draw(tables: list[dict], path: Path) -> None:
    """Write the picture to `path`, in the format that its ending names.

    Args:
        tables: of `memory.measure`.
    """
    problems = list(dict.fromkeys(table["problem"] for table in tables))
    figure, axes = pyplot.subplots(2, len(problems), figsize=(4.2 * len(problems), 6.4), squeeze=False)
    for (above, below), problem in zip(axes.T, problems, strict=True):
        for table in (table for table in tables if table["problem"] == problem):
            cell = table["cell"]
            look = {"color": COLOURS[cell], "marker": MARKERS[cell], "markersize": 4, "linewidth": 1.6}
            above.plot(list(table["accuracy"]), list(table["accuracy"].values()), label=cell.upper(), **look)
            trained, untrained = _positive(table["gradient"]), _positive(table["gradient_before"])
            below.plot(list(trained), list(trained.values()), label=f"{cell.upper()}, trained", **look)
            below.plot(list(untrained), list(untrained.values()), color=COLOURS[cell], linestyle=":", linewidth=1.2)
        above.set(title=problem, ylim=(-0.02, 1.02), xlabel=CAPTIONS.get(problem, "distance in tokens"))
        if problem in CAPTIONS:
            above.set_xscale("log", base=2)
        below.set(yscale="log", xlabel="distance in tokens")
        for axis in (above, below):
            axis.grid(alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("norm of the gradient (dotted: untrained)")
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _positive(curve: dict[int, float]) -> dict[int, float]:
    """What a logarithmic axis can show."""
    return {distance: value for distance, value in curve.items() if value > 0}
