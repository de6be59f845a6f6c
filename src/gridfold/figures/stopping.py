"""The figure of a search that may stop: the best score so far against what it has cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfold.arrays import Scores
from gridfold.figures.style import (
    BLUE,
    GREY,
    SKY,
    VERMILLION,
    Drawing,
    message,
    page_width,
    rasterise_many,
    style,
)
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stopping import StopDecision, last_decision
from gridfold.problems import Measure
from gridfold.wording import counted, decimals, direction, measure_name, number


def draw_stopping(trials: pd.DataFrame, files: Sequence[StageFile], measure: str) -> Drawing:
    """Draw the best score so far against core-hours, the noise as a band, and where it ended.

    Parameters
    ----------
    trials : DataFrame
        All trials of the search, with ``stage``.
    files : sequence of StageFile
        Of what was explored, batch by batch.
    measure : str
        That ranks.
    """
    with style():
        return _drawn(explored(trials, files, measure), files, measure)


def explored(trials: pd.DataFrame, files: Sequence[StageFile], measure: str) -> pd.DataFrame:
    """Return the explored configurations in their order.

    Parameters
    ----------
    trials, files, measure
        As for :func:`draw_stopping`.

    Returns
    -------
    DataFrame
        ``score``, the mean over the splits, NaN where one is missing; ``best``, so far; and
        ``core_hours``, of all until then, NaN where they are not known.
    """
    own = trials[trials["stage"].isin([file.stage for file in files])]
    splits = files[0].splits
    groups = own.groupby("config_id")
    ids = [c.id for file in files for c in file.configurations]
    finished = own[own["status"] == "finished"]
    complete = finished.groupby("config_id")[measure].count() == len(splits)
    means = finished.groupby("config_id")[measure].mean()[complete]
    table = pd.DataFrame({"score": means.reindex(ids).to_numpy(np.float64)})
    best = (
        table["score"].cummin() if Measure.of(measure).lower_is_better else table["score"].cummax()
    )
    hours = groups["core_hours"].sum(min_count=1).reindex(ids).to_numpy(np.float64)
    known = np.isfinite(hours).any()
    return table.assign(
        best=best.ffill(),
        core_hours=np.nancumsum(hours) if known else np.full(len(ids), np.nan),
    )


def _drawn(table: pd.DataFrame, files: Sequence[StageFile], measure: str) -> Drawing:
    decision = last_decision(file.decision for file in files)
    name = measure_name(measure)
    knows_hours = bool(table["core_hours"].notna().any())
    x = table["core_hours"].to_numpy() if knows_hours else np.arange(1.0, len(table) + 1)
    cost = "core-hours" if knows_hours else "configurations"
    caption = (
        f"The best {name} so far against the {cost} of the search; each dot is a configuration "
        "with its mean over the splits. The band reaches as far to both sides of the best score as "
        "the noise of the cross-validation: the corrected standard error of a good configuration’s "
        "mean."
    )
    if not table["best"].notna().any():
        figure = message("No configuration has a score on every split")
        return Drawing(figure, caption, "No configuration has a score on every split.")
    figure = Figure(figsize=(min(page_width(), 8), 4), layout="constrained")
    axes = figure.subplots()
    best = float(table["best"].iloc[-1])
    noise = None if decision is None else decision.noise
    if noise is not None:
        axes.axhspan(best - noise, best + noise, color=SKY, alpha=0.25, lw=0, label="noise")
    axes.plot(x, table["score"], ".", color=GREY, ms=5, alpha=0.7, **rasterise_many(len(table)))
    axes.plot(x, table["best"], "-", color=BLUE, lw=2, drawstyle="steps-post", label="best so far")
    if decision is not None and decision.stops:
        place = x[min(decision.tried, len(x)) - 1]
        axes.axvline(place, color=VERMILLION, ls="--", label=f"stopped after {decision.tried:,}")
    _limit(axes, table["score"].to_numpy(np.float64), best, noise)
    axes.set_xlabel(cost)
    axes.set_ylabel(f"{name} ({direction(measure)})")
    figure.legend(loc="outside upper left", ncols=3)
    return Drawing(figure, caption, _alt(table, decision, measure, x, cost))


def _limit(axes: Axes, scores: Scores, best: float, noise: float | None) -> None:
    """Show the better half of the scores: a few that diverged would hide all else."""
    known = scores[np.isfinite(scores)]
    reach = max(abs(best - float(np.median(known))), 2 * (noise or 0.0))
    if reach > 0:
        axes.set_ylim(best - 1.3 * reach, best + 1.3 * reach)
    low, high = axes.get_ylim()
    if (known <= best).all():
        axes.set_ylim(low, min(high, best + max(1.5 * (noise or 0.0), 0.15 * reach or high - best)))
    else:
        axes.set_ylim(max(low, best - max(1.5 * (noise or 0.0), 0.15 * reach or best - low)), high)


def _alt(
    table: pd.DataFrame, decision: StopDecision | None, measure: str, x: Scores, cost: str
) -> str:
    best = table["best"].to_numpy(np.float64)
    noise = None if decision is None else decision.noise
    places = decimals([noise], [float(best[-1])])
    last = int(np.flatnonzero(best == best[-1])[0])
    spent = f"{x[-1]:.2g} core-hours" if cost == "core-hours" else "all"
    text = (
        f"The best {measure_name(measure)} so far over {counted(len(table), 'configuration')} "
        f"({spent}). It reaches {number(float(best[-1]), places)} with configuration "
        f"{last + 1} and is not improved after it."
    )
    return text if decision is None else f"{text} The search {decision.sentence}."
