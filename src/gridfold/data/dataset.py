"""Data: read once from its source, checked, and kept as memory-mapped arrays for every trial."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gridfold import arrays as bigarrays
from gridfold.arrays import Array, Samples, Windows
from gridfold.atomic import replacing
from gridfold.data import sources
from gridfold.data.columns import FeatureColumn
from gridfold.data.describing import describe
from gridfold.data.description import DataDescription
from gridfold.data.manifest import Manifest
from gridfold.data.precision import require_32_bit
from gridfold.data.sources import Raw
from gridfold.data.targets import checked_targets
from gridfold.data.values import first_word
from gridfold.errors import DataError
from gridfold.paths import ARRAYS, array_file, description_file, manifest_file
from gridfold.problems import Measure
from gridfold.store.records import intact
from gridfold.store.seals import file_checksum, set_aside
from gridfold.typed_json import DamagedRecord
from gridfold.usercode.marks import file_mark

log = logging.getLogger(__name__)

# Reading for so long is worth a line in the log.
_LONG_SECONDS = 3.0


@dataclass(frozen=True)
class Dataset:
    """Samples with targets, ready for training.

    Attributes
    ----------
    features : array of shape (samples, *sample_shape), float32 or uint8; or Windows, float32
    targets : array
        Class codes of shape (samples,), int64, for classification; else (samples, outputs),
        float32, in the user's units.
    groups : array of shape (samples,), int64
        Group codes; without groups every sample is its own.
    test_start : int or None
        Index of the first sample of the source's own test set, if it has one.
    class_names : list of str or None
        Name of each class code.
    target_names : list of str
        Name of each output.
    digest : str
        SHA-256 of all that can change a result.
    weights : array of shape (samples,), float32, or None
        How much each sample counts in the loss.
    ids : array of shape (samples,), str, or None
        Name of each sample.
    feature_names : list of str or None
        Names of the last axis of `features`, where the source has some.
    columns : list of FeatureColumn or None
        What the columns of `features` are, for tables: categories are codes there.
    has_missing : bool
        Whether some features are NaN, to be filled in each split.
    spans : array of shape (samples, 2), int64, or None
        First and last point in time that a sample knows, its target included, as ranks.
    reading : dict
        How samples were read, for what reads raw samples later: ``images`` or ``windows``.
    description : DataDescription or None
        What the data are, for people; None for those that :meth:`load` has mapped.
    """

    features: Samples
    targets: Array
    groups: Array
    test_start: int | None
    class_names: list[str] | None
    target_names: list[str]
    digest: str
    weights: Array | None = None
    ids: Array | None = None
    feature_names: list[str] | None = None
    columns: list[FeatureColumn] | None = None
    has_missing: bool = False
    spans: Array | None = None
    reading: dict[str, Any] = field(default_factory=dict)
    description: DataDescription | None = None

    @property
    def outputs(self) -> int:
        """Number of units of the output layer."""
        if self.class_names is None:
            return int(self.targets.shape[1])
        return 1 if len(self.target_names) == 1 else len(self.class_names)

    def _arrays(self) -> dict[str, Array | None]:
        """Return what is kept in each of the :data:`ARRAYS`: of windows, all rows once."""
        found = {name: getattr(self, name, None) for name in ARRAYS}
        if isinstance(self.features, Windows):
            found |= {"features": self.features.rows, "starts": self.features.starts}
        return found

    def save(self, folder: Path) -> None:
        """Write arrays, description and manifest to `folder`; the manifest last."""
        checksums = {}
        for name, array in self._arrays().items():
            with replacing(array_file(folder, name)) as temporary:
                bigarrays.write_npy(temporary, np.empty(0) if array is None else array)
                checksums[name] = file_checksum(temporary)
        if self.description is not None:
            self.description.write(description_file(folder))
        manifest = Manifest(
            samples=len(self.features),
            sample_shape=list(self.features.shape[1:]),
            feature_type=str(self.features.dtype),
            outputs=self.outputs,
            test_start=self.test_start,
            class_names=self.class_names,
            target_names=self.target_names,
            digest=self.digest,
            has_missing=self.has_missing,
            reading=self.reading,
            columns=self.columns,
            feature_names=self.feature_names,
            checksums=checksums,
        )
        manifest.write(manifest_file(folder))

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Map the arrays of `folder` into memory; nothing is decoded, copied or verified.

        For trials, whose job has verified the data for all of them; others want :meth:`verified`.
        """
        manifest = Manifest.read(manifest_file(folder))
        arrays = {name: _mapped(array_file(folder, name)) for name in manifest.arrays}
        present: dict[str, Any] = {n: a if len(a) else None for n, a in arrays.items()}
        if (starts := present.pop("starts", None)) is not None:
            length = manifest.sample_shape[0]
            present["features"] = Windows(present["features"], starts, length)
        return cls(
            **present,
            test_start=manifest.test_start,
            class_names=manifest.class_names,
            target_names=manifest.target_names,
            digest=manifest.digest,
            feature_names=manifest.feature_names,
            columns=manifest.columns,
            has_missing=manifest.has_missing,
            reading=manifest.reading,
        )

    @classmethod
    def verified(cls, folder: Path) -> Dataset:
        """Map the arrays of `folder` into memory, once they are what was written.

        Raises
        ------
        FileNotFoundError
            When no data are prepared.
        DamagedRecord
            As of :func:`verify`.
        """
        verify(folder)
        return cls.load(folder)


def verify(folder: Path, names: Sequence[str] | None = None) -> Manifest:
    """Read arrays of a data set and compare them with the manifest; once in a process.

    All that reads data begins here, so that nothing is ever trained or drawn on others than those
    whose digest stands in the records.

    Parameters
    ----------
    folder : Path
        Of the prepared data.
    names : sequence of str, optional
        The arrays; all that were written when left out.

    Returns
    -------
    Manifest

    Raises
    ------
    FileNotFoundError
        When no data are prepared.
    DamagedRecord
        When an array is missing or not what was written. It is set aside then, and the next run
        makes it again.
    """
    manifest = Manifest.read(manifest_file(folder))
    started, read = time.perf_counter(), 0
    for name in manifest.arrays if names is None else names:
        file = array_file(folder, name)
        try:
            mark = tuple(file_mark(file))
            if manifest.checksums is None:
                _require_old_digest(folder, manifest.digest, mark)
            elif _checksum(file, mark) != manifest.checksums[name]:
                raise DamagedRecord(file, "its checksum is wrong")
            read += mark[0]
        except FileNotFoundError:
            raise DamagedRecord(file, "it is missing") from None
        except OSError as error:
            raise _unusable(file, error) from None
        except DamagedRecord as error:
            raise _unusable(file, error.reason) from None
    seconds = time.perf_counter() - started
    if seconds > _LONG_SECONDS:
        log.info("prepared data verified: %.1f GB in %.0f s", read / 1e9, seconds)
    return manifest


@functools.cache
def _checksum(file: Path, _mark: tuple[int, ...]) -> str:
    return file_checksum(file)


@functools.cache
def _require_old_digest(folder: Path, digest: str, _mark: tuple[int, ...]) -> None:
    """Compare data of an earlier version, without checksums, with what their digest is of."""
    if _digest(Dataset.load(folder)) != digest:
        raise DamagedRecord(array_file(folder, ARRAYS[0]), "the digest of the data is wrong")


def _unusable(file: Path, reason: object) -> DamagedRecord:
    """Set an array aside; a study that only others may write stays as it is."""
    with contextlib.suppress(OSError):
        set_aside(file, reason, "nothing is trained on it")
    return DamagedRecord(file, reason)


def mapped(file: Path) -> Array:
    """Map an array of a data set into memory, once it is what was written.

    Raises
    ------
    FileNotFoundError
        When no data are prepared.
    DamagedRecord
        As of :func:`verify`.
    """
    verify(file.parent, [file.stem])
    return _mapped(file)


def mapped_features(file: Path) -> Samples:
    """Map the features of a data set into memory, once they are what was written.

    Raises
    ------
    FileNotFoundError
        When no data are prepared.
    DamagedRecord
        As of :func:`verify`.
    """
    manifest = Manifest.read(manifest_file(file.parent))
    verify(file.parent, [name for name in ("features", "starts") if name in manifest.arrays])
    return Dataset.load(file.parent).features


def _mapped(file: Path) -> Array:
    with intact(file):
        array: Array = np.load(file, mmap_mode="r", allow_pickle=False)
        return array


def prepare(
    data: Mapping[str, Any],
    problem: str,
    folder: Path | None = None,
    *,
    positive: str | int | float | bool | None = None,
    measures: Sequence[str] = (),
) -> Dataset:
    """Read and check the data of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section.
    problem : {"regression", "multi_output", "binary", "multiclass"}
    folder : Path, optional
        Where there is room for arrays that are too large for memory.
    positive : str, int, float or bool, optional
        Label of the positive class of a binary problem, which becomes the second one; in the order
        of the labels when left out.
    measures : sequence of str
        Measures that the data must have, besides those that all have.

    Raises
    ------
    DataError
        When the data can't serve the problem; says what to change.
    """
    raw = sources.read(data, folder, classes=problem in ("binary", "multiclass"))
    parts, targets, test_start = _with_test_set(raw)
    features = _checked_features(parts, data.get("reshape"), raw.columns, folder)
    codes, class_names, target_names = checked_targets(targets, problem, raw, positive)
    _require_measures(measures, codes, class_names, raw)
    if problem == "multi_output" and data["scale_targets"] != "minmax":
        low, high = float(codes.min()), float(codes.max())
        if low < 0 or high > 1:
            raise DataError(
                f"targets from {low:g} to {high:g} in a multi_output problem, whose outputs lie in "
                "[0, 1]; set data.scale_targets: minmax"
            )
    whole = Dataset(
        features,
        codes,
        _group_codes(raw.groups, len(features), test_start),
        test_start,
        class_names,
        target_names,
        digest="",
        weights=_checked_weights(raw, len(features), test_start),
        ids=raw.ids,
        # `data.reshape` may have made something else of them.
        feature_names=raw.feature_names
        if len(raw.feature_names or ()) == features.shape[-1]
        else None,
        columns=raw.columns,
        spans=raw.spans,
        reading=raw.reading,
    )
    dataset = _subset(whole, data.get("subset"), data["test_seed"])
    if raw.columns is not None:
        dataset = replace(dataset, has_missing=_has_gaps(dataset.features))
        _require_one_axis(dataset, data.get("reshape"))
    return replace(
        dataset, digest=_digest(dataset), description=describe(data, raw, dataset, len(features))
    )


def _has_gaps(features: Samples) -> bool:
    kept = features.rows if isinstance(features, Windows) else features
    return any(bool(np.isnan(kept[piece]).any()) for piece in bigarrays.pieces(kept))


def _with_test_set(raw: Raw) -> tuple[list[Samples], Array, int | None]:
    """Return the parts of the features, all targets, and where the source's own test set begins."""
    features, targets = _paired(raw.features, raw.targets)
    if raw.test_features is None and raw.test_targets is None:
        return [features], targets, None
    test_features, test_targets = _paired(raw.test_features, raw.test_targets, "test ")
    for kind, own, test in (
        ("samples", features, test_features),
        ("targets", targets, test_targets),
    ):
        if own.shape[1:] != test.shape[1:]:
            raise DataError(
                f"{kind} of shape {own.shape[1:]}, but test {kind} of shape {test.shape[1:]}"
            )
    return [features, test_features], np.concatenate([targets, test_targets]), len(features)


def _paired(features: Any, targets: Any, which: str = "") -> tuple[Samples, Array]:
    if features is None or targets is None:
        raise DataError(f"only one of {which}features and {which}targets; both are needed")
    if not isinstance(features, Windows):
        features = np.asarray(features)
    targets = np.asarray(targets)
    if not features.size:
        raise DataError(f"no {which}samples: {which}features of shape {features.shape}")
    if not features.ndim or not targets.ndim:
        raise DataError(f"{which}features and {which}targets must be arrays, samples first")
    if len(features) != len(targets):
        raise DataError(f"{len(features)} {which}samples but {len(targets)} {which}targets")
    return features, targets


def _checked_features(
    parts: list[Samples],
    reshape: list[int] | None,
    columns: list[FeatureColumn] | None,
    folder: Path | None,
) -> Samples:
    """Return all features together; gaps in the columns of a table are allowed."""
    # A source of windows has no test set of its own.
    windows = first if isinstance(first := parts[0], Windows) else None
    kept = [part.rows if isinstance(part, Windows) else part for part in parts]
    for part in kept:
        if part.dtype.kind not in "biuf":
            raise DataError(f"features that are no numbers: {first_word(part)}; numbers are needed")
    for part in kept:
        require_32_bit(part, "feature")
    bytes_only = all(part.dtype == np.uint8 for part in kept)
    joined = bigarrays.joined(kept, np.uint8 if bytes_only else np.float32, folder)
    if windows is not None:
        features: Samples = Windows(joined, windows.starts, windows.length)
    else:
        features = _in_shape(joined, reshape)
    if features.dtype != np.uint8:
        is_bad = np.isinf if columns else _is_not_finite
        bad = np.concatenate(
            [
                is_bad(features[piece]).reshape(piece.stop - piece.start, -1).any(axis=1)
                for piece in bigarrays.pieces(features)
            ]
        )
        if bad.any():
            raise DataError(
                f"{int(bad.sum())} samples with missing or infinite features, the first at row "
                f"{int(bad.argmax())}; remove or fill them"
            )
    return features


def _in_shape(features: Array, reshape: list[int] | None) -> Array:
    if features.ndim < 2:
        features = features.reshape(len(features), -1)
    if reshape:
        if int(np.prod(reshape)) != int(np.prod(features.shape[1:])):
            raise DataError(
                f"data.reshape {reshape} does not fit samples of shape {features.shape[1:]}"
            )
        features = features.reshape(len(features), *reshape)
    return np.ascontiguousarray(features)


def _is_not_finite(values: Array) -> Array:
    return ~np.isfinite(values)


def _require_measures(
    measures: Sequence[str], targets: Array, class_names: list[str] | None, raw: Raw
) -> None:
    """Refuse measures that are not defined on these data, however they are split."""
    for measure in map(Measure.of, measures):
        if class_names is not None and len(class_names) < measure.least_classes:
            raise DataError(
                f"{measure.name} (problem.measures or problem.measure) with {len(class_names)} "
                f"classes; allowed: at least {measure.least_classes} classes, or another measure"
            )
        if not measure.divides_by_targets:
            continue
        zeros = raw.rows_of((targets == 0).reshape(len(targets), -1).any(axis=1))
        if len(zeros):
            raise DataError(
                f"{measure.name} (problem.measures or problem.measure) divides by the targets, of "
                f"which {len(zeros)} are 0, the first at row {zeros[0]}; allowed: another measure, "
                "such as median_absolute_error"
            )


def _checked_weights(raw: Raw, samples: int, test_start: int | None) -> Array | None:
    weights = raw.weights
    if weights is None:
        return None
    expected = samples if test_start is None else test_start
    try:
        weights = np.asarray(weights, np.float32)
    except (TypeError, ValueError):
        found = first_word(np.asarray(weights))
        raise DataError(
            f"sample weights that are no numbers: {found}; numbers are needed"
        ) from None
    if weights.shape != (expected,):
        raise DataError(f"sample weights of shape {weights.shape} for {expected} samples")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        raise DataError(
            f"sample weight {weights[bad][0]:g} at row {raw.rows_of(bad)[0]}; numbers of at least "
            "0 are needed"
        )
    if not weights.any():
        raise DataError("all sample weights are 0; some must be above it")
    return np.concatenate([weights, np.ones(samples - expected, np.float32)])


def _group_codes(groups: Any, samples: int, test_start: int | None) -> Array:
    if groups is None:
        return np.arange(samples, dtype=np.int64)
    groups = np.asarray(groups)
    expected = samples if test_start is None else test_start
    if len(groups) != expected:
        raise DataError(f"{len(groups)} group labels for {expected} samples")
    codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    # The source's own test samples are never split; each is a group by itself.
    own_test = codes.max(initial=-1) + 1 + np.arange(samples - expected, dtype=np.int64)
    return np.concatenate([codes, own_test])


def _subset(dataset: Dataset, size: int | None, seed: int) -> Dataset:
    """Return `size` samples, drawn at random, and all of the source's own test samples."""
    samples, test_start = len(dataset.features), dataset.test_start
    available = samples if test_start is None else test_start
    if size is None or size >= available:
        return dataset
    drawn = np.random.default_rng(seed).permutation(available)[:size]
    chosen = np.concatenate([np.sort(drawn), np.arange(available, samples)])
    arrays = {name: getattr(dataset, name, None) for name in ARRAYS}
    parts: dict[str, Any] = {
        name: array.part(chosen) if isinstance(array, Windows) else array[chosen]
        for name, array in arrays.items()
        if array is not None
    }
    return replace(dataset, **parts, test_start=None if test_start is None else size)


def _require_one_axis(dataset: Dataset, reshape: list[int] | None) -> None:
    """Refuse another shape for columns that become more, or other, features in each split."""
    assert dataset.columns is not None
    with_categories = any(column.categories for column in dataset.columns)
    if reshape and (with_categories or dataset.has_missing):
        reason = "categories" if with_categories else "missing values"
        raise DataError(f"data.reshape {reshape} for a table with {reason}; leave it out")


def _digest(dataset: Dataset) -> str:
    names: dict[str, Any] = {
        "classes": dataset.class_names,
        "targets": dataset.target_names,
        "test_start": dataset.test_start,
    }
    if dataset.columns is not None and any(c.categories or c.origin for c in dataset.columns):
        names["columns"] = [column.as_json() for column in dataset.columns]
    result = hashlib.sha256(json.dumps(names, sort_keys=True).encode())
    # Names change no result, and times only the splits, which have a digest of their own.
    for array in (dataset.features, dataset.targets, dataset.groups, dataset.weights):
        if array is not None:
            result.update(f"{array.dtype.str}{array.shape}".encode())
            for piece in bigarrays.pieces(array):
                result.update(np.ascontiguousarray(array[piece]).data)
    return result.hexdigest()
