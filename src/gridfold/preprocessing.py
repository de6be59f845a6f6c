"""Scaling, fitted on the training part of a split and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from gridfold.data import Array


@dataclass(frozen=True)
class Affine:
    """The map ``x * scale + offset``.

    Attributes
    ----------
    scale, offset : array of float32
        Of the shape of one sample, or of one number.
    """

    scale: Array
    offset: Array

    def apply(self, values: Array) -> Array:
        """Return the scaled values, float32."""
        return np.asarray(values, np.float32) * self.scale + self.offset

    def invert(self, values: Array) -> Array:
        """Return what :meth:`apply` made `values` from."""
        return (np.asarray(values, np.float32) - self.offset) / self.scale


UNCHANGED = Affine(np.ones(1, np.float32), np.zeros(1, np.float32))


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
        scale, offset = fitted.scale_, fitted.min_
    else:
        fitted = StandardScaler().fit(flat)
        scale = 1 / fitted.scale_
        offset = -fitted.mean_ * scale
    if kind != "global":
        scale, offset = scale.reshape(shape), offset.reshape(shape)
    return Affine(scale.astype(np.float32), offset.astype(np.float32))
