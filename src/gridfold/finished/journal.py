"""Figures in the width of a journal's column, with its letter size, as PDF and SVG."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from gridfold.atomic import replacing
from gridfold.figures.style import Drawing, style
from gridfold.wording import shorten

_MM = 1 / 25.4
# Of the letters in figures as they are drawn for the report, in points.
_DRAWN_SIZE = 10.0
# A page holds no more, in inches.
_TALLEST = 9.0
# Mean width of a letter over its size.
_LETTER = 0.55
# Of the width of a panel, what names of rows and what its title may take.
_ROWS_SHARE, _TITLE_SHARE = 0.5, 0.8
_DPI = 300


@dataclass(frozen=True)
class JournalColumn:
    """The column of a journal.

    Attributes
    ----------
    width : float
        In inches.
    size : float
        Of the letters, in points.
    """

    width: float
    size: float


COLUMNS: dict[str, JournalColumn] = {
    "single": JournalColumn(3.5, 7),
    "double": JournalColumn(7.2, 7),
    "nature-single": JournalColumn(89 * _MM, 6.5),
    "nature-double": JournalColumn(183 * _MM, 6.5),
    "ieee-single": JournalColumn(3.5, 8),
    "ieee-double": JournalColumn(7.16, 8),
    "elsevier-single": JournalColumn(90 * _MM, 7),
    "elsevier-double": JournalColumn(190 * _MM, 7),
    "jmlr": JournalColumn(6.0, 8),
    "neurips": JournalColumn(5.5, 8),
}
"""Widths as the guides for authors give them."""


def most_panels(column: JournalColumn) -> int:
    """Return how many panels side by side a column has room for."""
    return max(1, int(column.width * _DRAWN_SIZE / column.size / 2.4))


def save(drawings: Mapping[str, Drawing], column: JournalColumn, folder: Path) -> list[Path]:
    """Write every drawing as PDF (TrueType fonts embedded) and SVG (letters as outlines).

    Parameters
    ----------
    drawings : mapping of str to Drawing
    column : JournalColumn
    folder : Path

    Returns
    -------
    list of Path
    """
    files = []
    for name, drawing in drawings.items():
        with style(), mpl.rc_context({"pdf.fonttype": 42}):
            fit(drawing.figure, column)
            for suffix, metadata in ((".pdf", {"CreationDate": None}), (".svg", {"Date": None})):
                file = folder / f"{name}{suffix}"
                with replacing(file) as temporary:
                    drawing.figure.savefig(temporary, dpi=_DPI, metadata=metadata)
                files.append(file)
                # Finding the layout takes as long as drawing; what was found holds for both files.
                drawing.figure.set_layout_engine("none")
    return files


def fit(figure: Figure, column: JournalColumn) -> None:
    """Give a figure the width of a column and its letters their size."""
    drawn = figure.get_size_inches()
    scale = column.size / _DRAWN_SIZE
    for axes in figure.axes:
        grid = axes.get_subplotspec()
        panels = grid.get_gridspec().ncols if grid else 1
        letters = column.width * 72 / panels / (_LETTER * column.size)
        named = _shorten_rows(axes, int(_ROWS_SHARE * letters))
        _wrap_title(axes, int(letters * (1 - _ROWS_SHARE if named else _TITLE_SHARE)))
        _keep_tick_sizes(axes, scale)
    for text in figure.findobj(Text):
        text.set_fontsize(float(text.get_fontsize()) * scale)
    for line in figure.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * scale)
        line.set_markersize(float(line.get_markersize()) * scale)
        line.set_markeredgewidth(line.get_markeredgewidth() * scale)
    for collection in figure.findobj(PathCollection):
        collection.set_sizes(collection.get_sizes() * scale**2)
    for legend in list(figure.legends):
        _stack(figure, legend, column)
    # Pictures keep their shape, so height beyond that would be empty.
    shrink = min(scale, column.width / drawn[0]) if _is_of_pictures(figure) else scale
    figure.set_size_inches(column.width, min(_TALLEST, float(drawn[1]) * shrink))


def _is_of_pictures(figure: Figure) -> bool:
    pictures = [axes for axes in figure.axes if axes.images and axes.get_aspect() == 1]
    return 2 * len(pictures) > len(figure.axes)


def _shorten_rows(axes: Axes, letters: int) -> bool:
    """Shorten names of rows, which would leave no room for what is drawn; tell if there are any."""
    labels = axes.yaxis.get_majorticklabels()
    names = [label.get_text() for label in labels]
    named = isinstance(axes.yaxis.get_major_locator(), FixedLocator)
    if not named or not any(character.isalpha() for name in names for character in name):
        return False
    short = [shorten(name, max(8, letters)) for name in names]
    axes.set_yticks(axes.yaxis.get_majorticklocs(), short, fontsize=labels[0].get_fontsize())
    return max(map(len, short)) > letters / 2


def _wrap_title(axes: Axes, letters: int) -> None:
    titles = {axes.get_title(loc=where) for where in ("left", "center", "right")} - {""}
    for text in axes.get_children():
        if isinstance(text, Text) and text.get_text() in titles:
            lines = text.get_text().splitlines()
            text.set_text("\n".join(textwrap.fill(line, max(12, letters)) for line in lines))


def _keep_tick_sizes(axes: Axes, scale: float) -> None:
    """Give ticks that are made later the size that those which are there are about to get."""
    for axis in (axes.xaxis, axes.yaxis):
        labels = axis.get_majorticklabels()
        if labels:
            # All ticks get it now, and those that are there are scaled once more as texts.
            size = float(labels[0].get_fontsize())
            axis.set_tick_params(labelsize=size * scale, width=0.8 * scale)
            for label in axis.get_majorticklabels():
                label.set_fontsize(size)


def _stack(figure: Figure, legend: Legend, column: JournalColumn) -> None:
    """Put a legend above the figure again, in as many columns as there is room for."""
    names = [text.get_text() for text in legend.get_texts()]
    letters = column.width * 72 / (_LETTER * column.size)
    # The sample of a line takes as much as five letters.
    fitting = int(letters / (max(map(len, names)) + 5))
    handles = [handle for handle in legend.legend_handles if handle is not None]
    legend.remove()
    figure.legend(
        handles=handles,
        labels=names,
        loc="outside upper left",
        ncols=max(1, min(len(names), fitting)),
        fontsize=column.size,
    )
