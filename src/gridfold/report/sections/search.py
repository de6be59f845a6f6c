"""The section of the report about the path of a search in stages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gridfold.plan.stage_names import CONFIRM, phase_of, title_of
from gridfold.problems import Measure
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.sections.asynchronous import asynchrony
from gridfold.report.sections.racing import race_rows, race_sentences
from gridfold.report.sections.stopping import stopping_sentences
from gridfold.report.tables import Cell, Heading, Table
from gridfold.wording import counted, decimals, duration, measure_name, number, percent


def search(study: ReportInput) -> ReportSection | None:
    """Return how a search in stages came to its answer, what it cost, and how optimistic it was."""
    if study.search is None or "search_path" not in study.figures:
        return None
    measure = study.request.measure
    stages = stage_summary(study.search, measure)
    left = study.race
    content = {
        "sentences": [
            _effort(study.search, stages),
            *stopping_sentences(study.stopping),
            *asynchrony(study.search, study.request.study),
            *(() if left is None else race_sentences(left, study.search, measure)),
            *optimism(
                study.search,
                study.best.config_id,
                measure,
                unseen=study.best.estimate is not None and study.best.estimate.unseen,
                is_corrected=study.best.headline.is_corrected,
            ),
        ],
        "stages": _table(stages, measure),
        "search_file": BESIDE.table_csv("search"),
        "race": race_rows(left, measure) if left is not None and len(left) else None,
        "race_file": BESIDE.table_csv("race"),
    }
    return ReportSection("search", "Search", "The path of the search", content)


def stage_summary(steps: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return one row for each stage; the batches of a search that may stop are one.

    Parameters
    ----------
    steps : DataFrame
        The search table.
    measure : str
        That ranks.

    Returns
    -------
    DataFrame
        ``stage``, ``configurations``, ``epochs``, ``n_splits``, ``n_failed``, ``score`` (the
        best), ``effort`` (epochs x samples) and ``fit_seconds``.
    """
    return (
        steps.groupby(steps["stage"].map(phase_of), sort=False)
        .agg(
            configurations=("config_id", "nunique"),
            epochs=("epochs", "max"),
            n_splits=("n_splits", "max"),
            n_failed=("n_failed", "sum"),
            score=("score", Measure.of(measure).direction),
            effort=("effort", "sum"),
            fit_seconds=("fit_seconds", "sum"),
        )
        .reset_index()
    )


def _effort(steps: pd.DataFrame, stages: pd.DataFrame) -> str:
    last = stages.iloc[-1]
    share = last["effort"] / stages["effort"].sum() if stages["effort"].sum() else 0.0
    tried = counted(steps["config_id"].nunique(), "configuration")
    text = f"The search tried {tried} in {counted(len(stages), 'stage')}"
    if last["stage"] == CONFIRM:
        finalists = counted(int(last["configurations"]), "finalist")
        text += (
            f". {finalists[0].upper()}{finalists[1:]} went through the confirmation, which took "
            f"{percent(round(share, 2))} of the effort"
        )
    return (
        f"{text}. Scores of different stages come from trainings of different length, or on other "
        "samples, and are not compared; the ranking above is of the last stage alone."
        if last["stage"] == CONFIRM
        else f"{text}. The ranking above is of those that were trained in full; scores of shorter "
        "trainings are not compared with theirs."
    )


def optimism(
    steps: pd.DataFrame,
    selected: str,
    measure: str,
    *,
    unseen: bool = False,
    is_corrected: bool = True,
) -> Iterator[str]:
    """Say how the search's own estimates compare with the confirmed ones.

    Parameters
    ----------
    steps : DataFrame
        The search table.
    selected : str
        Id of the selected configuration.
    measure : str
    unseen : bool
        Whether confirmed scores are of samples that the search never saw.
    is_corrected : bool
        Whether there is a score that is corrected for the selection.
    """
    confirmed = steps[steps["stage"] == CONFIRM].set_index("config_id")["score"].dropna()
    if not len(confirmed):
        yield (
            "No stage confirms the winner on splits of its own, so its score is the best of many "
            "and optimistic; `search.confirm` would take out the luck with the splits."
        )
        return
    counts_all = "The corrected score counts all of these; o" if is_corrected else "O"
    yield (
        "The confirmation scores the finalists on samples that the search never saw, so only the "
        "choice among the finalists flatters their best one."
        if unseen
        else "The confirmation draws new splits of the same samples. It takes out the luck that a "
        "configuration had with the old splits and the starts of its trainings, and not the luck "
        "that it had with these samples, by which it became a finalist: confirmed scores are still "
        f"those of the best of all that were tried. {counts_all}nly samples that the search never "
        "saw, as a held-out test set, are free of it."
    )
    earlier = steps[(steps["stage"] != CONFIRM) & steps["config_id"].isin(confirmed.index)]
    before = earlier.dropna(subset="score").groupby("config_id").last().reindex(confirmed.index)
    sign = Measure.of(measure).sign
    gain = sign * (before["score"] - confirmed)
    places = decimals([float(gain.std())], confirmed.tolist())
    name = measure_name(measure)
    if selected in confirmed.index:
        own = before.loc[[selected]].to_dict("records")[0]
        yield (
            f"The search itself gave the selected configuration {name} "
            f"{number(float(own['score']), places)} ({title_of(str(own['stage']))}, "
            f"{counted(int(own['epochs']), 'epoch')}, {counted(int(own['n_splits']), 'split')}); "
            f"confirmed is {number(float(confirmed[selected]), places)}. "
            + _judged(float(gain[selected]), places)
        )
    if len(confirmed) > 1:
        mean = float(gain.mean())
        side = "above" if sign * mean > 0 else "below"
        yield (
            f"Over the {len(confirmed)} finalists, the search's estimates lay "
            f"{number(abs(mean), places)} {side} the confirmed ones on average. Two things act "
            "against each other: shorter trainings on fewer samples score worse, and the best of "
            "many scores is too good."
        )


def _judged(gain: float, places: int) -> str:
    if not np.isfinite(gain) or number(abs(gain), places).strip("0.") == "":
        return "The two agree."
    kind = "optimistic" if gain > 0 else "pessimistic"
    return f"The search's estimate was {number(abs(gain), places)} too {kind}."


def _table(stages: pd.DataFrame, measure: str) -> Table:
    total = int(stages["effort"].sum())
    name = measure_name(measure)
    headings = [
        Heading("Stage", numeric=False),
        Heading("Configurations"),
        Heading("Epochs", "that each trial has had at its end"),
        Heading("Splits", "of each configuration"),
        Heading("Failed", "trials"),
        Heading(f"Best {name}", "of the stage, mean over its splits"),
        Heading("Effort", "epochs times samples that were trained in this stage"),
        Heading("Share", "of the effort of the whole search"),
        Heading("Training time", "of these epochs, all trials"),
    ]
    places = decimals([], stages["score"].tolist())
    rows = []
    for row in stages.to_dict("records"):
        share = row["effort"] / total if total else 0.0
        texts = [
            title_of(row["stage"]),
            f"{row['configurations']:,}",
            str(row["epochs"]),
            str(row["n_splits"]),
            str(row["n_failed"]),
            number(row["score"], places),
            f"{row['effort']:,}",
            percent(round(share, 2)),
            duration(row["fit_seconds"]),
        ]
        rows.append([Cell(text) for text in texts])
    return Table(headings, rows, len(rows))
