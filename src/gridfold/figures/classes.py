"""How the final model tells classes apart: its figures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold.arrays import Array
from gridfold.figures import calibration, roc
from gridfold.figures import misclassified as mistakes
from gridfold.figures.style import Drawing, style
from gridfold.requests import ReportRequest
from gridfold.statistics.classes import class_table
from gridfold.tables.predictions import parts_of


@dataclass(frozen=True)
class ClassDrawings:
    """What is known of the classes.

    Attributes
    ----------
    drawings : dict of str to Drawing
        ``roc``, ``calibration`` and ``misclassified``.
    tables : dict of str to DataFrame
        ``classes`` and ``misclassified``.
    """

    drawings: dict[str, Drawing]
    tables: dict[str, pd.DataFrame]


def draw_classes(
    request: ReportRequest,
    *,
    out_of_fold: pd.DataFrame,
    test_predictions: pd.DataFrame,
    features: Array,
    targets: Array,
    manifest: Mapping[str, Any],
) -> ClassDrawings:
    """Draw how a binary or multiclass problem is solved.

    Parameters
    ----------
    request : ReportRequest
    out_of_fold, test_predictions : DataFrame
        Predictions of the selected configuration and of the final model.
    features, targets : array
        Of all samples, as read.
    manifest : mapping
        What the prepared data are.
    """
    names = [str(name) for name in manifest["class_names"]]
    confidence = request.study["report"]["confidence"]
    parts = parts_of(out_of_fold, test_predictions, targets)
    classes = class_table(parts, names, confidence)
    misclassified = mistakes.mistakes_table(parts, names, features)
    with style():
        drawings = {
            "roc": roc.draw_roc(parts, classes, names, confidence),
            "calibration": calibration.draw_calibration(parts, names, confidence),
            "misclassified": mistakes.draw_mistakes(parts, misclassified, features),
        }
    return ClassDrawings(drawings, {"classes": classes, "misclassified": misclassified})
