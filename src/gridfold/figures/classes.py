"""How the final model tells classes apart: its figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from gridfold.arrays import Array, Samples
from gridfold.data.manifest import Manifest
from gridfold.figures import calibration, roc
from gridfold.figures import misclassified as mistakes
from gridfold.figures.style import Drawing, style
from gridfold.requests import ReportRequest
from gridfold.statistics.classes import class_table
from gridfold.tables.predictions import PredictedSamples


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
    samples: Sequence[PredictedSamples],
    *,
    features: Samples,
    ids: Array,
    manifest: Manifest,
) -> ClassDrawings:
    """Draw how a binary or multiclass problem is solved.

    Parameters
    ----------
    request : ReportRequest
    samples : sequence of PredictedSamples
        What the selected configuration and the final model predict.
    features : array
        Of all samples, as read.
    ids : array of str
        Names of all samples; empty where they have none.
    manifest : Manifest
    """
    names, parts = manifest.names, list(samples)
    confidence = request.study["report"]["confidence"]
    classes = class_table(parts, names, confidence)
    misclassified = mistakes.mistakes_table(parts, names, features, ids, manifest)
    with style():
        drawings = {
            "roc": roc.draw_roc(parts, classes, names, confidence),
            "calibration": calibration.draw_calibration(parts, names, confidence),
            "misclassified": mistakes.draw_mistakes(parts, misclassified, features, manifest),
        }
    return ClassDrawings(drawings, {"classes": classes, "misclassified": misclassified})
