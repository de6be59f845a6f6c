"""Misclassified samples, most confident mistakes first: as pictures, or feature by feature."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure
from sklearn.preprocessing import StandardScaler

from gridfold.arrays import Array, Samples, are_images, pieces
from gridfold.data.manifest import Manifest
from gridfold.figures.pictures import SIGNED, as_pictures, show
from gridfold.figures.style import WIDTH, Drawing, message, page_width
from gridfold.tables.predictions import PredictedSamples, repeats_note, threshold_note
from gridfold.tables.samples import written_samples
from gridfold.tables.trials import Column
from gridfold.wording import MISSING, counted, percent, shorten

MISTAKE_COLUMNS = (
    Column("part", "string", "", "Samples: out of fold, or held-out test set"),
    Column("sample", "int", "", "Row in the prepared arrays"),
    Column("true", "string", "", "Its class"),
    Column("predicted", "string", "", "What it is taken for"),
    Column("confidence", "float", "", "Score of the predicted class"),
    Column("true_confidence", "float", "", "Score of the true class"),
)
# In inches, of the grid of pictures.
_PITCH, _MARGIN, _HEAD, _TITLE = WIDTH / 8, 0.06, 0.35, 0.37
_SIDE = _PITCH - 2 * _MARGIN
_MOST_PICTURES = 16
_MOST_ROWS = 12
_MOST_FEATURES = 30
_MOST_NUMBERS = 12
# Where a value is missing, or is a category, no number of standard deviations can be given.
_NO_NUMBER = "#E5E7EB"
# Letters of names that stand side by side; more are written upwards.
_ROW_OF_LETTERS = 90


def mistakes_table(
    parts: list[PredictedSamples],
    names: list[str],
    features: Samples,
    ids: Array,
    manifest: Manifest,
) -> pd.DataFrame:
    """Return all misclassified samples, of each part the most confident mistakes first.

    Parameters
    ----------
    parts : list of PredictedSamples
    names : list of str
        Of the classes.
    features : array of shape (samples, *sample_shape)
    ids : array of str
        Names of all samples; empty where they have none.
    manifest : Manifest

    Returns
    -------
    DataFrame
        :data:`MISTAKE_COLUMNS`, ``id`` where samples have one, and the features by their names
        where samples are rows of numbers.
    """
    tables = []
    for part in parts:
        wrong = np.flatnonzero(part.predicted != part.truth)
        wrong = wrong[np.argsort(-part.confidence[wrong], kind="stable")]
        truth = part.truth[wrong].astype(np.int64)
        columns = {
            "part": part.name,
            "sample": part.samples[wrong],
            "true": [names[code] for code in truth],
            "predicted": [names[code] for code in part.predicted[wrong]],
            "confidence": part.confidence[wrong].astype(np.float64),
            "true_confidence": part.chances[wrong, truth].astype(np.float64),
        }
        if len(ids):
            columns["id"] = ids[part.samples[wrong]]
        table = pd.DataFrame(columns)
        if features.ndim == 2:
            values = written_samples(features, part.samples[wrong], manifest)
            taken = {name: f"{name} (feature)" for name in values if name in table}
            table = pd.concat([table, values.rename(columns=taken)], axis=1)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@dataclass(frozen=True)
class _Group:
    """The mistakes that are drawn of one part, and how many there are."""

    part: PredictedSamples
    rows: pd.DataFrame
    total: int

    @property
    def heading(self) -> str:
        samples = len(self.part.samples)
        share = percent(round(self.total / samples, 3))
        return f"{self.part.name}: {self.total:,} of {samples:,} wrong ({share})"


def draw_mistakes(
    parts: list[PredictedSamples], table: pd.DataFrame, features: Samples, manifest: Manifest
) -> Drawing:
    """Draw the most confident mistakes of each part.

    Parameters
    ----------
    parts : list of PredictedSamples
    table : DataFrame
        :func:`mistakes_table`.
    features : array of shape (samples, *sample_shape)
    manifest : Manifest
    """
    if not len(table):
        text = "No sample is misclassified." if parts else "There are no predictions."
        return Drawing(message(text), "Misclassified samples.", text)
    most = _MOST_PICTURES if are_images(features.shape[1:]) else _MOST_ROWS
    groups = [
        _Group(part, rows.head(most), len(rows))
        for part in parts
        if len(rows := table[table["part"] == part.name])
    ]
    if are_images(features.shape[1:]):
        figure, how = _draw_pictures(groups, features), ""
    else:
        figure, how = _draw_features(groups, features, manifest)
    how += threshold_note(parts, manifest.names)
    return Drawing(figure, _caption(groups, how, parts), _alt(groups))


def _draw_pictures(groups: list[_Group], features: Samples) -> Figure:
    columns = int(page_width() / _PITCH)
    width = columns * _PITCH
    lines = [-(-len(group.rows) // columns) for group in groups]
    heights = [_HEAD + count * (_SIDE + _TITLE) for count in lines]
    # All sizes are known: to find a layout for so many small axes takes longer than to draw them.
    figure = Figure(figsize=(width, sum(heights)))
    rooms = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)
    pictures = as_pictures(features[np.concatenate([g.rows["sample"] for g in groups])])
    done = 0
    for group, room, count, height in zip(groups, rooms[:, 0], lines, heights, strict=True):
        _head(room, group, y=1 - _MARGIN / height, va="top")
        cells = room.subplots(
            count,
            columns,
            squeeze=False,
            gridspec_kw={
                "left": _MARGIN / width,
                "right": 1 - _MARGIN / width,
                "bottom": _MARGIN / height,
                "top": 1 - (_HEAD + _TITLE - _MARGIN) / height,
                "wspace": 2 * _MARGIN / _SIDE,
                "hspace": _TITLE / _SIDE,
            },
        ).reshape(-1)
        for axes in cells[len(group.rows) :]:
            axes.set_axis_off()
        for axes, (_, row) in zip(cells, group.rows.iterrows(), strict=False):
            show(axes, pictures[done])
            done += 1
            axes.set_title(
                f"true {shorten(row['true'], 12)}\npred. {shorten(row['predicted'], 10)} "
                f"({row['confidence']:.2f})",
                fontsize=8,
                pad=3,
            )
    return figure


def _head(room: SubFigure, group: _Group, **place: Any) -> None:
    room.suptitle(group.heading, x=0.004, ha="left", fontsize=10, **place)


def _draw_features(
    groups: list[_Group], features: Samples, manifest: Manifest
) -> tuple[Figure, str]:
    """Draw how far each feature is from its mean; returns also what the caption says of it."""
    named = features.ndim == 2
    shown = int(np.prod(features.shape[1:]))
    names = manifest.names_of_features if named else [str(i) for i in range(shown)]
    columns = manifest.columns or () if named else ()
    categorical = [place for place, c in enumerate(columns) if c.categories is not None]

    def flat(chosen: Any) -> Array:
        numbers = np.asarray(features[chosen], np.float64).reshape(-1, shown)
        numbers[:, categorical] = np.nan
        return numbers

    with warnings.catch_warnings():
        # Of a column without any number there is no mean.
        warnings.simplefilter("ignore", RuntimeWarning)
        scaler = StandardScaler()
        for piece in pieces(features):
            scaler.partial_fit(flat(piece))
        scaled = scaler.transform(flat(np.concatenate([g.rows["sample"] for g in groups])))
        distance = np.nan_to_num(np.nanmean(np.abs(scaled), axis=0), nan=-1.0)
    chosen = np.sort(np.argsort(-distance, kind="stable")[:_MOST_FEATURES])
    scaled = scaled[:, chosen]
    has_values = named and len(chosen) <= _MOST_NUMBERS
    labels = [shorten(names[place], 22) for place in chosen]
    upright = max(map(len, labels)) * len(labels) > _ROW_OF_LETTERS
    room_for_names = 0.07 * max(map(len, labels)) * upright
    heights = [0.95 + room_for_names + 0.27 * len(group.rows) for group in groups]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    rooms = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)
    colours = mpl.colormaps[SIGNED].with_extremes(bad=_NO_NUMBER)
    parts = np.split(scaled, np.cumsum([len(group.rows) for group in groups])[:-1])
    for group, room, far in zip(groups, rooms[:, 0], parts, strict=True):
        _head(room, group)
        axes = room.subplots()
        bar = show(axes, far, cmap=colours, vmin=-3, vmax=3, aspect="auto")
        axes.set_yticks(range(len(far)), [_said(row) for _, row in group.rows.iterrows()])
        axes.set_xticks(range(len(chosen)), labels, rotation=90 if upright else 0)
        axes.set_xlabel("feature")
        axes.tick_params(length=0, labelsize=8)
        if has_values:
            samples = group.rows["sample"].to_numpy()
            values = written_samples(features, samples, manifest).iloc[:, chosen]
            for (line, column), value in np.ndenumerate(values.to_numpy(object)):
                axes.text(
                    column,
                    line,
                    _value(value),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if abs(far[line, column]) > 2 else "black",
                )
        scale = room.colorbar(bar, ax=axes, fraction=0.025, pad=0.01, extend="both")
        scale.set_label("SDs from the mean", fontsize=8)
        scale.ax.tick_params(labelsize=7)
    how = " Colours say how many standard deviations a feature is from its mean over all samples."
    if np.isnan(scaled).any():
        how += " Grey: categories, and values that are missing."
    if shown > len(chosen):
        how += f" The {len(chosen)} of {shown:,} features that are furthest from it."
    return figure, how


def _value(value: Any) -> str:
    if pd.isna(value):
        return MISSING
    return shorten(value, 10) if isinstance(value, str) else f"{value:.4g}"


def _said(row: pd.Series) -> str:
    name = f"{shorten(row['id'], 14)}: " if "id" in row else ""
    return (
        f"{name}true {shorten(row['true'], 12)}, pred. {shorten(row['predicted'], 12)} "
        f"({row['confidence']:.2f})"
    )


def _caption(groups: list[_Group], how: str, parts: list[PredictedSamples]) -> str:
    text = "Misclassified samples, most confident mistakes first: the true class, the predicted one"
    text += f" (pred.) and the score of the latter.{how}{repeats_note(parts)}"
    if any(len(group.rows) < group.total for group in groups):
        text += " All mistakes are in `tables/misclassified.csv`."
    return text


def _alt(groups: list[_Group]) -> str:
    sentences = []
    for group in groups:
        first = group.rows.iloc[0]
        sentences.append(
            f"{group.heading[0].upper()}{group.heading[1:]}; "
            f"{counted(len(group.rows), 'sample is', 'samples are')} shown. The most confident "
            f"mistake takes {shorten(first['true'], 40)} for {shorten(first['predicted'], 40)} "
            f"with a score of {first['confidence']:.2f}."
        )
    return " ".join(sentences)
