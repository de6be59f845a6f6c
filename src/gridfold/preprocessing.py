"""Scaling, fitted on the training part of a split and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from gridfold.data import Array


@dataclass(frozen=True)
class Affine:
    """The map ``(x - center) * scale``.

    In this form, and not as ``x * scale + offset``, values that are large compared with their
    spread (years, coordinates) lose no digits in 32 bit.

    Attributes
    ----------
    center, scale : array of float32
        Of the shape of one sample, or of one number.
    """

    center: Array
    scale: Array

    def apply(self, values: Array) -> Array:
        """Return the scaled values, float32."""
        return (np.asarray(values, np.float32) - self.center) * self.scale

    def invert(self, values: Array) -> Array:
        """Return what :meth:`apply` made `values` from."""
        return np.asarray(values, np.float32) / self.scale + self.center


UNCHANGED = Affine(np.zeros(1, np.float32), np.ones(1, np.float32))


def fit_affine(kind: str, values: Array) -> Affine:
    """Fit a scaling.

    Parameters
    ----------
    kind : {"none", "standard", "minmax", "global"}
    values : array of shape (samples, *sample_shape)
        The training part.
    """
    shape = values.shape[1:]
    if kind == "none":
        return UNCHANGED
    flat = np.asarray(values, np.float64).reshape(
        -1, 1 if kind == "global" else int(np.prod(shape))
    )
    if kind == "minmax":
        fitted = MinMaxScaler().fit(flat)
        center, scale = fitted.data_min_, fitted.scale_
    else:
        fitted = StandardScaler().fit(flat)
        center, scale = fitted.mean_, 1 / fitted.scale_
    if kind != "global":
        center, scale = center.reshape(shape), scale.reshape(shape)
    return Affine(center.astype(np.float32), scale.astype(np.float32))
