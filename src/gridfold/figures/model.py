"""The figures of the final model: its layers, its filters, and images on their way through it."""

from __future__ import annotations

from gridfold.arrays import Array, are_images
from gridfold.data.manifest import Manifest
from gridfold.figures import architecture
from gridfold.figures import inside as insidefigures
from gridfold.figures.style import Drawing, message, style
from gridfold.final.inside import Inside


def draw_model(
    inside: Inside, *, features: Array, targets: Array, manifest: Manifest
) -> dict[str, Drawing]:
    """Draw the inside of the final model: ``architecture``, ``filters`` and ``activations``.

    Parameters
    ----------
    inside : Inside
    features, targets : array
        Of all samples, as read.
    manifest : Manifest
    """
    truth, names = insidefigures.truths(inside, targets, manifest)
    with style():
        return {
            "architecture": architecture.draw_architecture(inside.layers, manifest.sample_shape),
            **_draw_images(inside, features, truth, names),
        }


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
