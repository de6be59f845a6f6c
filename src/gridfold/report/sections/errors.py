"""The section on the errors of the selected configuration."""

from __future__ import annotations

import pandas as pd

from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import Table, count_column, number_column, table_of, text_column
from gridfold.tables.predictions import TEST
from gridfold.wording import threshold_sentence

_MOST_CLASSES = 40


def errors(study: ReportInput) -> ReportSection:
    """Return where the selected configuration is wrong, of classes with the scores of each."""
    content = {
        "threshold": threshold_sentence(study.card.positive_from, study.manifest.names),
        "classes": None if study.classes is None else _class_table(study.classes),
        "classes_file": BESIDE.table_csv("classes"),
    }
    return ReportSection("errors", "Errors", "Errors of the selected configuration", content)


def _class_table(classes: pd.DataFrame) -> Table | None:
    """Return precision, recall and F1 of each class, those of the test set first.

    Of very many classes, the first ones.
    """
    if not len(classes):
        return None
    parts = classes["part"].unique()
    # The test set comes first: nothing was selected by it.
    shown = classes.sort_values(
        "part", key=lambda part: part != TEST, kind="stable", ignore_index=True
    )
    total = len(shown)
    if total > _MOST_CLASSES * len(parts):
        shown = shown.groupby("part", sort=False).head(_MOST_CLASSES)
    columns = [
        text_column("part", "Samples of"),
        text_column("class", "Class"),
        count_column("samples", "n", "samples of this class"),
        number_column("precision", "Precision", "share of it among samples predicted so", 3),
        number_column("recall", "Recall", "share predicted so among its samples", 3),
        number_column("f1", "F1", "harmonic mean of precision and recall", 3),
        number_column("average_precision", "AP", "precision averaged over recall", 3),
        number_column("roc_auc", "ROC AUC", "this class against the others", 3),
    ]
    return table_of(columns, shown, total)
