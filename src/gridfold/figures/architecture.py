"""The layers of the final model: their table, and a figure of how they follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from gridfold.figures.style import GREEN, GREY, ORANGE, PURPLE, SKY, Drawing, is_narrow
from gridfold.final.inside import Layer
from gridfold.tables.trials import Column
from gridfold.wording import counted, shorten

LAYER_COLUMNS = (
    Column("layer", "string", "", "Its name; those of models it is in come first, as `body/conv1`"),
    Column("kind", "string", "", "Class of Keras, or of the user"),
    Column("detail", "string", "", "What was chosen for it"),
    Column("output_shape", "string", "", "Of one sample; empty if it took no part in predicting"),
    Column("parameters", "int", "", "Numbers that it learnt or keeps, layers inside included"),
    Column("trainable", "int", "", "Of them, those that training changes"),
    Column("depth", "int", "", "0, or 1 and more inside another model"),
    Column("sources", "string", "", "Layers whose output it takes; `input` is that of its model"),
)
# What layers do to a picture or a vector, by words in the names of their classes.
_LOOKS = (
    ("Conv", "#CFE8F7", SKY),
    ("Pool", "#FBE3BD", ORANGE),
    ("Dense", "#C7E9DD", GREEN),
    ("Normalization", "#F2DCE9", PURPLE),
)
_OTHER = ("#F3F4F6", "#9CA3AF")
_MOST_ROWS = 40
_ROW = 0.36


@dataclass(frozen=True)
class _Places:
    """Where things stand in a row, in inches from the left, and how many letters have room.

    Left of the boxes is room for the arcs of connections that skip layers.
    """

    box: float
    shape: float
    number: float
    bars: float
    end: float
    kind: int
    detail: int

    @property
    def with_bars(self) -> bool:
        return self.end > self.bars


_WIDE = _Places(1.15, 5.1, 7.45, 7.6, 10.0, 24, 28)
_NARROW = _Places(0.6, 3.65, 5.25, 5.3, 5.3, 14, 16)


def layers_table(layers: Sequence[Layer]) -> pd.DataFrame:
    """Return all layers with :data:`LAYER_COLUMNS`."""
    rows = [
        (
            layer.name,
            layer.kind,
            layer.detail,
            "" if layer.output_shape is None else _size(layer.output_shape),
            layer.parameters,
            layer.trainable,
            layer.depth,
            " ".join(source or "input" for source in layer.sources),
        )
        for layer in layers
    ]
    return pd.DataFrame(rows, columns=[column.name for column in LAYER_COLUMNS])


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"


def draw_architecture(layers: Sequence[Layer], sample_shape: Sequence[int]) -> Drawing:
    """Draw the layers from top to bottom, their connections, sizes and parameters.

    Parameters
    ----------
    layers : sequence of Layer
    sample_shape : sequence of int
    """
    own = [layer for layer in layers if layer.depth == 0]
    rows: list[Layer | None] = [Layer("", "Input", "", tuple(sample_shape), 0, 0), *own]
    if len(rows) > _MOST_ROWS:
        # None stands for those in between.
        rows = [*rows[: _MOST_ROWS // 2], None, *rows[-(_MOST_ROWS // 2) :]]
    height = _ROW * (len(rows) + 1) + 0.15
    at = _NARROW if is_narrow() else _WIDE
    left = 0.0 if _skips(rows) else at.box - 0.1
    figure = Figure(figsize=(at.end - left, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, at.end), ylim=(_ROW * len(rows) + 0.1, -_ROW - 0.05))
    axes.set_axis_off()
    _headings(axes, at)
    most = max((layer.parameters for layer in own), default=0)
    skipped = len(own) + 1 - sum(row is not None for row in rows)
    for place, row in enumerate(rows):
        y = (place + 0.35) * _ROW
        if row is None:
            text = f"… {counted(skipped, 'layer')} …"
            axes.text(at.box + 0.1, y, text, va="center", color=GREY)
        else:
            _draw_row(axes, at, y, row, most)
    _connect(axes, at, rows)
    return Drawing(figure, _caption(own, skipped), _alt(own, sample_shape))


def _headings(axes: Axes, at: _Places) -> None:
    for x, text, side in (
        (at.box, "layer", "left"),
        (at.shape, "output of one sample" if at.with_bars else "output", "left"),
        (at.number, "parameters", "right"),
    ):
        axes.text(x, -0.45 * _ROW, text, ha=side, va="center", color=GREY, fontsize=9)


def _draw_row(axes: Axes, at: _Places, y: float, layer: Layer, most: int) -> None:
    face, edge = next(((f, e) for word, f, e in _LOOKS if word in layer.kind), _OTHER)
    axes.add_patch(
        FancyBboxPatch(
            (at.box, y - 0.125),
            at.shape - at.box - 0.25,
            0.25,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc=face,
            ec=edge,
            lw=0.9,
        )
    )
    axes.text(at.box + 0.1, y, shorten(layer.kind, at.kind), va="center", fontsize=9.5)
    detail = shorten(layer.detail, at.detail)
    axes.text(at.shape - 0.35, y, detail, va="center", ha="right", fontsize=8.5)
    size = "–" if layer.output_shape is None else _size(layer.output_shape)
    axes.text(at.shape, y, size, va="center", fontsize=9.5)
    if not layer.parameters:
        return
    axes.text(at.number, y, f"{layer.parameters:,}", va="center", ha="right", fontsize=9.5)
    if not at.with_bars:
        return
    length = (at.end - 0.1 - at.bars) / most
    axes.barh(y, layer.trainable * length, 0.2, at.bars, color=GREEN, lw=0)
    kept = layer.parameters - layer.trainable
    if kept:
        start = at.bars + layer.trainable * length
        axes.barh(y, kept * length, 0.2, start, fc="white", ec=GREY, hatch="////", lw=0.8)


def _connections(rows: Sequence[Layer | None]) -> Iterator[tuple[int, int]]:
    """Yield the rows that each connection between drawn layers leads from and to."""
    places = {row.name: place for place, row in enumerate(rows) if row is not None}
    for place, row in enumerate(rows):
        for source in () if row is None else row.sources:
            if source in places:
                yield places[source], place


def _skips(rows: Sequence[Layer | None]) -> bool:
    return any(end - start > 1 for start, end in _connections(rows))


def _connect(axes: Axes, at: _Places, rows: Sequence[Layer | None]) -> None:
    """Draw arrows from layer to layer, and arcs at the left for those that skip some."""
    for start, end in _connections(rows):
        tail, head = (start + 0.35) * _ROW, (end + 0.35) * _ROW
        if end - start == 1:
            ends, style = ((at.box + 0.35, tail + 0.125), (at.box + 0.35, head - 0.125)), "arc3"
        else:
            ends = ((at.box, tail), (at.box, head))
            # Half of it is how far an arc reaches to the left, over its length.
            reach = min(2 * (at.box - 0.1), 0.25 + 0.5 * (head - tail))
            style = f"arc3,rad={reach / (head - tail):.3f}"
        axes.add_patch(
            FancyArrowPatch(
                *ends,
                connectionstyle=style,
                arrowstyle="-|>",
                mutation_scale=8,
                color="#4B5563",
                lw=1.0,
                shrinkA=0,
                shrinkB=0,
            )
        )


def _totals(own: Sequence[Layer]) -> tuple[int, int]:
    return sum(layer.parameters for layer in own), sum(layer.trainable for layer in own)


def _caption(own: Sequence[Layer], skipped: int) -> str:
    total, trainable = _totals(own)
    text = (
        f"The layers of the final model from top to bottom: {total:,} parameters, of which "
        f"training changes {trainable:,} (filled bars)"
    )
    text += f" and keeps {total - trainable:,} (hatched)." if total > trainable else "."
    if not any(layer.sources for layer in own):
        text += " How they are connected is not known: the model's `call` is Python code."
    if skipped:
        text += f" {counted(skipped, 'layer')} in the middle are left out."
    return f"{text} All layers, those of models inside it too, are in `tables/layers.csv`."


def _alt(own: Sequence[Layer], sample_shape: Sequence[int]) -> str:
    total, trainable = _totals(own)
    learning = [layer for layer in own if layer.trainable]
    text = (
        f"Architecture: {counted(len(own), 'layer')} from samples of {_size(sample_shape)}; "
        f"{counted(len(learning), 'layer')} with {trainable:,} trainable of {total:,} parameters"
    )
    if learning:
        largest = learning[int(np.argmax([layer.trainable for layer in learning]))]
        text += f", most of them in {shorten(largest.name, 40)} ({largest.trainable:,})"
    return f"{text}."
