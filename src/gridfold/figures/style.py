"""The style that all figures share, and how a figure becomes files that are equal in every run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from gridfold.atomic import replacing

# Okabe & Ito (2008): can be told apart with every common form of colour blindness. Yellow and
# black are left out: one is too pale on white, the other is the text.
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#6B7280"
# Families also differ in shape, for print in grey.
_FAMILY_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "v"), (SKY, "P"))
WIDTH = 10.0
# Above this, a vector file is larger and slower than the pixels it describes.
_MOST_VECTOR_MARKS = 2000
_PNG_DPI = 150
# Panels side by side in figures that are drawn now; the figures themselves may want fewer.
_MOST_COLUMNS: ContextVar[int] = ContextVar("most_columns", default=99)

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#374151",
    "axes.labelcolor": "#111827",
    "text.color": "#111827",
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # A dollar sign in a label is a dollar sign, not the start of a formula.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    # Letters as outlines: every reader sees the same, whatever fonts are installed.
    "svg.fonttype": "path",
    "svg.hashsalt": "gridfold",
}


@dataclass(frozen=True)
class Drawing:
    """A figure with the words that belong to it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    caption : str
        What is drawn, for everyone.
    alt : str
        What there is to see, computed from the data, for readers who can't see it.
    """

    figure: Figure
    caption: str
    alt: str


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw with the style of the house, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


@contextlib.contextmanager
def at_most_columns(columns: int) -> Iterator[None]:
    """Draw with no more panels side by side than that: for pages narrower than the report."""
    token = _MOST_COLUMNS.set(columns)
    try:
        yield
    finally:
        _MOST_COLUMNS.reset(token)


def page_width() -> float:
    """Return the width in inches that what is drawn now may have."""
    return min(WIDTH, 2.5 * _MOST_COLUMNS.get())


def is_narrow() -> bool:
    """Tell whether what is drawn now has room for one panel with a legend beside it."""
    return page_width() < 0.7 * WIDTH


def save(drawing: Drawing, svg: Path, png: Path) -> None:
    """Write a drawing as SVG and as PNG, without dates or random ids."""
    for file, metadata in ((svg, {"Date": None, "Creator": None}), (png, {"Software": None})):
        with style(), replacing(file, durable=False) as temporary:
            drawing.figure.savefig(temporary, dpi=_PNG_DPI, metadata=metadata)
        # Finding the layout takes as long as drawing; what was found holds for the second file.
        drawing.figure.set_layout_engine("none")


def panels(
    count: int, columns: int, height: float, rows_of: int = 1, **options: Any
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return a figure with a grid of panels, the surplus ones removed.

    Parameters
    ----------
    count : int
        Panels that are needed, in each of `rows_of` rows.
    columns : int
        Most panels in one row.
    height : float
        Of one row, in inches.
    rows_of : int
        Rows that belong together, as loss above accuracy.
    **options
        For :meth:`matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : Figure
    axes : array of Axes of shape (rows_of, count)
    """
    columns = min(count, columns, _MOST_COLUMNS.get())
    blocks = math.ceil(count / columns)
    width = min(WIDTH, 1 + 4 * columns)
    figure = Figure(figsize=(width, height * blocks * rows_of), layout="constrained")
    grid = figure.subplots(blocks * rows_of, columns, squeeze=False, **options)
    # Rows r, r + rows_of, ... of the grid are one long row of panels.
    long = np.stack([grid[row::rows_of].reshape(-1) for row in range(rows_of)])
    for surplus in long[:, count:].reshape(-1):
        surplus.remove()
    return figure, long[:, :count]


def message(text: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=11)
    return figure


def family_looks(families: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each model family."""
    return {
        family: _FAMILY_LOOKS[i % len(_FAMILY_LOOKS)]
        for i, family in enumerate(dict.fromkeys(families))
    }


def rasterise_many(marks: int) -> Mapping[str, Any]:
    """Return the option that turns very many marks into pixels also in an SVG."""
    return {"rasterized": marks > _MOST_VECTOR_MARKS}


def spans_decades(values: Any, factor: float) -> bool:
    """Tell whether positive values spread so widely that only a log scale shows them all."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return bool(finite.size and finite.min() > 0 and finite.max() / finite.min() > factor)


def log_axis(axes: Axes, which: str, ticks: Sequence[float] | None = None) -> None:
    """Make one axis logarithmic, with plain numbers at its ticks.

    Parameters
    ----------
    axes : Axes
    which : {"x", "y"}
    ticks : sequence of float, optional
        Where the ticks are; chosen for what is drawn when left out.
    """
    low, high = getattr(axes.dataLim, f"interval{which}")
    axes.set(**{f"{which}scale": "log"})
    axis = getattr(axes, f"{which}axis")
    if ticks is None:
        # Numbers below each other take less room than numbers beside each other.
        wide = spans_decades([low, high], 3000 if which == "y" else 100)
        axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=9))
    else:
        axis.set_ticks(ticks)
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
