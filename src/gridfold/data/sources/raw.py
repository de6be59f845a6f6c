"""What a source hands on: arrays as they were found, not yet checked against the problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridfold.data.columns import FeatureColumn
from gridfold.data.description import ColumnDescription


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
    written: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None
    described: tuple[ColumnDescription, ...] = ()
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
