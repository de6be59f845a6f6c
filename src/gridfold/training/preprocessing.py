"""What is fitted on the training part of a split and nothing else: scaling, and encoding of tables.

Fitted with scikit-learn and kept as plain numbers, which a file can hold that no program needs to
trust, and which are applied to any number of rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from gridfold import arrays
from gridfold.arrays import Array, Samples
from gridfold.data.columns import FeatureColumn
from gridfold.data.dataset import Dataset
from gridfold.errors import DataError


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
        scaled = np.asarray(values, np.float32) - self.center
        scaled *= self.scale
        return scaled

    def invert(self, values: Array) -> Array:
        """Return what :meth:`apply` made `values` from."""
        return np.asarray(values, np.float32) / self.scale + self.center


UNCHANGED = Affine(np.zeros(1, np.float32), np.ones(1, np.float32))


@dataclass(frozen=True)
class Number:
    """How a column of numbers becomes features.

    Attributes
    ----------
    fill : float or None
        What takes the place of missing values; None refuses them.
    indicator : bool
        Whether a further feature says where values were missing.
    """

    fill: float | None = None
    indicator: bool = False


@dataclass(frozen=True)
class Category:
    """How a column of categories becomes features of 0 and 1.

    Attributes
    ----------
    width : int
        Number of features.
    positions : tuple of int
        The feature of each code; -1 for none.
    unknown, missing : int
        The feature of unknown categories, and of missing values; -1 for none.
    """

    width: int
    positions: tuple[int, ...]
    unknown: int = -1
    missing: int = -1


@dataclass(frozen=True)
class Encoding:
    """Columns of a table as features: numbers first, then indicators, then categories.

    Attributes
    ----------
    columns : tuple of Number or Category
        In the order of the table's matrix (:func:`gridfold.data.columns.as_matrix`).
    """

    columns: tuple[Number | Category, ...]

    @property
    def numbers(self) -> list[int]:
        """Positions of the columns of numbers, which are the first features."""
        return [i for i, column in enumerate(self.columns) if isinstance(column, Number)]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(
            1 + column.indicator if isinstance(column, Number) else column.width
            for column in self.columns
        )

    def apply(self, matrix: Array) -> Array:
        """Return the features of `matrix`.

        Parameters
        ----------
        matrix : array of shape (..., columns), float32

        Returns
        -------
        array of shape (..., width), float32

        Raises
        ------
        DataError
            When a number is missing that nothing was fitted to replace.
        """
        result = np.zeros((*matrix.shape[:-1], self.width), np.float32)
        numbers = self.numbers
        end = len(numbers)
        for feature, position in enumerate(numbers):
            column = self.columns[position]
            assert isinstance(column, Number)
            values = matrix[..., position]
            gaps = np.isnan(values)
            if column.fill is None and gaps.any():
                row = int(np.argwhere(gaps)[0, 0])
                raise DataError(f"no value in row {row} of a column that never lacked one")
            result[..., feature] = np.where(gaps, np.float32(column.fill or 0), values)
            if column.indicator:
                result[..., end] = gaps
                end += 1
        for position, column in enumerate(self.columns):
            if isinstance(column, Category):
                result[..., end : end + column.width] = _one_hot(matrix[..., position], column)
                end += column.width
        return result


def _one_hot(codes: Array, column: Category) -> Array:
    # Missing values and unknown codes are the last two places.
    places = np.array([*column.positions, column.unknown, column.missing], np.int64)
    known = np.where(np.isnan(codes), len(places) - 1, codes)
    known = np.where((known < 0) | (known >= len(places)), len(places) - 2, known)
    # The last feature is that of -1: none.
    return np.eye(column.width + 1, dtype=np.float32)[places[known.astype(np.int64)]][..., :-1]


@dataclass(frozen=True)
class Preprocessing:
    """What turns samples as they are kept into what a model is trained on.

    Attributes
    ----------
    encoding : Encoding or None
        Of tables with categories or missing values.
    scaling : Affine
        Applied after it.
    """

    encoding: Encoding | None = None
    scaling: Affine = field(default=UNCHANGED)

    def encode(self, samples: Array) -> Array:
        """Return encoded samples before scaling, as a saved final model takes them."""
        return samples if self.encoding is None else self.encoding.apply(samples)

    def apply(self, samples: Array) -> Array:
        """Return what the model is trained on, float32."""
        return self.scaling.apply(self.encode(samples))

    def shape(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one sample that had `sample_shape`."""
        if self.encoding is None:
            return tuple(sample_shape)
        return (*sample_shape[:-1], self.encoding.width)


def fit(settings: Mapping[str, Any], dataset: Dataset, rows: Array) -> Preprocessing:
    """Fit encoding and scaling of the features.

    Parameters
    ----------
    settings : mapping
        The ``preprocessing`` settings of a configuration.
    dataset : Dataset
    rows : array of int64
        The training part.
    """
    kind = settings["normalise"]
    # In windows, a column is scaled alike in all rows.
    shape = dataset.features.shape[2 if "windows" in dataset.reading else 1 :]
    has_categories = any(column.categories for column in dataset.columns or ())
    if dataset.columns is None or not (dataset.has_missing or has_categories):
        return Preprocessing(None, fit_affine(kind, dataset.features, rows, shape))
    matrix = np.asarray(dataset.features[rows])
    encoding = fit_encoding(settings, dataset.columns, matrix)
    scaling = UNCHANGED
    if encoding.numbers and kind != "none":
        numbers = len(encoding.numbers)
        encoded = encoding.apply(matrix.reshape(-1, matrix.shape[-1]))
        fitted = fit_affine(kind, encoded[:, :numbers])
        # Features of 0 and 1 stay what they are.
        center = np.zeros(encoding.width, np.float32)
        scale = np.ones(encoding.width, np.float32)
        center[:numbers], scale[:numbers] = fitted.center, fitted.scale
        scaling = Affine(center, scale)
    return Preprocessing(encoding, scaling)


def fit_encoding(
    settings: Mapping[str, Any], columns: Iterable[FeatureColumn], matrix: Array
) -> Encoding:
    """Fit the encoding of a table.

    Parameters
    ----------
    settings : mapping
        The ``preprocessing`` settings of a configuration.
    columns : iterable of FeatureColumn
    matrix : array of shape (..., columns), float32
        The training part.
    """
    missing = settings.get("missing") or {
        "numbers": "refuse",
        "categories": "own",
        "indicator": False,
    }
    flat = matrix.reshape(-1, matrix.shape[-1])
    return Encoding(
        tuple(
            _fit_number(flat[:, [position]], missing, column.origin)
            if column.categories is None
            else _fit_category(
                flat[:, [position]],
                len(column.categories),
                missing["categories"],
                settings.get("min_frequency", 1),
            )
            for position, column in enumerate(columns)
        )
    )


def _fit_number(values: Array, missing: Mapping[str, Any], origin: float) -> Number:
    strategy = missing["numbers"]
    if strategy == "refuse":
        return Number()
    has_gaps = bool(np.isnan(values).any())
    if strategy == "zero" or np.isnan(values).all():
        return Number(0.0 - origin, missing["indicator"] and has_gaps)
    imputer = SimpleImputer(strategy=strategy).fit(values.astype(np.float64))
    return Number(float(imputer.statistics_[0]), missing["indicator"] and has_gaps)


def _fit_category(values: Array, count: int, missing: str, min_frequency: int) -> Category:
    replaced = None
    if missing == "most_frequent" and not np.isnan(values).all():
        imputer = SimpleImputer(strategy="most_frequent").fit(values)
        values, replaced = imputer.transform(values), int(imputer.statistics_[0])
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=min_frequency, sparse_output=False
    ).fit(values)
    # Everything that can stand in the column: each code, an unknown one, and nothing.
    asked = np.array([*range(count), count, np.nan], np.float32)[:, np.newaxis]
    answer = encoder.transform(asked)
    places = np.where(answer.any(axis=1), answer.argmax(axis=1), -1).tolist()
    *positions, unknown, gap = places
    if replaced is not None:
        gap = positions[replaced]
    return Category(answer.shape[1], tuple(positions), unknown, gap)


def fit_affine(
    kind: str,
    values: Samples,
    rows: Array | None = None,
    shape: tuple[int, ...] | None = None,
) -> Affine:
    """Fit a scaling.

    Parameters
    ----------
    kind : {"none", "standard", "minmax", "global"}
    values : array of shape (samples, *sample_shape)
    rows : array of int64, optional
        The training part; all samples when left out.
    shape : tuple of int, optional
        The last axes, of which each number is a feature; `sample_shape` when left out.
    """
    shape = values.shape[1:] if shape is None else shape
    if kind == "none":
        return UNCHANGED
    scaler = MinMaxScaler() if kind == "minmax" else StandardScaler()
    width = 1 if kind == "global" else int(np.prod(shape))
    rows = np.arange(len(values)) if rows is None else rows
    step = max(1, arrays.PIECE_BYTES // max(1, 8 * int(np.prod(values.shape[1:]))))
    for piece in arrays.pieces(rows, step):
        scaler.partial_fit(np.asarray(values[rows[piece]], np.float64).reshape(-1, width))
    if isinstance(scaler, MinMaxScaler):
        center, scale = scaler.data_min_, scaler.scale_
    else:
        center, scale = scaler.mean_, 1 / scaler.scale_
    if kind != "global":
        center, scale = center.reshape(shape), scale.reshape(shape)
    return Affine(center.astype(np.float32), scale.astype(np.float32))
