"""From trials to configurations: means with intervals, ranks, and the one that is selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gridfold.errors import GridfoldError
from gridfold.objectives import BEST
from gridfold.problems import Measure
from gridfold.requests import Objectives, SummaryRequest
from gridfold.statistics.front import means_of, selected_first, violations
from gridfold.statistics.intervals import mean_interval, rounding_variance
from gridfold.statistics.scored import Scored
from gridfold.store.selection import Selection
from gridfold.tables.trials import USAGE_COLUMNS, Column, all_measures, axis_columns

CONFIGURATION_COLUMNS = (
    Column(
        "rank",
        "int",
        "",
        "1 is the selected one: the best by the mean of the ranking measure, unless a rule of the "
        "study selects another one; failed ones last",
    ),
    Column("config_id", "string", "", "Configuration"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("model", "string", "", "Model family"),
    Column("difference", "float", "", "Mean of the ranking measure minus that of the best"),
    Column(
        "difference_error",
        "float",
        "",
        "Its corrected standard error, variance moderated; empty where trials failed",
    ),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column(
        "p_value",
        "float",
        "",
        "Corrected t-test against the best, adjusted for all pairs, as `p_any_pair` in "
        "comparisons.csv",
    ),
    Column(
        "may_be_best",
        "bool",
        "",
        "Whether it may be the best one, as in comparisons.csv; never where trials failed",
    ),
    Column("n_splits", "int", "", "Splits with a score"),
    Column("n_failed", "int", "", "Trials that failed"),
    Column("epochs_mean", "float", "epochs", "Mean of the epochs that were trained"),
    Column("best_epoch_median", "float", "epochs", "Median of the epochs that were scored"),
    Column("parameters", "int", "", "Trainable weights"),
    Column("fit_seconds_mean", "float", "s", "Mean wall time in epochs of a trial"),
    Column("fit_seconds_sum", "float", "s", "The same, summed over splits"),
    Column("core_hours", "float", "h", "CPU cores times wall time, all trials"),
    Column("gpu_hours", "float", "h", "GPUs times wall time, all trials"),
    Column("cpu_efficiency", "float", "", "Processor time over what the cores could have given"),
    Column("memory_mb", "float", "MB", "Most memory of any trial (peak RSS)"),
    Column("gpu_busy", "float", "", "Mean fraction of time in which the GPU computed (NVML)"),
)

WISH_COLUMNS = (
    Column(
        "within_constraints",
        "bool",
        "",
        "Whether it satisfies `search.constraints`; others come last and are compared with none. "
        "Only of a study with objectives, constraints or a rule that selects",
    ),
)
"""Before the number of splits."""


def summarise(trials: pd.DataFrame, request: SummaryRequest) -> pd.DataFrame:
    """Return one row for each configuration, best first.

    Parameters
    ----------
    trials : DataFrame
        The trials table.
    request : SummaryRequest

    Returns
    -------
    DataFrame
        :data:`CONFIGURATION_COLUMNS`, the axis columns, and ``<measure>_mean``, ``_sd``,
        ``_low``, ``_high`` for every measure, the last two within the measure's range.
    """
    measure = request.measure
    if measure not in trials:
        # Not one trial has a score.
        trials = trials.assign(**{measure: np.nan})
    # Tables of earlier versions know of no usage.
    missing = dict.fromkeys(set(USAGE_COLUMNS) - set(trials.columns), np.nan)
    trials = trials.assign(**missing)
    measures, axes = all_measures(trials), axis_columns(trials)
    finished = trials[trials["status"] == "finished"]
    table = _once_each(trials, finished, axes, measure)
    intervals = _scores_of_each(finished, measures, request.confidence)
    nothing = scores_over_splits(finished.iloc[:0], measures, request.confidence)
    rows = [intervals.get(name, nothing) for name in table["config_id"]]
    table = pd.concat([table, pd.DataFrame(rows)], axis="columns")
    # Whole numbers stay whole although configurations without this axis have none.
    table = table.astype({axis: trials[axis].dtype for axis in axes})
    if request.objectives is not None:
        return _weighed(table, trials, request, request.objectives)
    return _compared(_ranked(table, measure), trials, request)


def _once_each(
    trials: pd.DataFrame, finished: pd.DataFrame, axes: Sequence[str], measure: str
) -> pd.DataFrame:
    """Return a row for each configuration, in the order of the trials, without scores."""
    first = trials.drop_duplicates("config_id").set_index("config_id")[["label", "model", *axes]]
    all_of, done = (each.groupby("config_id", sort=False) for each in (trials, finished))
    columns = {
        "n_splits": done[measure].count(),
        "n_failed": all_of.size().sub(done.size(), fill_value=0),
        "epochs_mean": done["epochs_trained"].mean(),
        "best_epoch_median": done["best_epoch"].median(),
        "parameters": done["parameters"].max(),
        "fit_seconds_mean": done["fit_seconds"].mean(),
        "fit_seconds_sum": done["fit_seconds"].sum(),
        **_cost(trials),
    }
    table = first.assign(**{name: column.reindex(first.index) for name, column in columns.items()})
    without = {"n_splits": 0, "parameters": 0, "fit_seconds_sum": 0.0}
    whole = dict.fromkeys(("n_splits", "n_failed", "parameters"), "int64")
    return table.fillna(without).astype(whole).reset_index()


def _scores_of_each(
    finished: pd.DataFrame, measures: Sequence[str], confidence: float
) -> dict[str, dict[str, float]]:
    """Return what :func:`scores_over_splits` does of each configuration that has scores."""
    codes, names = pd.factorize(finished["config_id"])
    order = np.argsort(codes, kind="stable")
    # Arrays: a table for each of tens of thousands of configurations takes minutes.
    wanted = ("n_train", "n_validation", *measures)
    columns = {name: finished[name].to_numpy(np.float64, na_value=np.nan)[order] for name in wanted}
    ends = np.searchsorted(codes[order], np.arange(len(names)), side="right")
    found, begin = {}, 0
    for name, end in zip(names, ends, strict=True):
        part = {column: values[begin:end] for column, values in columns.items()}
        found[str(name)] = scores_over_splits(part, measures, confidence)
        begin = end
    return found


def _weighed(
    table: pd.DataFrame, trials: pd.DataFrame, request: SummaryRequest, objectives: Objectives
) -> pd.DataFrame:
    """Return the table with the selected configuration first, where more than a mean selects it."""
    means = means_of(trials, objectives.looked_at)
    missed = violations(means, objectives)
    place = list(table.columns).index("n_splits")
    within = table["config_id"].map(missed == "").astype(bool)
    table.insert(place, "within_constraints", within)
    ranked = _compared(_ranked(table, request.measure), trials, request)
    if objectives.rule == BEST:
        return ranked
    candidates = ranked[ranked["within_constraints"] & (ranked["n_failed"] == 0)]
    order = selected_first(candidates, means, objectives)
    others = [i for i in ranked["config_id"].astype(str) if i not in set(order)]
    # In the order that was found, each row compared with the selected one.
    by_id = table.set_index("config_id").loc[[*order, *others]].reset_index()
    return _compared(_numbered(by_id[table.columns.tolist()]), trials, request)


def scores_over_splits(
    scored: Mapping[str, Any] | pd.DataFrame, measures: Iterable[str], confidence: float
) -> dict[str, float]:
    """Return ``<measure>_mean``, ``_sd``, ``_low`` and ``_high`` of scores over the splits.

    Parameters
    ----------
    scored : DataFrame, or mapping of str to array
        A row for each split that has scores, with ``n_train`` and ``n_validation``.
    measures : iterable of str
        Its columns of scores. Intervals end at the range of the measure.
    confidence : float
    """
    parts = scored["n_validation"] / scored["n_train"]
    ratio = float(parts.mean()) if len(parts) else 0.0
    found: dict[str, float] = {}
    for name in measures:
        least = rounding_variance(name, scored[name], scored["n_validation"])
        interval = mean_interval(scored[name], ratio, confidence, least)
        low, high = np.clip([interval.low, interval.high], *Measure.of(name).range)
        found |= {
            f"{name}_mean": interval.mean,
            f"{name}_sd": interval.sd,
            f"{name}_low": low,
            f"{name}_high": high,
        }
    return found


def _cost(trials: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what the trials of each configuration cost, failed ones included."""
    all_of = trials.groupby("config_id", sort=False)
    known = trials[trials["cpu_efficiency"] > 0]
    offered = known["cpu_seconds"] / known["cpu_efficiency"]
    used, given = (
        each.groupby(known["config_id"], sort=False).sum()
        for each in (known["cpu_seconds"], offered)
    )
    return {
        "core_hours": all_of["core_hours"].sum(min_count=1),
        "gpu_hours": all_of["gpu_hours"].sum(min_count=1),
        "cpu_efficiency": used / given,
        "memory_mb": all_of["memory_mb"].max(),
        "gpu_busy": all_of["gpu_busy"].mean(),
    }


def _ranked(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Sort best first; configurations that lost trials come after all complete ones.

    A mean over the splits that happened to survive is not comparable with a mean over all. What
    does not satisfy the constraints of a study comes last.
    """
    out = ~table["within_constraints"] if "within_constraints" in table else False
    table = table.assign(_out=out, _incomplete=table["n_failed"] > 0)
    table = table.sort_values(
        ["_out", "_incomplete", f"{measure}_mean"],
        ascending=[True, True, Measure.of(measure).lower_is_better],
        kind="stable",
        na_position="last",
    ).drop(columns=["_out", "_incomplete"])
    return _numbered(table)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _compared(table: pd.DataFrame, trials: pd.DataFrame, request: SummaryRequest) -> pd.DataFrame:
    """Add how the configurations compare with the first one, by the test of all tables."""
    scored = Scored.of(trials, table, request.measure, request.confidence)
    names = list(scored.scores.columns)
    compared = pd.DataFrame(columns=[*_COMPARED, "p_value"], index=names, dtype=float)
    if len(names) > 1:
        found = scored.differences(names, names[0])
        for name, values in scored.columns_of(found).items():
            compared[name] = values
        compared["p_value"] = scored.test.of_any_pair(found.p_values)
        compared.iloc[0] = np.nan
    means = table[f"{request.measure}_mean"].astype(float)
    place = list(table.columns).index("model") + 1
    table.insert(place, "difference", means - means.iloc[0])
    # A mean over the splits that happened to survive can't be compared fairly.
    for shift, name in enumerate((*_COMPARED, "p_value"), 1):
        table.insert(place + shift, name, compared[name].reindex(table["config_id"]).to_numpy())
    place = list(table.columns).index("p_value") + 1
    may_be_best = table["config_id"].isin(scored.may_be_best.index[scored.may_be_best])
    table.insert(place, "may_be_best", may_be_best)
    return table


_COMPARED = ("difference_error", "difference_low", "difference_high")


def select(table: pd.DataFrame, request: SummaryRequest, tried: int = 0) -> Selection:
    """Return the selected configuration: the first one, mostly by the mean of the ranking measure.

    Parameters
    ----------
    table : DataFrame
        Configurations that are compared, the best first.
    request : SummaryRequest
    tried : int
        Configurations that the search has tried, cheap stages included.

    Raises
    ------
    GridfoldError
        When no configuration has a score.
    """
    best, measure, wanted = table.iloc[0], request.measure, request.objectives
    if np.isnan(best[f"{measure}_mean"]):
        raise GridfoldError(
            f"no trial of the study has a score ({measure}): all have failed, or it is not defined "
            "on their splits; tables/trials.csv has the reasons"
        )
    return Selection(
        config_id=str(best["config_id"]),
        label=str(best["label"]),
        measure=measure,
        confidence=request.confidence,
        mean=float(best[f"{measure}_mean"]),
        sd=_number(best[f"{measure}_sd"]),
        low=_number(best[f"{measure}_low"]),
        high=_number(best[f"{measure}_high"]),
        n_splits=int(best["n_splits"]),
        # Without validation data nothing can stop the final fit, so it takes the typical epoch.
        final_epochs=max(1, round(float(best["best_epoch_median"]))),
        configurations=len(table),
        tried=tried if tried > len(table) else None,
        may_be_best=int(table["may_be_best"].sum()),
        rule=wanted.rule if wanted is not None and wanted.rule != BEST else None,
        allowed=int(table["within_constraints"].sum())
        if wanted is not None and wanted.constraints
        else None,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
