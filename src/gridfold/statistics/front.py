"""The Pareto front of a study, what a constraint rules out, and which configuration is selected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gridfold.errors import GridfoldError
from gridfold.objectives import COSTS, KNEE, SMALLEST, column_of, front_numbers, sign_of
from gridfold.requests import Objectives
from gridfold.tables.trials import Column

PARETO_COLUMNS = (
    Column("rank", "int", "", "As in the configurations table; the selected one is 1"),
    Column("config_id", "string", "", "Configuration"),
    Column("label", "string", "", "Its axis values in one line"),
    Column(
        "<objective>",
        "float",
        "",
        "Mean over the splits of each objective and of what else is limited; `parameters` counts "
        "all weights, those that are not trained included",
    ),
    Column("within_constraints", "bool", "", "Whether it satisfies every constraint"),
    Column("violations", "string", "", "The constraints that it does not satisfy; else empty"),
    Column(
        "front",
        "int",
        "",
        "1 for the Pareto front: no other one is as good in every objective and better in one, by "
        "means alone; 2 for the front without those, and so on. Empty where a constraint is not "
        "satisfied, trials failed, or a value is missing",
    ),
    Column(
        "may_be_best",
        "bool",
        "",
        "Whether it may be the best in the first objective, as in comparisons.csv; no where a "
        "constraint is not satisfied",
    ),
    Column("selected", "bool", "", "Whether it is the selected one"),
)


def means_of(trials: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean over the splits of measures and costs.

    Parameters
    ----------
    trials : DataFrame
        The trials table.
    names : sequence of str

    Returns
    -------
    DataFrame
        A column for each name, a row for each configuration by its id; NaN of what no finished
        trial has.
    """
    good = trials[trials["status"] == "finished"]
    values = pd.DataFrame({name: _values(good, column_of(name)) for name in names})
    means = values.groupby(good["config_id"].astype(str).to_numpy()).mean()
    ids = list(dict.fromkeys(trials["config_id"].astype(str)))
    return means.reindex(ids)


def _values(trials: pd.DataFrame, column: str) -> pd.Series:
    # Where not one trial has a score, there is no column of it.
    missing = pd.Series(math.nan, trials.index)
    return trials[column].astype(float) if column in trials else missing


def violations(means: pd.DataFrame, objectives: Objectives) -> pd.Series:
    """Return in words which constraints each configuration does not satisfy; else empty text.

    Parameters
    ----------
    means : DataFrame
        As of :func:`means_of`.
    objectives : Objectives
    """
    found = ["; ".join(c.text for c in objectives.missed(row)) for row in means.to_dict("records")]
    return pd.Series(found, index=means.index, dtype="str")


def fronts(means: pd.DataFrame, objectives: Objectives) -> pd.Series:
    """Return on which front each configuration lies, 1 being the Pareto front; by id.

    Parameters
    ----------
    means : DataFrame
        As of :func:`means_of`, of the configurations that are compared; NaN counts as worst.
    objectives : Objectives
    """
    points = oriented(means, objectives.names).fillna(-math.inf)
    return pd.Series(front_numbers(points.to_numpy().tolist()), means.index, dtype=int)


def oriented(means: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return means whose larger values are better."""
    return pd.DataFrame({name: sign_of(name) * means[name] for name in names})


def selected_first(table: pd.DataFrame, means: pd.DataFrame, objectives: Objectives) -> list[str]:
    """Return the ids of all configurations, the selected one first.

    Parameters
    ----------
    table : DataFrame
        The configurations that may be selected, best first: ``config_id`` and
        ``difference_error``, the standard error of the difference to the first one.
    means : DataFrame
        As of :func:`means_of`.
    objectives : Objectives
    """
    ids = table["config_id"].astype(str).tolist()
    if len(ids) < 2:
        return ids
    if objectives.rule == SMALLEST:
        chosen = _smallest(table, means, objectives)
    elif objectives.rule == KNEE:
        chosen = _knee(means.loc[ids], objectives)
    else:
        chosen = ids[0]
    return [chosen, *(one for one in ids if one != chosen)]


def _smallest(table: pd.DataFrame, means: pd.DataFrame, objectives: Objectives) -> str:
    """Return the cheapest within one standard error of the best (Breiman et al., 1984)."""
    first = objectives.names[0]
    own = means.loc[table["config_id"].astype(str).tolist()]
    best = own[first].iloc[0]
    behind = sign_of(first) * (best - own[first])
    errors = table["difference_error"].astype(float).to_numpy()
    near = own[(behind.to_numpy() <= np.nan_to_num(errors, nan=0.0))]
    cost = next(name for name in objectives.names if name in COSTS)
    # Of equals the better one: they stand in this order.
    return str(near[cost].fillna(math.inf).idxmin())


def _knee(means: pd.DataFrame, objectives: Objectives) -> str:
    """Return the point of the front that gives most of all objectives together.

    Each objective is taken in parts of its range on the front, costs in their logarithm. Of two
    objectives it is the point farthest from the line through both ends of the front (Das, 1999).
    """
    front = means[fronts(means, objectives) == 1].dropna(subset=list(objectives.names))
    if not len(front):
        return str(means.index[0])
    total = pd.Series(0.0, front.index)
    for name in objectives.names:
        values = front[name].astype(float)
        if name in COSTS:
            values = pd.Series(np.log(values.clip(lower=1e-12)), values.index)
        reach = float(values.max() - values.min())
        if reach > 0:
            total += sign_of(name) * (values - values.min()) / reach
    return str(total.round(12).idxmax())


def pareto_table(
    trials: pd.DataFrame, configurations: pd.DataFrame, objectives: Objectives
) -> pd.DataFrame:
    """Return one row for each configuration: objectives, constraints and its front.

    Parameters
    ----------
    trials, configurations : DataFrame
        The tables of these names.
    objectives : Objectives

    Returns
    -------
    DataFrame
        :data:`PARETO_COLUMNS`, in the order of `configurations`: the selected one first.
    """
    ids = configurations["config_id"].astype(str).tolist()
    means = means_of(trials, objectives.looked_at).loc[ids]
    missed = violations(means, objectives)
    complete = (configurations["n_failed"] == 0).to_numpy()
    known = means[list(objectives.names)].notna().all(axis=1).to_numpy()
    compared = means[complete & known & (missed == "").to_numpy()]
    number = fronts(compared, objectives).reindex(ids).astype("Int64")
    return pd.DataFrame(
        {
            "rank": configurations["rank"].to_numpy(),
            "config_id": ids,
            "label": configurations["label"].to_numpy(),
            **{name: means[name].to_numpy() for name in objectives.looked_at},
            "within_constraints": (missed == "").to_numpy(),
            "violations": missed.to_numpy(),
            "front": number.to_numpy(),
            "may_be_best": configurations["may_be_best"].to_numpy(),
            "selected": configurations["rank"].to_numpy() == 1,
        }
    ).astype({"front": "Int64"})


def require_candidate(
    trials: pd.DataFrame, configurations: pd.DataFrame, objectives: Objectives
) -> None:
    """Refuse to select where no configuration satisfies the constraints.

    Raises
    ------
    GridfoldError
        With what comes nearest to them.
    """
    means = means_of(trials, objectives.looked_at)
    if not objectives.constraints or (violations(means, objectives) == "").any():
        return
    raise GridfoldError(nobody_left(means, objectives, configurations))


def nobody_left(
    means: pd.DataFrame, objectives: Objectives, labelled: pd.DataFrame, where: str = "study"
) -> str:
    """Say that no configuration satisfies the constraints, and which one comes nearest.

    Parameters
    ----------
    means : DataFrame
        As of :func:`means_of`.
    objectives : Objectives
    labelled : DataFrame
        With ``config_id`` and ``label``.
    where : str
        What has no such configuration.
    """
    wanted = " and ".join(c.text for c in objectives.constraints)
    miss = {
        config_id: sum(max(0.0, c.excess(row[c.name])) for c in objectives.constraints)
        for config_id, row in zip(means.index.tolist(), means.to_dict("records"), strict=True)
        if not any(math.isnan(row[c.name]) for c in objectives.constraints)
    }
    text = f"no configuration of the {where} satisfies search.constraints ({wanted})"
    if not miss:
        return f"{text}: no finished trial has what they are about; see tables/trials.csv"
    nearest = min(miss, key=lambda config_id: miss[config_id])
    labels = dict(zip(labelled["config_id"].astype(str), labelled["label"], strict=True))
    own = means.loc[nearest]
    values = ", ".join(f"{c.name} {float(own[c.name]):,.6g}" for c in objectives.constraints)
    return (
        f"{text}, so none is selected; nearest is {nearest} ({labels[nearest]}) with {values}. "
        "Allow more, or search a space with such configurations"
    )
