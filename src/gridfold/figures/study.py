"""The figures of a study: scores, learning curves, hyperparameters and errors."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gridfold.atomic import write_text
from gridfold.data.manifest import Manifest
from gridfold.figures import errors, hyperparameters, pairs
from gridfold.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    WIDTH,
    Drawing,
    family_looks,
    log_axis,
    message,
    panels,
    rasterise_many,
    save,
    spans_decades,
    style,
)
from gridfold.problems import Measure
from gridfold.requests import ReportRequest
from gridfold.statistics.explored import Explored
from gridfold.store.model_card import HeldOutScore, ModelCard
from gridfold.tables.axes import curve_over_splits
from gridfold.tables.predictions import PredictedSamples
from gridfold.tables.trials import StudyTables
from gridfold.wording import (
    counted,
    decimals,
    direction,
    measure_name,
    number,
    percent,
    shorten,
    training_metric,
)

FIGURES = ("scores", "learning_curves", "hyperparameters", "pairs", "parallel", "errors")
"""In the order of the report."""

_MOST_SCORES = 30
_MOST_CURVES = 30


def draw_search(
    request: ReportRequest, tables: StudyTables, search: Explored | None = None
) -> dict[str, Drawing]:
    """Draw what the search found: ``learning_curves``, and three figures of the axes.

    Parameters
    ----------
    request : ReportRequest
    tables : StudyTables
    search : Explored, optional
        What the axes are shown by, where the search left most configurations behind.
    """
    study, configurations = request.study, tables.configurations
    space, measure = study["search"]["space"], request.measure
    judged = configurations if search is None else search.configurations
    with style():
        axes = {
            "hyperparameters": hyperparameters.draw_hyperparameters(judged, space, measure),
            "pairs": pairs.draw_pairs(judged, space, measure),
            "parallel": pairs.draw_parallel(judged, space, measure),
        }
        if search is not None:
            note = f" Shown are {search.effort}."
            axes = {name: replace(d, caption=d.caption + note) for name, d in axes.items()}
        return {
            "learning_curves": draw_learning_curves(tables.epochs, configurations, study),
            **axes,
        }


def draw_test(
    request: ReportRequest,
    tables: StudyTables,
    *,
    card: ModelCard,
    samples: Sequence[PredictedSamples],
    manifest: Manifest,
) -> dict[str, Drawing]:
    """Draw what also shows the held-out test set: ``scores`` and ``errors``.

    Parameters
    ----------
    request : ReportRequest
    tables : StudyTables
    card : ModelCard
    samples : sequence of PredictedSamples
        What the selected configuration and the final model predict.
    manifest : Manifest
    """
    problem = request.study["problem"]["type"]
    with style():
        return {
            "scores": draw_scores(tables.trials, tables.configurations, card),
            "errors": errors.draw_errors(problem, samples, manifest),
        }


def save_all(drawings: Mapping[str, Drawing], folder: Path) -> None:
    """Write ``<name>.svg``, ``<name>.png`` and the words that belong to them, ``<name>.json``."""
    for name, drawing in drawings.items():
        save(drawing, folder / f"{name}.svg", folder / f"{name}.png")
        words = {"caption": drawing.caption, "alt": drawing.alt}
        write_text(
            folder / f"{name}.json",
            json.dumps(words, indent=1, ensure_ascii=False) + "\n",
            durable=False,
        )


def draw_scores(trials: pd.DataFrame, configurations: pd.DataFrame, card: ModelCard) -> Drawing:
    """Draw the ranking: every configuration's splits, mean and interval, and the test score."""
    measure, test = card.cross_validation.measure, card.test
    scored = configurations[configurations["n_splits"] > 0]
    shown = scored.head(_MOST_SCORES)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots()
    looks = family_looks(configurations["model"].tolist())
    low, high = Measure.of(measure).range
    points = trials[trials["status"] == "finished"].groupby("config_id")[measure]
    for y, (_, row) in enumerate(shown.iterrows()):
        colour, marker = looks[row["model"]]
        scores = points.get_group(row["config_id"]).to_numpy(float)
        # Below the interval, which would hide them.
        axes.plot(scores, np.full(len(scores), y + 0.3), "o", color=GREY, alpha=0.6, ms=3, mew=0)
        mean = row[f"{measure}_mean"]
        if np.isfinite(row[f"{measure}_low"]):
            # An interval can't reach where the measure has no values.
            ends = np.clip([row[f"{measure}_low"], row[f"{measure}_high"]], low, high)
            axes.plot(ends, [y, y], "-", color=colour, lw=1.8, solid_capstyle="butt")
        axes.plot(mean, y, marker, color=colour, ms=8, mec="white", mew=1)
    if test is not None and np.isfinite(test.score):
        # Above the row of the selected configuration, so that neither interval hides the other.
        if test.has_interval:
            axes.plot([test.low, test.high], [-0.33, -0.33], "-", color=VERMILLION, lw=1.4)
        axes.plot(test.score, -0.33, "D", color=VERMILLION, ms=7, mec="white", mew=1)
    axes.set_yticks(range(len(shown)), _rank_labels(shown))
    axes.set_ylim(len(shown) - 0.5, -0.75)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{measure_name(measure)} ({direction(measure)})")
    if spans_decades(shown[f"{measure}_mean"], 20):
        log_axis(axes, "x")
    _score_legend(figure, looks, shown, test)
    return Drawing(
        figure,
        _scores_caption(len(scored), len(shown), card),
        _scores_alt(shown, len(scored), measure, test),
    )


def _rank_labels(shown: pd.DataFrame) -> list[str]:
    labels = []
    for _, row in shown.iterrows():
        failed = f" ({counted(row['n_failed'], 'split')} failed)" if row["n_failed"] else ""
        labels.append(f"{shorten(row['label'], 54 - len(failed))}{failed}  {row['rank']:>3}")
    return labels


def _score_legend(
    figure: Figure,
    looks: Mapping[str, tuple[str, str]],
    shown: pd.DataFrame,
    test: HeldOutScore | None,
) -> None:
    entries = [
        Line2D(
            [],
            [],
            color=looks[f][0],
            marker=looks[f][1],
            ms=8,
            mec="white",
            label=f"{shorten(f, 20)}: mean" + (" and interval" if _intervals(shown) else ""),
        )
        for f in dict.fromkeys(shown["model"])
    ]
    entries.append(
        Line2D([], [], color=GREY, marker="o", ls="", ms=3, alpha=0.6, label="one split")
    )
    if test is not None:
        entries.append(
            Line2D(
                [], [], color=VERMILLION, marker="D", ms=7, mec="white", label="held-out test set"
            )
        )
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries))


def _intervals(shown: pd.DataFrame) -> bool:
    return bool((shown["n_splits"] > 1).any())


def _scores_caption(total: int, shown: int, card: ModelCard) -> str:
    validation = card.cross_validation
    which = f"The best {shown} of {total:,}" if shown < total else f"All {total:,}"
    text = f"{which} configurations, best first" if total > 1 else "The only configuration"
    text += ": the mean over splits"
    if validation.low is not None:
        text += f" with its {percent(validation.confidence)} confidence interval"
    text += ", and every single split."
    if card.test:
        text += (
            " The diamond is the final model on the held-out test set"
            f"{', with its interval' if card.test.has_interval else ''};"
            " only the selected configuration was ever scored there."
        )
    return text


def _scores_alt(shown: pd.DataFrame, total: int, measure: str, test: HeldOutScore | None) -> str:
    means = shown[f"{measure}_mean"]
    places = decimals(shown[f"{measure}_sd"], means)
    name, best = measure_name(measure), shown.iloc[0]
    text = (
        f"Ranking of {counted(total, 'configuration')} by {name}. The best, "
        f"{shorten(best['label'], 100)}, has a mean of {number(means.iloc[0], places)} over "
        f"{counted(int(best['n_splits']), 'split')}"
    )
    if len(shown) > 1:
        text += f"; the last one drawn has {number(means.iloc[-1], places)}"
    if test is not None:
        text += f". On the held-out test set the best scores {number(test.score, places)}"
    return f"{text}."


def draw_learning_curves(
    epochs: pd.DataFrame, configurations: pd.DataFrame, study: Mapping[str, Any]
) -> Drawing:
    """Draw training and validation loss and metric of the best configurations."""
    wanted = min(study["report"]["curves"], _MOST_CURVES)
    shown = configurations[configurations["n_splits"] > 0].head(wanted)
    if shown.empty:
        text = "No trial of this study has a score."
        return Drawing(message(text), "Learning curves.", text)
    metric = training_metric(study)
    figure, grid = panels(len(shown), 5, 2.3, rows_of=2, sharex="col", sharey="row")
    chosen = epochs[epochs["config_id"].isin(shown["config_id"])]
    logarithmic = spans_decades(chosen[["loss", "val_loss"]], 10)
    many = len(chosen)
    for (upper, lower), (_, row) in zip(grid.T, shown.iterrows(), strict=True):
        history = chosen[chosen["config_id"] == row["config_id"]]
        _draw_curve(upper, history, "loss", many)
        _draw_curve(lower, history, "metric", many)
        title = f"{row['rank']}: {shorten(row['label'], 66)}"
        upper.set_title(textwrap.fill(title, 25), fontsize=8.5, loc="left")
        if logarithmic:
            log_axis(upper, "y")
    for upper, lower in grid.T:
        if upper.get_subplotspec().is_first_col():
            upper.set_ylabel("loss (log scale)" if logarithmic else "loss")
            lower.set_ylabel(metric)
    for axes in grid[1]:
        axes.set_xlabel("epoch")
        # Also where the panels of the next row do not reach.
        axes.tick_params(labelbottom=True)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(
        handles=[
            Line2D([], [], color=ORANGE, label="training"),
            Line2D([], [], color=BLUE, label="validation"),
        ],
        loc="outside upper left",
        ncols=2,
    )
    several = len(set(chosen["split"])) > 1
    over = (
        " Lines are means over splits, bands reach from the lowest to the highest split." * several
    )
    caption = (
        f"Loss (above) and {metric} (below) of the best {counted(len(shown), 'configuration')}"
        f" while training.{over} The training curve is measured while an epoch runs, with dropout"
        " and penalties, the validation curve after it; so the latter can lie below."
    )
    caption += "".join(f" {sentence}" for sentence in unfollowed(chosen, study))
    return Drawing(figure, caption, _curves_alt(chosen, shown))


def unfollowed(epochs: pd.DataFrame, study: Mapping[str, Any]) -> list[str]:
    """Return a sentence on epochs whose metric was followed at another threshold, if there are any.

    Parameters
    ----------
    epochs : DataFrame
        The table of epochs.
    study : mapping
        The resolved study. A training loop of the user's own may report no metric at all.
    """
    known = study["problem"]["type"] != "binary" or study["model"]["custom"] is not None
    if known or not epochs["metric"].isna().any():
        return []
    return [f"Epochs that were trained at another threshold have no {training_metric(study)}."]


def _draw_curve(axes: Axes, history: pd.DataFrame, column: str, marks: int) -> None:
    for name, colour in ((column, ORANGE), (f"val_{column}", BLUE)):
        curve = curve_over_splits(history, name)
        axes.plot(curve.index, curve["mean"], color=colour, marker="o" if len(curve) == 1 else "")
        if history["split"].nunique() > 1:
            axes.fill_between(
                curve.index,
                curve["min"],
                curve["max"],
                color=colour,
                alpha=0.18,
                lw=0,
                **rasterise_many(marks),
            )


def _curves_alt(chosen: pd.DataFrame, shown: pd.DataFrame) -> str:
    first = chosen[chosen["config_id"] == shown.iloc[0]["config_id"]]
    validation = curve_over_splits(first, "val_loss")["mean"]
    training = curve_over_splits(first, "loss")["mean"]
    text = f"Learning curves of {counted(len(shown), 'configuration')}. "
    if not len(validation) or not len(training):
        return text + "The selected one has no finite loss."
    return (
        f"{text}For the selected one, validation loss goes from {validation.iloc[0]:.3g} to its "
        f"lowest value {validation.min():.3g} in epoch {validation.idxmin()} and ends at "
        f"{validation.iloc[-1]:.3g} in epoch {validation.index[-1]}; training loss ends at "
        f"{training.iloc[-1]:.3g}."
    )
