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
        "classes": {} if study.classes is None else _class_tables(study.classes),
        "classes_file": BESIDE.table_csv("classes"),
    }
    return ReportSection("errors", "Errors", "Errors of the selected configuration", content)


def _class_tables(classes: pd.DataFrame) -> dict[str, Table]:
    """Return precision, recall and F1 of each class, by what was predicted; the test set first.

    Nothing was selected by it.
    """
    parts = sorted(classes["part"].unique(), key=lambda part: part != TEST)
    return {part: _class_table(classes[classes["part"] == part]) for part in parts}


def _class_table(classes: pd.DataFrame) -> Table:
    """Return a row for each class; of very many, for the first ones."""
    columns = [
        text_column("class", "Class"),
        count_column("samples", "n", "samples of this class"),
        number_column("precision", "Precision", "share of it among samples predicted so", 3),
        number_column("recall", "Recall", "share predicted so among its samples", 3),
        number_column("f1", "F1", "harmonic mean of precision and recall", 3),
        number_column("average_precision", "AP", "precision averaged over recall", 3),
        number_column("roc_auc", "ROC AUC", "this class against the others", 3),
    ]
    return table_of(columns, classes.head(_MOST_CLASSES), len(classes))
