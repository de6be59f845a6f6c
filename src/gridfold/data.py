"""Data: read once from its source, checked, and kept as memory-mapped arrays for every trial."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gridfold import references
from gridfold.atomic import replacing, write_text
from gridfold.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Dataset:
    """Samples with targets, ready for training.

    Attributes
    ----------
    features : array of shape (samples, *sample_shape), float32 or uint8
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
        SHA-256 of all of the above.
    """

    features: Array
    targets: Array
    groups: Array
    test_start: int | None
    class_names: list[str] | None
    target_names: list[str]
    digest: str

    @property
    def outputs(self) -> int:
        """Number of units of the output layer."""
        if self.class_names is None:
            return int(self.targets.shape[1])
        return 1 if len(self.target_names) == 1 else len(self.class_names)

    def save(self, folder: Path) -> None:
        """Write arrays and manifest to `folder`; the manifest last."""
        for name, array in (
            ("features", self.features),
            ("targets", self.targets),
            ("groups", self.groups),
        ):
            with replacing(folder / f"{name}.npy") as temporary:
                np.save(temporary, array)
        manifest = {
            "samples": len(self.features),
            "sample_shape": list(self.features.shape[1:]),
            "feature_type": str(self.features.dtype),
            "outputs": self.outputs,
            "test_start": self.test_start,
            "class_names": self.class_names,
            "target_names": self.target_names,
            "digest": self.digest,
        }
        write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Map the arrays of `folder` into memory; nothing is decoded or copied."""
        manifest = json.loads((folder / "manifest.json").read_text())
        features, targets, groups = (
            np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("features", "targets", "groups")
        )
        return cls(
            features,
            targets,
            groups,
            test_start=manifest["test_start"],
            class_names=manifest["class_names"],
            target_names=manifest["target_names"],
            digest=manifest["digest"],
        )


@dataclass
class _Raw:
    features: Any
    targets: Any
    groups: Any = None
    test_features: Any = None
    test_targets: Any = None
    class_names: list[str] | None = None
    target_names: list[str] | None = None


def prepare(data: Mapping[str, Any], problem: str) -> Dataset:
    """Read and check the data of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section.
    problem : {"regression", "multi_output", "binary", "multiclass"}

    Raises
    ------
    DataError
        When the data can't serve the problem; says what to change.
    """
    raw = _READERS.get(data["source"], _read_embedded)(data)
    features, targets = _paired(raw.features, raw.targets)
    test_start = None
    if raw.test_features is not None or raw.test_targets is not None:
        test_start = len(features)
        test_features, test_targets = _paired(raw.test_features, raw.test_targets, "test ")
        for kind, own, test in (
            ("samples", features, test_features),
            ("targets", targets, test_targets),
        ):
            if own.shape[1:] != test.shape[1:]:
                raise DataError(
                    f"{kind} of shape {own.shape[1:]}, but test {kind} of shape {test.shape[1:]}"
                )
        features = np.concatenate([features, test_features])
        targets = np.concatenate([targets, test_targets])
    features = _checked_features(features, data.get("reshape"))
    codes, class_names, target_names = _checked_targets(targets, problem, raw)
    if problem == "multi_output" and data["scale_targets"] != "minmax":
        low, high = float(codes.min()), float(codes.max())
        if low < 0 or high > 1:
            raise DataError(
                f"targets from {low:g} to {high:g} in a multi_output problem, whose outputs lie in "
                "[0, 1]; set data.scale_targets: minmax"
            )
    groups = _group_codes(raw.groups, len(features), test_start)
    chosen = _subset(data.get("subset"), data["test_seed"], len(features), test_start)
    if chosen is not None:
        features, codes, groups = features[chosen], codes[chosen], groups[chosen]
        test_start = None if test_start is None else int(np.sum(chosen < test_start))
    names = {"classes": class_names, "targets": target_names, "test_start": test_start}
    return Dataset(
        features,
        codes,
        groups,
        test_start,
        class_names,
        target_names,
        _digest([features, codes, groups], names),
    )


def _paired(features: Any, targets: Any, which: str = "") -> tuple[Array, Array]:
    if features is None or targets is None:
        raise DataError(f"only one of {which}features and {which}targets; both are needed")
    features, targets = np.asarray(features), np.asarray(targets)
    if not features.size:
        raise DataError(f"no {which}samples: {which}features of shape {features.shape}")
    if not features.ndim or not targets.ndim:
        raise DataError(f"{which}features and {which}targets must be arrays, samples first")
    if len(features) != len(targets):
        raise DataError(f"{len(features)} {which}samples but {len(targets)} {which}targets")
    return features, targets


def _read_embedded(data: Mapping[str, Any]) -> _Raw:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{data['source']}")()
    features = bunch.images[..., np.newaxis] if data["source"] == "digits" else bunch.data
    if data["source"] in ("diabetes", "linnerud"):
        names = list(bunch.target_names) if "target_names" in bunch else ["progression"]
        return _Raw(features, bunch.target, target_names=names)
    return _Raw(features, bunch.target, class_names=[str(n) for n in bunch.target_names])


def _read_npz(data: Mapping[str, Any]) -> _Raw:
    try:
        archive = np.load(data["path"], allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile):
        archive = None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{data['path']} is not an .npz file")
    with archive:
        keys = ("features", "targets", "groups", "test_features", "test_targets")
        arrays: dict[str, Any] = {}
        for key in keys:
            name = data.get(key)
            if name is None:
                continue
            if name not in archive:
                raise DataError(
                    f"{data['path']}: no array `{name}` (data.{key}); it has "
                    f"{', '.join(archive.files)}"
                )
            try:
                arrays[key] = archive[name]
            except (ValueError, zipfile.BadZipFile) as error:
                raise DataError(f"{data['path']}: array `{name}`: {error}") from None
    return _Raw(**arrays)


def _read_table(data: Mapping[str, Any]) -> _Raw:
    import pandas as pd

    try:
        if data["source"] == "csv":
            table = pd.read_csv(data["path"], sep=data["separator"])
        else:
            table = pd.read_parquet(data["path"])
    except ValueError as error:
        raise DataError(f"{data['path']} can't be read as {data['source']}: {error}") from None
    if not len(table):
        raise DataError(f"{data['path']}: no samples, only a header")
    roles = {"targets": data["targets"], "groups": [data["groups"]] if data["groups"] else []}
    used = {column for columns in roles.values() for column in columns}
    roles["features"] = data["features"] or [c for c in table.columns if c not in used]
    for role, columns in roles.items():
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise DataError(
                f"{data['path']}: no column {', '.join(missing)} (data.{role}); it has "
                f"{', '.join(map(str, table.columns))}"
            )
    features = table[roles["features"]]
    words = [c for c in features.columns if not pd.api.types.is_numeric_dtype(features[c])]
    if words:
        raise DataError(
            f"{data['path']}: columns with text: {', '.join(map(str, words))}; turn them into "
            "numbers, or name the numeric columns in data.features"
        )
    for column in (*roles["targets"], *roles["groups"]):
        missing_values = table[column].isna().to_numpy()
        if missing_values.any():
            raise DataError(
                f"{data['path']}: column {column} has {int(missing_values.sum())} missing values, "
                f"the first at row {int(missing_values.argmax())}; remove these samples"
            )
    targets = table[data["targets"]]
    return _Raw(
        features.to_numpy(dtype=np.float32, na_value=np.nan),
        (targets.iloc[:, 0] if targets.shape[1] == 1 else targets).to_numpy(),
        groups=table[data["groups"]].to_numpy() if data["groups"] else None,
        target_names=list(data["targets"]),
    )


def _read_python(data: Mapping[str, Any]) -> _Raw:
    answer = references.load(data["function"])()
    known = ("features", "targets", "groups", "test_features", "test_targets")
    if not isinstance(answer, Mapping) or not {"features", "targets"} <= set(answer):
        raise DataError(
            f"{data['function']} must return a mapping with `features` and `targets`, "
            f"not {type(answer).__name__}"
        )
    unknown = set(answer) - set(known)
    if unknown:
        raise DataError(
            f"{data['function']} returns unknown {', '.join(sorted(unknown))}; "
            f"known: {', '.join(known)}"
        )
    return _Raw(**answer)


_READERS = {
    "npz": _read_npz,
    "csv": _read_table,
    "parquet": _read_table,
    "python": _read_python,
}


def _checked_features(features: Array, reshape: list[int] | None) -> Array:
    if features.dtype.kind not in "biuf":
        raise DataError(f"features of type {features.dtype}; numbers are needed")
    if features.ndim < 2:
        features = features.reshape(len(features), -1)
    if reshape:
        if int(np.prod(reshape)) != int(np.prod(features.shape[1:])):
            raise DataError(
                f"data.reshape {reshape} does not fit samples of shape {features.shape[1:]}"
            )
        features = features.reshape(len(features), *reshape)
    if features.dtype != np.uint8:
        # Too large for 32 bits becomes infinite, which is refused with its row.
        with np.errstate(over="ignore"):
            features = features.astype(np.float32, copy=False)
        bad = ~np.isfinite(features).reshape(len(features), -1).all(axis=1)
        if bad.any():
            raise DataError(
                f"{int(bad.sum())} samples with missing or infinite features, the first at row "
                f"{int(bad.argmax())}; remove or fill them"
            )
    return np.ascontiguousarray(features)


def _checked_targets(
    targets: Array, problem: str, raw: _Raw
) -> tuple[Array, list[str] | None, list[str]]:
    if problem in ("binary", "multiclass"):
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if targets.ndim != 1:
            raise DataError(
                f"class targets of shape {targets.shape}; one label for each sample is needed"
            )
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            raise DataError("class targets with missing values; remove these samples")
        try:
            labels, codes = np.unique(targets, return_inverse=True)
        except TypeError:
            raise DataError("class targets of several types; one type is needed") from None
        if problem == "binary" and len(labels) != 2:
            raise DataError(f"{len(labels)} classes in a binary problem; use multiclass")
        if len(labels) < 2:
            raise DataError("all samples have the same class")
        names = raw.class_names or [_label(value) for value in labels]
        outputs = names[1:] if problem == "binary" else names
        return codes.astype(np.int64), names, outputs
    try:
        numbers = targets.astype(np.float32).reshape(len(targets), -1)
    except (TypeError, ValueError):
        raise DataError(f"targets of type {targets.dtype} in a {problem} problem") from None
    if not np.isfinite(numbers).all():
        raise DataError("targets with missing or infinite values; remove these samples")
    target_names = raw.target_names or [f"output {i}" for i in range(numbers.shape[1])]
    return numbers, None, [str(name) for name in target_names]


def _label(value: Any) -> str:
    if isinstance(value, np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


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


def _subset(size: int | None, seed: int, samples: int, test_start: int | None) -> Array | None:
    available = samples if test_start is None else test_start
    if size is None or size >= available:
        return None
    drawn = np.random.default_rng(seed).permutation(available)[:size]
    return np.concatenate([np.sort(drawn), np.arange(available, samples)])


def _digest(arrays: list[Array], names: Mapping[str, Any]) -> str:
    result = hashlib.sha256(json.dumps(names, sort_keys=True).encode())
    for array in arrays:
        result.update(f"{array.dtype.str}{array.shape}".encode())
        result.update(np.ascontiguousarray(array).data)
    return result.hexdigest()
