"""The figures of the final model: its layers, its filters, and what it makes of its features."""

from __future__ import annotations

import pandas as pd

from gridfold.arrays import Array, Samples, are_images
from gridfold.data.manifest import Manifest
from gridfold.figures import architecture
from gridfold.figures import features as featurefigures
from gridfold.figures import inside as insidefigures
from gridfold.figures.style import Drawing, message, style
from gridfold.final.inside import Inside
from gridfold.store.model_card import ModelCard

FIGURES = ("architecture", "filters", "activations", "feature_importance")
"""In the order of the report."""


def draw_model(
    inside: Inside,
    importance: pd.DataFrame,
    card: ModelCard,
    *,
    features: Samples,
    targets: Array,
    manifest: Manifest,
) -> dict[str, Drawing]:
    """Draw the figures of :data:`FIGURES`.

    Parameters
    ----------
    inside : Inside
    importance : DataFrame
        :func:`gridfold.final.importance.feature_importance`.
    card : ModelCard
    features, targets : array
        Of all samples, as read.
    manifest : Manifest
    """
    truth, names = insidefigures.truths(inside, targets, manifest)
    with style():
        return {
            "architecture": architecture.draw_architecture(inside.layers, manifest.sample_shape),
            **_draw_images(inside, features, truth, names, card.positive_from),
            "feature_importance": featurefigures.draw_feature_importance(importance, card),
        }


def _draw_images(
    inside: Inside, features: Samples, truth: list[str], names: list[str] | None, threshold: float
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
        "activations": insidefigures.draw_activations(inside, features, truth, names, threshold),
    }
