"""The figures and tables of the final model: its inside, and how it errs on classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold import architecture, calibrationfigure, insidefigures, mistakes, rocfigure
from gridfold.classtable import class_table
from gridfold.data import Array
from gridfold.drawing import Drawing, message, style
from gridfold.inside import Inside
from gridfold.parts import parts_of
from gridfold.pictures import are_images


@dataclass(frozen=True)
class ModelDrawings:
    """What is known of the final model.

    Attributes
    ----------
    drawings : dict of str to Drawing
    tables : dict of str to DataFrame
    """

    drawings: dict[str, Drawing]
    tables: dict[str, pd.DataFrame]


def draw_model(
    request: Mapping[str, Any],
    inside: Inside,
    *,
    out_of_fold: pd.DataFrame,
    test_predictions: pd.DataFrame,
    features: Array,
    targets: Array,
    manifest: Mapping[str, Any],
) -> ModelDrawings:
    """Draw the final model.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.Plan.report_request`.
    inside : Inside
    out_of_fold, test_predictions : DataFrame
        Predictions of the selected configuration and of the final model.
    features, targets : array
        Of all samples, as read.
    manifest : mapping
        What the prepared data are.
    """
    truth, names = insidefigures.truths(inside, targets, manifest)
    confidence = request["study"]["report"]["confidence"]
    with style():
        tables = {"layers": architecture.layers_table(inside.layers)}
        drawings = {
            "architecture": architecture.draw_architecture(inside.layers, manifest["sample_shape"]),
            **_draw_images(inside, features, truth, names),
        }
        if names is not None:
            parts = parts_of(out_of_fold, test_predictions, targets)
            tables["classes"] = class_table(parts, names, confidence)
            tables["misclassified"] = mistakes.mistakes_table(parts, names, features)
            drawings |= {
                "roc": rocfigure.draw_roc(parts, tables["classes"], names, confidence),
                "calibration": calibrationfigure.draw_calibration(parts, names, confidence),
                "misclassified": mistakes.draw_mistakes(parts, tables["misclassified"], features),
            }
    return ModelDrawings(drawings, tables)


def _draw_images(
    inside: Inside, features: Array, truth: list[str], names: list[str] | None
) -> dict[str, Drawing]:
    if not are_images(features.shape[1:]):
        text = (
            f"Samples of shape {tuple(features.shape[1:])} are no images (height, width, channels)."
        )
        return {
            "filters": Drawing(message(text), "First filters.", text),
            "activations": Drawing(message(text), "Maps through the layers.", text),
        }
    return {
        "filters": insidefigures.draw_filters(inside, features, truth),
        "activations": insidefigures.draw_activations(inside, features, truth, names),
    }
