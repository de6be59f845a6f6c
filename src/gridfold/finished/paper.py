"""What a paper needs of a study: its table for LaTeX, and its figures in the width of a column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridfold.atomic import write_text
from gridfold.errors import not_run_yet
from gridfold.figures import classes as classfigures
from gridfold.figures import comparison as comparisonfigures
from gridfold.figures import model, scaling, study, style
from gridfold.final.inside import Inside
from gridfold.finished import journal, latex
from gridfold.paths import StudyPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.statistics.result import Comparison
from gridfold.store.records import read_record
from gridfold.tables.trials import StudyTables

_TABLES = ("trials", "epochs", "configurations", "comparisons", "scientific", "importance")


def export(plan: Plan, column: journal.JournalColumn, rows: int, folder: Path) -> list[Path]:
    """Write ``table.tex`` and all figures of a finished study into `folder`.

    Parameters
    ----------
    plan : Plan
    column : JournalColumn
    rows : int
        Most configurations in the table.
    folder : Path

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    StudyError
        When the study is not finished.
    """
    paths = plan.paths
    files = {name: str(paths.tables / f"{name}.parquet") for name in _TABLES}
    files["facts"] = str(paths.tables / "comparison.json")
    try:
        tables, comparison = StudyTables.read(files), Comparison.read(files)
        best = read_record(paths.tables / "best.json")
        card = read_record(paths.final / "card.json")
        drawn = _draw(plan, tables, comparison, card, column)
    except FileNotFoundError as error:
        # Of Arrow's errors the message is the path, of Python's the attribute.
        missing = Path(error.filename or str(error)).name
        text = f"{paths.root} is not finished: there is no {missing}"
        raise not_run_yet("paper", text, plan.files) from None
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.tex"
    text = latex.ranking_table(
        plan.study.study, tables.configurations, comparison, best, card, rows
    )
    write_text(table, text)
    return [table, *journal.save(drawn, column, folder)]


def _draw(
    plan: Plan,
    tables: StudyTables,
    comparison: Comparison,
    card: Mapping[str, Any],
    column: journal.JournalColumn,
) -> dict[str, style.Drawing]:
    request, paths = JobRequests(plan).report(), plan.paths
    predicted: dict[str, Any] = {
        "out_of_fold": pd.read_parquet(paths.tables / "best_predictions.parquet"),
        "test_predictions": pd.read_parquet(paths.final / "test_predictions.parquet"),
    }
    known: dict[str, Any] = {
        "targets": np.load(paths.data / "targets.npy", mmap_mode="r"),
        "manifest": read_record(paths.data / "manifest.json"),
    }
    features = np.load(paths.data / "features.npy", mmap_mode="r")
    inside = Inside.load(paths.final / "inside.npz")
    with style.at_most_columns(journal.most_panels(column)):
        found = {
            **study.draw_search(request, tables),
            **study.draw_test(request, tables, card=card, **known, **predicted),
            **model.draw_model(inside, features=features, **known),
            **comparisonfigures.draw_comparison(comparison),
        }
        if plan.study.problem.is_classification:
            classes = classfigures.draw_classes(request, features=features, **known, **predicted)
            found |= classes.drawings
        return found | (_scaling(paths) if plan.compares_world_sizes else {})


def _scaling(paths: StudyPaths) -> dict[str, style.Drawing]:
    table = pd.read_parquet(paths.tables / "scaling.parquet")
    return {"scaling": scaling.draw_scaling(table)}
