"""Samples as a reader knows them: by their names, with the names and values of their columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gridfold.arrays import Array, Samples
from gridfold.data.columns import FeatureColumn
from gridfold.data.manifest import Manifest


def written_samples(features: Samples, samples: Array, manifest: Manifest) -> pd.DataFrame:
    """Return samples that are rows of numbers as they stood in their source.

    Parameters
    ----------
    features : array of shape (samples, features)
        Of all samples, as kept: categories as codes, numbers less their origin.
    samples : array of int64
        Rows of `features`.
    manifest : Manifest

    Returns
    -------
    DataFrame
        One row for each of `samples`, a column for each feature, by its name; empty cells where a
        value is missing.
    """
    rows = np.asarray(features[samples])
    columns = manifest.columns or [FeatureColumn(name) for name in manifest.names_of_features]
    return pd.DataFrame(
        {
            name: _written(rows[:, place], column)
            for place, (name, column) in enumerate(
                zip(manifest.names_of_features, columns, strict=True)
            )
        }
    )


def _written(values: Array, column: FeatureColumn) -> pd.Series:
    if column.categories is None:
        # What was taken off is a whole 64-bit number, which 32 bit would round.
        return pd.Series(values.astype(np.float64) + column.origin if column.origin else values)
    names = dict(enumerate(column.categories))
    return pd.Series([names.get(value) for value in values], dtype="str")
