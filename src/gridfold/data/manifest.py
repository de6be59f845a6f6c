"""What the prepared arrays of a study are, as it lies in ``data/manifest.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridfold.data.columns import FeatureColumn, feature_names
from gridfold.paths import ARRAYS
from gridfold.store.records import Record


@dataclass(frozen=True)
class Manifest(Record):
    """What the prepared arrays are.

    Attributes
    ----------
    samples : int
        Samples, those of the test set included.
    sample_shape : list of int
        Shape of the features of one sample.
    feature_type : {"float32", "uint8"}
    outputs : int
        Units of the output layer.
    test_start : int or None
        Index of the first sample of the source's own test set, if it has one.
    class_names : list of str or None
        Name of each class code; None for numbers.
    target_names : list of str
        Name of each output.
    digest : str
        SHA-256 of all that can change a result.
    has_missing : bool
        Whether some features are NaN, to be filled in each split.
    reading : dict
        How samples were read: ``images`` or ``windows``.
    columns : list of FeatureColumn or None
        What the columns of the features are, for tables.
    feature_names : list of str or None
        Names of the last axis of the features, where the source has some.
    checksums : dict of str to str or None
        Checksum of the file of each array; None in studies of earlier versions.
    """

    samples: int
    sample_shape: list[int]
    feature_type: str
    outputs: int
    test_start: int | None
    class_names: list[str] | None
    target_names: list[str]
    digest: str
    has_missing: bool
    reading: dict[str, Any]
    columns: list[FeatureColumn] | None
    feature_names: list[str] | None = None
    checksums: dict[str, str] | None = None

    @property
    def arrays(self) -> list[str]:
        """The arrays that were written: earlier versions had no ``starts``."""
        return [name for name in ARRAYS if name != "starts" or name in (self.checksums or ())]

    def plain(self) -> dict[str, Any]:
        """Return what is written as JSON."""
        columns = None if self.columns is None else [column.as_json() for column in self.columns]
        return super().plain() | {"columns": columns}

    @property
    def names_of_features(self) -> list[str]:
        """Names of the last axis of the features; numbers from 0 where the source has no names."""
        return feature_names(self.feature_names, self.sample_shape[-1])

    @property
    def names(self) -> list[str]:
        """Names of the classes, or of the outputs of a problem with numbers."""
        return self.target_names if self.class_names is None else self.class_names
