"""What a race over the splits has left behind, for the section about the search."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gridfold.plan.stage_names import EXPLORE, is_race_round
from gridfold.report.tables import Cell, Heading, Table
from gridfold.search.racing import risk_of_all
from gridfold.wording import counted, decimals, measure_name, number, p_value, percent

_MOST_ROWS = 50
_SMALL = 0.001
_REASONS = {
    "first split": "among the worse half",
    "behind": "too far behind",
    "failed": "a trial failed",
}


def race_sentences(left: pd.DataFrame, steps: pd.DataFrame, measure: str) -> Iterator[str]:
    """Say what a race has saved, and what the risk of it is.

    Parameters
    ----------
    left : DataFrame
        The race table.
    steps : DataFrame
        The search table.
    measure : str
    """
    is_round = steps["stage"].eq(EXPLORE) | steps["stage"].map(is_race_round)
    reached = steps[is_round].groupby("config_id")["n_splits"].max()
    splits, began = int(reached.max()), len(reached)
    ended = int((reached == splits).sum())
    share = percent(round(float(reached.sum()) / (began * splits), 2))
    told = {*left["config_id"], *steps.loc[~is_round, "config_id"]}
    cut = len(set(reached.index[reached < splits]) - told)
    yield (
        f"{counted(began, 'configuration')} raced over {counted(splits, 'split')}: after each, "
        f"those went on that could still become the best of all. {ended:,} reached the end"
        + (", and are compared above" if is_round.all() and ended > 1 else "")
        + (f", {cut:,} did not because of the budget" if cut else "")
        + f"; the race took {share} of the {began * splits:,} trials of all."
        + _of_those_left(len(left))
    )
    judged = left["risk"].notna()
    if not judged.any():
        return
    loss = float(left["expected_loss"].sum())
    count = int(judged.sum())
    which = "the one configuration" if count == 1 else f"one of the {count:,} configurations"
    yield (
        f"The risk that {which} left behind would have had the best mean over all splits is "
        f"{_at_most(risk_of_all(left))}; what is lost by it is expected to be at most "
        f"{number(loss, decimals([loss], []))} in {measure_name(measure)}. This assumes that each "
        "score is the sum of what belongs to its configuration, what belongs to its split, and "
        "noise which is as large everywhere."
    )


def _of_those_left(count: int) -> str:
    if not count:
        return ""
    if count == 1:
        return (
            " The one that it left behind has no mean over all splits; it is listed below, and "
            "compared with none."
        )
    return (
        " Those that it left behind have no mean over all splits; they are listed below, and "
        "compared with none."
    )


def _at_most(risk: float) -> str:
    if risk < _SMALL:
        return f"below {percent(_SMALL)}"
    return f"at most {percent(round(risk, 3))}"


def race_rows(left: pd.DataFrame, measure: str) -> Table:
    """Return what was left behind as a table, the most dangerous first."""
    name = measure_name(measure)
    headings = [
        Heading("Configuration", numeric=False),
        Heading("Splits", "that it was trained on"),
        Heading("Left behind", "why", numeric=False),
        Heading(name, "mean over these splits"),
        Heading("Behind", "the best one of the end, on these splits"),
        Heading("Allowed", "how much it might have been behind the leader of then"),
        Heading("Risk", "that all splits would have turned it round, at most"),
    ]
    shown = left.sort_values("risk", ascending=False, kind="stable").head(_MOST_ROWS)
    places = decimals([], left["score"].dropna().tolist())
    rows = []
    for row in shown.to_dict("records"):
        texts = [
            number(row["score"], places),
            number(row["behind"], places),
            number(row["allowed"], places),
            "" if pd.isna(row["risk"]) else p_value(row["risk"]),
        ]
        rows.append(
            [
                Cell(str(row["label"])),
                Cell(str(row["n_splits"])),
                Cell(_REASONS[str(row["reason"])]),
                *(Cell(text) for text in texts),
            ]
        )
    return Table(headings, rows, len(left))
