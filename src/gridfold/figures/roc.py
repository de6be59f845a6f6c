"""The figure of ROC and precision-recall curves, each class against all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics

from gridfold.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Drawing,
    is_narrow,
    message,
    page_width,
)
from gridfold.tables.predictions import PredictedSamples, repeats_note
from gridfold.wording import counted, listed, percent, shorten

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
# More curves than this can't be told apart.
_MOST_CURVES = 12
_ZOOMED_FROM = 0.975
# Of so few, the legend has room for intervals.
_MOST_INTERVALS = 4


def draw_roc(
    parts: list[PredictedSamples], table: pd.DataFrame, names: list[str], confidence: float
) -> Drawing:
    """Draw ROC curves above and precision-recall curves below, for each part of the samples.

    Parameters
    ----------
    parts : list of PredictedSamples
    table : DataFrame
        :func:`gridfold.statistics.classes.class_table`.
    names : list of str
        Of the classes.
    confidence : float
        Level of the table's intervals.
    """
    if not table["roc_auc"].notna().any():
        text = "The selected configuration has no predictions of more than one class."
        return Drawing(message(text), "ROC curves.", text)
    # Of two classes, the curve of one is that of the other turned around.
    codes = [1] if len(names) == 2 else _worst(table, names)
    columns = 1 if is_narrow() else len(parts)
    rows_of = 2 * len(parts) // columns
    width = page_width() if columns > 1 else min(page_width(), 6.4)
    figure = Figure(figsize=(width, (3.5 if rows_of == 2 else 3.2) * rows_of), layout="constrained")
    grid = figure.subplots(rows_of, columns, squeeze=False).T.reshape(len(parts), 2)
    detailed = len(codes) <= _MOST_INTERVALS
    for part, (upper, lower) in zip(parts, grid, strict=True):
        rows = table[table["part"] == part.name]
        above = [upper, _zoomed(upper)] if rows["roc_auc"].min() > _ZOOMED_FROM else [upper]
        for place, code in enumerate(codes):
            look = {
                "color": _COLOURS[place % len(_COLOURS)],
                "ls": _LINES[place // len(_COLOURS)],
                "lw": 1.5,
            }
            _draw_class(above, lower, part, code, rows.iloc[code], look, detailed)
        _frame(upper, lower, part)
        if len(codes) == 1:
            share = float((part.truth == codes[0]).mean())
            lower.axhline(share, color=GREY, lw=1, ls=":", zorder=1)
    caption = _caption(parts, codes, names, confidence)
    return Drawing(figure, caption, _alt(parts, table, names, codes))


def _draw_class(
    above: list[Axes],
    lower: Axes,
    part: PredictedSamples,
    code: int,
    row: pd.Series,
    look: dict[str, Any],
    detailed: bool,
) -> None:
    own, score = part.truth == code, part.chances[:, code]
    if not 0 < own.sum() < len(own):
        return
    name = shorten(row["class"], 16)
    wrong, right, _ = metrics.roc_curve(own, score)
    for axes in above:
        axes.plot(wrong, right, **look, label=f"{name}: {_area(row, detailed)}")
    precision, recall, _ = metrics.precision_recall_curve(own, score)
    label = f"{name}: {row['average_precision']:.3f}"
    lower.step(recall, precision, where="post", **look, label=label)


def _area(row: pd.Series, detailed: bool) -> str:
    area, samples = f"{row['roc_auc']:.3f}", f"n={row['samples']:,}"
    if not detailed:
        return f"{area} ({samples})"
    known = np.isfinite(row["roc_auc_low"])
    interval = f"[{row['roc_auc_low']:.3f}, {row['roc_auc_high']:.3f}], " if known else ""
    return f"{area}\n{interval}{samples}"


def _worst(table: pd.DataFrame, names: list[str]) -> list[int]:
    """Return the codes of the classes to draw: all, or those that are hardest to tell apart."""
    if len(names) <= _MOST_CURVES:
        return list(range(len(names)))
    # The classes of each part stand in the order of their codes.
    areas = table["roc_auc"].to_numpy().reshape(-1, len(names)).min(axis=0)
    return sorted(np.argsort(areas, kind="stable")[:_MOST_CURVES].tolist())


def _zoomed(axes: Axes) -> Axes:
    """Return an inset with the corner where nearly perfect curves differ."""
    inset = axes.inset_axes((0.12, 0.12, 0.4, 0.4))
    inset.set(xlim=(-0.002, 0.1), ylim=(0.9, 1.002), xticks=[0.05, 0.1], yticks=[0.9, 0.95, 1])
    inset.tick_params(labelsize=7, length=2)
    axes.indicate_inset_zoom(inset, edgecolor=GREY, lw=0.8)
    return inset


def _frame(upper: Axes, lower: Axes, part: PredictedSamples) -> None:
    upper.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", zorder=1)
    upper.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1))
    upper.set_title(part.title, loc="left")
    upper.set_ylim(0, 1.01)
    lower.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    for axes, title in ((upper, "ROC AUC"), (lower, "average precision")):
        axes.legend(
            title=title,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            fontsize=8,
            title_fontsize=8,
            alignment="left",
            handlelength=2.2,
        )


def _caption(
    parts: list[PredictedSamples], codes: list[int], names: list[str], confidence: float
) -> str:
    if len(names) == 2:
        what = f"Above, how many samples of {shorten(names[1], 40)} are found (true positives)"
    else:
        what = "Above, how many samples of each class are found (true positives)"
    text = (
        f"{what} against how many others are taken for it (false positives) at every threshold; "
        "dotted is chance. Below, how many of those predicted so are right (precision) against "
        "how many are found (recall)."
    )
    if len(codes) < len(names) and len(names) > 2:
        text += f" The {len(codes)} of {len(names)} classes with the smallest areas."
    return (
        f"{text} n: samples of the class.{repeats_note(parts)} {percent(confidence)} confidence "
        "intervals of the areas (DeLong) are in `tables/classes.csv`."
    )


def _alt(
    parts: list[PredictedSamples], table: pd.DataFrame, names: list[str], codes: list[int]
) -> str:
    sentences = []
    for part in parts:
        rows = table[(table["part"] == part.name) & table["roc_auc"].notna()]
        if len(names) == 2:
            rows = rows[rows["class"] == names[1]]
        if not len(rows):
            continue
        rows = rows.sort_values("roc_auc", kind="stable")
        ends = [rows.iloc[i] for i in ((0,) if len(rows) == 1 else (0, -1))]
        said = listed(f"{row['roc_auc']:.3f} ({shorten(row['class'], 40)})" for row in ends)
        between = "area" if len(ends) == 1 else "areas between"
        sentences.append(f"{part.title[0].upper()}{part.title[1:]}: {between} {said}.")
    return f"ROC and precision-recall curves of {counted(len(codes), 'class', 'classes')}. " + (
        " ".join(sentences)
    )
