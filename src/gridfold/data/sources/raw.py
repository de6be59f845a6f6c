"""What a source hands on: arrays as they were found, not yet checked against the problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.data.columns import FeatureColumn
from gridfold.data.description import ColumnDescription


def remedy_for_rows(*, has_windows: bool) -> str:
    """Return what to do about rows that have no usable value."""
    if has_windows:
        return "fill them: windows count rows, so that one less would shift time (data.sequence)"
    return "remove these samples"


@dataclass
class Raw:
    """The samples of a source.

    Attributes
    ----------
    features, targets : array_like
        Samples first.
    groups, weights, ids : array_like, optional
        One label, number or name for each sample; the source's own test samples have none.
    test_features, test_targets : array_like, optional
        The source's own test set.
    class_names, target_names : list of str, optional
        Where the source has them.
    feature_names : list of str, optional
        Names of the last axis of `features`.
    columns : list of FeatureColumn, optional
        What the columns of `features` are, for tables.
    spans : array_like of shape (samples, 2), optional
        First and last point in time that a sample knows, its target included, as ranks.
    sample_rows : array of shape (samples,), int64, optional
        The row of the source that has the target of each sample, where samples are windows.
    written : bool
        Whether targets are texts of a file, whose order is that of their numbers if all are some.
    reading : dict
        How samples were read, for what reads raw samples later: ``images`` or ``windows``.
    rows : int, optional
        Rows or files that the source has; as many as samples when left out.
    described : tuple of ColumnDescription
        The columns of a table.
    left_out : list of str
        What is not used, and why.
    notes : list of str
        What was guessed.
    """

    features: Any
    targets: Any
    groups: Any = None
    weights: Any = None
    ids: Any = None
    test_features: Any = None
    test_targets: Any = None
    class_names: list[str] | None = None
    target_names: list[str] | None = None
    feature_names: list[str] | None = None
    columns: list[FeatureColumn] | None = None
    spans: Any = None
    sample_rows: Array | None = None
    written: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None
    described: tuple[ColumnDescription, ...] = ()
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rows_of(self, chosen: Array) -> Array:
        """Return the rows of the source that have the targets of some samples.

        Parameters
        ----------
        chosen : array of shape (samples,), bool

        Returns
        -------
        array of int64
            Ascending.
        """
        positions = np.flatnonzero(chosen)
        return positions if self.sample_rows is None else np.sort(self.sample_rows[positions])

    @property
    def remedy(self) -> str:
        """What to do about samples without a usable target or weight."""
        return remedy_for_rows(has_windows=self.sample_rows is not None)
