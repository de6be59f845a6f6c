"""The figure of errors: confusion matrices for classes, predicted against true for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import confusion_matrix

from gridfold.arrays import Array
from gridfold.data.manifest import Manifest
from gridfold.figures.style import (
    BLUE,
    GREY,
    VERMILLION,
    WIDTH,
    Drawing,
    message,
    panels,
    rasterise_many,
)
from gridfold.tables.predictions import (
    OUT_OF_FOLD,
    TEST,
    PredictedSamples,
    repeats_note,
    threshold_note,
)
from gridfold.wording import counted, percent, shorten

_MOST_NAMED_CLASSES = 30
_MOST_COUNTED_CLASSES = 15
_MOST_OUTPUTS = 6
_MOST_POINTS = 10_000


def draw_errors(problem: str, samples: Sequence[PredictedSamples], manifest: Manifest) -> Drawing:
    """Draw where the selected configuration is wrong, out of fold and on the test set.

    Parameters
    ----------
    problem : {"regression", "multi_output", "binary", "multiclass"}
    samples : sequence of PredictedSamples
        What the selected configuration and the final model predict.
    manifest : Manifest
    """
    if not samples:
        text = "The selected configuration has no predictions."
        return Drawing(message(text), "Errors.", text)
    if problem in ("binary", "multiclass"):
        return _draw_confusions(samples, manifest.names)
    return _draw_residuals(samples, manifest.names)


def _draw_confusions(parts: Sequence[PredictedSamples], names: list[str]) -> Drawing:
    codes = np.arange(len(names))
    tables = {
        part.name: confusion_matrix(part.truth, part.predicted, labels=codes) for part in parts
    }
    height = float(np.clip(1.6 + 0.32 * len(names), 3.2, 5.2))
    figure = Figure(figsize=(WIDTH if len(tables) > 1 else WIDTH / 2, height), layout="constrained")
    grid = figure.subplots(1, len(tables), squeeze=False)
    for axes, (part, counts) in zip(grid[0], tables.items(), strict=True):
        _draw_confusion(axes, counts, names)
        axes.set_title(f"{part}: {_right(counts)}", loc="left")
    caption = (
        "Rows are true classes, columns predicted ones; each row's share of right answers in blue, "
        "of wrong ones in orange. Out of fold: every sample predicted by a model that was not "
        f"trained on it.{repeats_note(parts)}{threshold_note(parts, names)}"
    )
    return Drawing(figure, caption, _confusion_alt(tables, names))


def _draw_confusion(axes: Axes, counts: Array, names: list[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(names), dtype=bool)
    wrong = np.where(right, np.nan, shares)
    # Errors have a scale of their own: beside 98 % of right answers a 1 % error is invisible.
    most = max(float(np.nanmax(wrong, initial=0)), 1e-9)
    axes.imshow(np.where(right, shares, np.nan), cmap="Blues", vmin=0, vmax=1.6)
    axes.imshow(
        np.where(wrong > 0, wrong, np.nan), cmap="Oranges", vmin=-0.25 * most, vmax=1.6 * most
    )
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color("#D1D5DB")
    if len(names) <= _MOST_COUNTED_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=8.5 if len(names) > 5 else 10,
            )
    if len(names) <= _MOST_NAMED_CLASSES:
        short = [shorten(name, 14) for name in names]
        axes.set_xticks(range(len(names)), short)
        axes.set_yticks(range(len(names)), short)
        longest = max(map(len, short))
        if len(names) > 4 and longest > 3:
            axes.tick_params(axis="x", labelrotation=90)
        elif len(names) * longest > 30:
            axes.set_xticks(range(len(names)), short, rotation=20, ha="right")
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _right(counts: Array) -> str:
    right, total = int(np.trace(counts)), int(counts.sum())
    return f"{right:,} of {total:,} right ({percent(round(right / total, 3))})"


def _confusion_alt(tables: Mapping[str, Array], names: list[str]) -> str:
    sentences = []
    for part, counts in tables.items():
        wrong = np.where(np.eye(len(names), dtype=bool), 0, counts)
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        text = f"{part[0].upper()}{part[1:]}, {_right(counts)}"
        if wrong.any():
            text += (
                f"; most often, {shorten(names[row], 40)} is taken for "
                f"{shorten(names[column], 40)} ({counted(int(wrong[row, column]), 'time')})"
            )
        sentences.append(f"{text}.")
    return f"Confusion of {counted(len(names), 'class', 'classes')}. {' '.join(sentences)}"


def _draw_residuals(parts: Sequence[PredictedSamples], names: list[str]) -> Drawing:
    shown = min(len(names), _MOST_OUTPUTS)
    figure, grid = panels(2 * shown, 2, 3.0)
    colours = {OUT_OF_FOLD: BLUE, TEST: VERMILLION}
    markers = {OUT_OF_FOLD: "o", TEST: "D"}
    for output in range(shown):
        upper, lower = grid[0, 2 * output], grid[0, 2 * output + 1]
        everything = []
        for part in parts:
            y, p = _sampled(part.truth[:, output], part.prediction[:, output])
            look = {
                "s": 14,
                "alpha": 0.55,
                "linewidths": 0,
                "color": colours[part.name],
                "marker": markers[part.name],
                **rasterise_many(len(y) * shown),
            }
            upper.scatter(y, p, **look)
            lower.scatter(p, p - y, **look)
            everything += [y, p]
        ends = [
            float(np.min(np.concatenate(everything))),
            float(np.max(np.concatenate(everything))),
        ]
        upper.plot(ends, ends, color=GREY, lw=1, ls="--", zorder=1)
        lower.axhline(0, color=GREY, lw=1, ls="--", zorder=1)
        name = shorten(names[output], 40)
        upper.set(xlabel=f"true {name}", ylabel="predicted")
        lower.set(xlabel=f"predicted {name}", ylabel="predicted minus true")
    figure.legend(
        handles=[
            Line2D(
                [],
                [],
                ls="",
                color=colours[part.name],
                label=part.name,
                marker=markers[part.name],
            )
            for part in parts
        ],
        loc="outside upper left",
        ncols=2,
    )
    caption = (
        "Predictions against true values (left) and their errors (right); dashed is perfect. Out "
        "of fold: every sample predicted by a model that was not trained on it."
        f"{repeats_note(parts)}"
    )
    if len(names) > shown:
        caption += f" The first {shown} of {len(names)} outputs."
    return Drawing(figure, caption, _residuals_alt(parts, names[:shown]))


def _sampled(true: Array, predicted: Array) -> tuple[Array, Array]:
    """Return evenly taken points: more would be one black cloud and a slow page."""
    step = -(-len(true) // _MOST_POINTS)
    return true[::step], predicted[::step]


def _residuals_alt(parts: Sequence[PredictedSamples], names: list[str]) -> str:
    sentences = []
    for output, name in enumerate(names):
        for part in parts:
            y = part.truth[:, output]
            error = part.prediction[:, output] - y
            sentences.append(
                f"{shorten(name, 40)}, {part.name}: true values from {y.min():.3g} to "
                f"{y.max():.3g}, mean error {error.mean():.2g}, typical error (RMS) "
                f"{np.sqrt(np.mean(error**2)):.2g} over {counted(len(y), 'prediction')}."
            )
    return "Predicted against true values and residuals. " + " ".join(sentences)
