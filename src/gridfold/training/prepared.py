"""The samples of a trial as it trains on them: preprocessed, scaled and weighted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from gridfold.arrays import Array, Windows
from gridfold.data.dataset import Dataset
from gridfold.errors import TrialFailure
from gridfold.training import preprocessing
from gridfold.training.feeds import NUMBER_BYTES, Rows
from gridfold.training.preprocessing import UNCHANGED, Affine, Category, Preprocessing, fit_affine

_SOME = 32


@dataclass(frozen=True)
class Prepared:
    """A training and a validation part, with what is fitted on the former.

    Attributes
    ----------
    dataset : Dataset
    training, validation : array of int64
        Sample indices.
    features : Preprocessing
    targets : Affine
    class_weights : str or mapping
        As in the ``training`` settings.
    in_memory : bool
        Whether samples are kept in memory or read when they are needed.
    units : int
        Of a model whose loss wants one number for each class; 0 for the class itself.
    shuffle_block : int or None
        As in the ``training`` settings.
    """

    dataset: Dataset
    training: Array
    validation: Array
    features: Preprocessing
    targets: Affine
    class_weights: Any
    in_memory: bool
    units: int = 0
    shuffle_block: int | None = None

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        dataset: Dataset,
        training: Array,
        validation: Array,
        in_memory_mb: int,
    ) -> Prepared:
        """Fit preprocessing and scaling on the training part."""
        features = preprocessing.fit(settings["preprocessing"], dataset, training)
        targets = UNCHANGED
        if dataset.class_names is None:
            kind = settings["preprocessing"]["scale_targets"]
            targets = fit_affine(kind, dataset.targets[training])
        shape = features.shape(dataset.features.shape[1:])
        numbers = 0
        for part in (training, validation):
            if isinstance(dataset.features, Windows):
                numbers += int(dataset.features.covered(part).sum()) * shape[-1]
            else:
                numbers += len(part) * math.prod(shape)
        return cls(
            dataset,
            training,
            validation,
            features,
            targets,
            settings["training"]["class_weights"],
            numbers * NUMBER_BYTES <= in_memory_mb * 1e6,
            shuffle_block=settings["training"].get("shuffle_block"),
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample as the model takes it."""
        return self.features.shape(self.dataset.features.shape[1:])

    def for_units(self, units: int) -> Prepared:
        """Return the same with targets of one number for each class."""
        return replace(self, units=units)

    def some_samples(self) -> Array:
        """Return a few samples of the training part as the model takes them."""
        chosen = self.training[:_SOME]
        return np.asarray(self.features.apply(self.dataset.features[chosen]))

    def training_arrays(self) -> tuple[Any, ...]:
        """Return features, targets and perhaps sample weights of the training part."""
        weights = _sample_weights(self.class_weights, self.dataset, self.training)
        return self._arrays(self.training, weights)

    def validation_arrays(self) -> tuple[Any, ...] | None:
        """Return the same of the validation part, or None where it is empty."""
        if not self.validation.size:
            return None
        own = self.dataset.weights
        return self._arrays(self.validation, None if own is None else own[self.validation])

    def _arrays(self, part: Array, weights: Array | None) -> tuple[Any, ...]:
        dataset = self.dataset
        targets = dataset.targets[part]
        if dataset.class_names is None:
            targets = self.targets.apply(targets)
        elif self.units:
            targets = np.eye(self.units, dtype=np.float32)[targets]
        elif dataset.outputs == 1:
            targets = targets.astype(np.float32)[:, np.newaxis]
        samples = self._samples(part)
        return (samples, targets) if weights is None else (samples, targets, weights)

    def _samples(self, part: Array) -> Any:
        kept = self.dataset.features
        if not self.in_memory:
            return Rows(kept, part, self.features, self.shuffle_block)
        if isinstance(kept, Windows):
            # A row becomes the same in each window that has it.
            some = kept.part(part)
            return Windows(self.features.apply(some.rows), some.starts, some.length)
        return self.features.apply(kept[part])

    def positions(self) -> dict[str, list[int]]:
        """Return where the features of each column of a table are in a sample."""
        columns = self.dataset.columns
        if columns is None:
            return {}
        encoding = self.features.encoding
        if encoding is None:
            return {column.name: [place] for place, column in enumerate(columns)}
        # The order of Encoding: numbers, then indicators, then categories.
        found: dict[str, list[int]] = {column.name: [] for column in columns}
        end = 0
        for position in encoding.numbers:
            found[columns[position].name].append(end)
            end += 1
        for position in encoding.numbers:
            if getattr(encoding.columns[position], "indicator", False):
                found[columns[position].name].append(end)
                end += 1
        for column, rule in zip(columns, encoding.columns, strict=True):
            if isinstance(rule, Category):
                found[column.name] += range(end, end + rule.width)
                end += rule.width
        return found


def _sample_weights(setting: Any, dataset: Dataset, training: Array) -> Array | None:
    """Return how much each sample of the training part counts: its own weight and its class's."""
    own = None if dataset.weights is None else np.asarray(dataset.weights[training])
    of_class = _class_weights(setting, dataset, training)
    if own is None or of_class is None:
        return of_class if own is None else own
    return own * of_class


def _class_weights(setting: Any, dataset: Dataset, training: Array) -> Array | None:
    if setting == "none" or dataset.class_names is None:
        return None
    codes = dataset.targets[training]
    if setting == "balanced":
        present = np.unique(codes)
        weights = np.ones(len(dataset.class_names), np.float32)
        weights[present] = compute_class_weight("balanced", classes=present, y=codes)
    else:
        unknown = sorted(set(setting) - set(dataset.class_names))
        if unknown:
            raise TrialFailure(
                "error",
                f"training.class_weights names no class of the data: {', '.join(unknown)}; "
                f"classes: {', '.join(dataset.class_names)}",
            )
        weights = np.array([setting.get(n, 1.0) for n in dataset.class_names], np.float32)
    return weights[codes].astype(np.float32)
