"""What the checks of an audit look at: arrays, splits, and a bounded part of the features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.data.columns import feature_names
from gridfold.data.dataset import Dataset
from gridfold.data.description import DataDescription
from gridfold.data.splits import FINAL, Split, Splits
from gridfold.problems import Measure
from gridfold.requests import AuditRequest
from gridfold.study.sections.outer import outer_fold_of
from gridfold.study.sections.resampling import ORDERED_METHODS, share_of
from gridfold.wording import first_of, shorten

# Numbers of the features that a check holds at once, 4 bytes each.
_MOST_NUMBERS = 10_000_000
# Samples from which a check draws.
_MOST_SAMPLES = 20_000
# Below these many samples, nothing can be told from chance.
FEW_SAMPLES = 40
_SIDE = 8
_NAMED = 5


@dataclass(frozen=True)
class Material:
    """A prepared study.

    Attributes
    ----------
    dataset : Dataset
    splits : Splits
    request : AuditRequest
    description : DataDescription
    """

    dataset: Dataset
    splits: Splits
    request: AuditRequest
    description: DataDescription

    @property
    def development(self) -> Array:
        """Samples outside the test set."""
        return self.splits.by_name[FINAL].training

    @property
    def test(self) -> Array:
        """Samples of the test set."""
        return self.splits.test

    @cached_property
    def folds(self) -> dict[str, Split]:
        """The splits on which configurations are scored, with whole training parts.

        Those of outer folds are drawn in the same way of the same samples.
        """
        return {
            name: split
            for name, split in self.splits.by_name.items()
            if name != FINAL and share_of(name) == 1 and outer_fold_of(name) is None
        }

    @property
    def is_table(self) -> bool:
        """Whether a sample is one row of numbers."""
        return self.dataset.features.ndim == 2

    @property
    def are_images(self) -> bool:
        """Whether samples are images."""
        return arrays.are_images(self.dataset.features.shape[1:])

    @property
    def is_ordered(self) -> bool:
        """Whether splits follow the order of the samples."""
        return self.request.method in ORDERED_METHODS

    @property
    def is_classification(self) -> bool:
        """Whether targets are classes."""
        return self.dataset.class_names is not None

    @property
    def has_groups(self) -> bool:
        """Whether several samples share a group."""
        groups = self.dataset.groups
        return len(np.unique(groups)) < len(groups)

    @property
    def measure(self) -> Measure:
        """The measure that ranks configurations."""
        return Measure.of(self.request.measure)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns of a table."""
        count = self.dataset.features.shape[-1]
        columns = self.dataset.columns
        if columns is not None and len(columns) == count:
            return [column.name for column in columns]
        return feature_names(self.dataset.feature_names, count)

    @cached_property
    def is_category(self) -> Array:
        """Which columns of a table are codes of categories; (columns,), bool."""
        columns = self.dataset.columns
        if columns is None:
            return np.zeros(self.dataset.features.shape[-1], bool)
        return np.array([column.categories is not None for column in columns])

    @cached_property
    def numbers(self) -> Array:
        """Targets as one number each: class codes, or the first output."""
        targets = self.dataset.targets
        return targets if targets.ndim == 1 else targets[:, 0]

    def rows(self, candidates: Array, most: int = _MOST_SAMPLES, seed: int = 0) -> Array:
        """Return samples drawn from some, as many as are asked for and fit into memory.

        Returns
        -------
        array of int64
            Ascending.
        """
        width = max(1, int(np.prod(self.dataset.features.shape[1:])))
        count = max(1, min(most, _MOST_NUMBERS // width))
        if count >= len(candidates):
            return candidates
        drawn = np.random.default_rng(seed).choice(len(candidates), count, replace=False)
        return np.asarray(candidates[np.sort(drawn)])

    def flat(self, rows: Array) -> Array:
        """Return the features of some samples; (rows, numbers), float32."""
        return np.asarray(self.dataset.features[rows], np.float32).reshape(len(rows), -1)

    def comparable(self, rows: Array) -> Array:
        """Return the samples as points whose distances mean something; (rows, numbers), float32.

        Images become 8 x 8 grey values of mean 0 and deviation 1, so that brightness, contrast,
        noise and size do not matter.
        """
        if not self.are_images:
            return self.flat(rows)
        small = [
            _thumbnails(np.asarray(self.dataset.features[rows[piece]], np.float32))
            for piece in arrays.pieces(rows, 1000)
        ]
        return np.concatenate(small)

    def row_names(self, rows: Iterable[int]) -> str:
        """Return some samples in words, by number from 0 and by name where they have one."""
        ids = self.dataset.ids
        texts = (f"{r}" if ids is None else f"{r} ({shorten(str(ids[r]), 30)})" for r in rows)
        return first_of(texts, _NAMED)

    def column_names(self, places: Iterable[int]) -> tuple[str, ...]:
        """Return the names of some columns."""
        return tuple(self.names[place] for place in places)


def quoted(names: Sequence[str], most: int = _NAMED) -> str:
    """Return names of columns in words."""
    return first_of((f"`{shorten(name, 40)}`" for name in names), most)


def _thumbnails(images: Array) -> Array:
    """Return images of shape (n, height, width, channels) as (n, 64)."""
    grey = images.mean(axis=3)
    for axis in (1, 2):
        length = grey.shape[axis]
        if length > _SIDE:
            edges = np.linspace(0, length, _SIDE, endpoint=False).astype(int)
            sums = np.add.reduceat(grey, edges, axis=axis)
            shape = [1, 1, 1]
            shape[axis] = _SIDE
            grey = sums / np.diff([*edges, length]).reshape(shape)
    small = grey.reshape(len(grey), -1)
    small = small - small.mean(axis=1, keepdims=True)
    deviation = small.std(axis=1, keepdims=True)
    return np.asarray(small / np.where(deviation > 0, deviation, 1), np.float32)
