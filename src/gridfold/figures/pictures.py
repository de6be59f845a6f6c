"""Samples and feature maps as pictures: what the figures of filters, maps and mistakes share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gridfold.arrays import Array

BORDER = "#9CA3AF"
# Signed numbers: red and blue with white at zero can be told apart with every form of colour
# blindness. Numbers from zero on: one that is as even in grey as in colour.
SIGNED, UNSIGNED = "RdBu_r", "viridis"
_LEAST_PIXELS = 20


def as_pictures(samples: Array) -> Array:
    """Return images as grey or coloured pictures in [0, 1], all on one scale.

    Parameters
    ----------
    samples : array of shape (samples, height, width, channels)
        As read. One channel is grey, three are red, green and blue; of any other number, the mean.

    Returns
    -------
    array of shape (samples, height, width) or (samples, height, width, 3), float32
    """
    values = np.asarray(samples, np.float32)
    if values.shape[-1] != 3:
        values = values.mean(axis=-1)
    low, high = (0.0, 255.0) if samples.dtype == np.uint8 else (values.min(), values.max())
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def kernels_as_pictures(filters: Array) -> tuple[Array, float | None]:
    """Return filters as pictures, and the number that the strongest colour stands for.

    Parameters
    ----------
    filters : array of shape (rows, columns, channels, filters)

    Returns
    -------
    pictures : array of shape (filters, rows, columns) or (filters, rows, columns, 3)
        Of three channels, each filter as colours on a scale of its own, grey where it is zero.
    limit : float or None
        None for coloured pictures.
    """
    kernels = np.moveaxis(filters, -1, 0)
    if kernels.shape[-1] == 3:
        most = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
        return 0.5 + 0.5 * kernels / np.maximum(most, 1e-12), None
    pictures = kernels.mean(axis=-1)
    return pictures, float(max(np.abs(pictures).max(initial=0), 1e-12))


def show(axes: Axes, picture: Array, **options: Any) -> Any:
    """Draw a picture with a thin border and nothing around it; returns what a colour bar needs."""
    if picture.ndim == 2 and "cmap" not in options:
        options |= {"cmap": "gray", "vmin": 0, "vmax": 1}
    shown = axes.imshow(picture, interpolation="nearest", **options)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(BORDER)
        side.set_linewidth(0.6)
    return shown


def mosaic(maps: Array) -> Array:
    """Return maps side by side, nearly as a square, with gaps of NaN between them.

    Parameters
    ----------
    maps : array of shape (rows, columns, channels)
    """
    # So many pixels that a gap of one of them is narrow.
    fold = max(1, math.ceil(_LEAST_PIXELS / max(maps.shape[:2])))
    maps = maps.repeat(fold, axis=0).repeat(fold, axis=1)
    height, width, channels = maps.shape
    columns = math.ceil(math.sqrt(channels))
    rows = math.ceil(channels / columns)
    gap = max(1, round(max(height, width) / 10))
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for channel in range(channels):
        top = (channel // columns) * (height + gap)
        left = (channel % columns) * (width + gap)
        picture[top : top + height, left : left + width] = maps[..., channel]
    return picture
