"""The baselines themselves: scikit-learn's learners, with their usual settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.baselines.costs import LOGISTIC_ITERATIONS, Task
from gridfold.data.dataset import Dataset
from gridfold.requests import BaselinesRequest
from gridfold.training import preprocessing

# Samples that are predicted at once.
_PREDICTED = 4096
_NEIGHBOURS = 5
# scikit-learn's gradient boosting knows at most so many categories of a column.
_MOST_CATEGORIES = 255
# Iterations times learning rate, as in scikit-learn's defaults.
_STEPS = 10.0

_Predict = Callable[[Array], Array]


def is_image(dataset: Dataset) -> bool:
    """Tell whether samples are pixels: neither rows of a table nor windows of rows."""
    return dataset.features.ndim > 2 and "windows" not in dataset.reading


def forecast_columns(dataset: Dataset) -> list[int] | None:
    """Return which column of a window holds the past of each target; None where one does not."""
    if "windows" not in dataset.reading or dataset.class_names is not None:
        return None
    columns = dataset.columns or []
    places = {c.name: place for place, c in enumerate(columns) if c.categories is None}
    if not set(dataset.target_names) <= set(places):
        return None
    return [places[name] for name in dataset.target_names]


def suitable(dataset: Dataset) -> list[str]:
    """Return the baselines that fit the data, in the order in which they are told."""
    if is_image(dataset):
        return ["constant", "linear", "nearest_neighbours"]
    last = ["last_value"] if forecast_columns(dataset) else []
    return ["constant", *last, "linear", "gradient_boosting"]


@dataclass(frozen=True)
class Samples:
    """What a baseline is fitted on.

    Attributes
    ----------
    dataset : Dataset
    rows : array of int64
        The samples.
    targets : array
        Theirs: class codes of shape (rows,), or numbers of shape (rows, outputs).
    task : Task
    request : BaselinesRequest
    """

    dataset: Dataset
    rows: Array
    targets: Array
    task: Task
    request: BaselinesRequest

    @property
    def weights(self) -> Array | None:
        """How much each sample counts; None where all count the same."""
        own = self.dataset.weights
        return None if own is None else np.asarray(own[self.rows], np.float64)

    def read(self) -> Array:
        """Return the samples as they are kept."""
        return np.asarray(self.dataset.features[self.rows])


def predict(name: str, samples: Samples, rows: Array) -> Array:
    """Fit a baseline and predict other samples with it.

    Parameters
    ----------
    name : str
    samples : Samples
        To fit it on.
    rows : array of int64
        To predict.

    Returns
    -------
    array of shape (rows, outputs), float32
        Probabilities, or numbers on the scale of ``samples.targets``.

    Raises
    ------
    ValueError
        When it can't be fitted, as on samples of one class.
    """
    features = samples.dataset.features
    of = _FITTED[name](samples)
    parts = [of(np.asarray(features[rows[p]])) for p in arrays.pieces(rows, _PREDICTED)]
    return np.asarray(np.concatenate(parts), np.float32)


def _constant(samples: Samples) -> _Predict:
    if samples.dataset.class_names is None:
        answer = np.average(samples.targets, axis=0, weights=samples.weights)
    else:
        counts = np.bincount(
            samples.targets, samples.weights, minlength=len(samples.dataset.class_names)
        )
        answer = _outputs(samples, (counts / counts.sum())[np.newaxis])[0]
    return lambda values: np.tile(answer, (len(values), 1))


def _last_value(samples: Samples) -> _Predict:
    columns, dataset = forecast_columns(samples.dataset), samples.dataset
    assert columns is not None
    assert dataset.columns is not None
    origins = np.array([dataset.columns[place].origin for place in columns])
    # What was never missing in a target may be in the window before it.
    middle = np.average(samples.targets, axis=0)
    scale = preprocessing.fit_affine(samples.request.scale_targets, dataset.targets[samples.rows])
    scaled = samples.request.problem == "multi_output"

    def of(values: Array) -> Array:
        last = values[:, -1, columns].astype(np.float64) + origins
        found = scale.apply(last) if scaled else last
        return np.where(np.isnan(found), middle, found)

    return of


def _linear(samples: Samples) -> _Predict:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    dataset, request = samples.dataset, samples.request
    settings = {
        "normalise": "global" if is_image(dataset) else "standard",
        "missing": {"numbers": "median", "categories": "own", "indicator": False}
        | {k: v for k, v in request.missing.items() if (k, v) != ("numbers", "refuse")},
        "min_frequency": request.min_frequency,
    }
    prepared = preprocessing.fit(settings, dataset, samples.rows)

    def flat(values: Array) -> Array:
        return prepared.apply(values).reshape(len(values), -1)

    if dataset.class_names is None:
        ridge = Ridge().fit(flat(samples.read()), samples.targets, samples.weights)
        return lambda values: np.asarray(ridge.predict(flat(values))).reshape(len(values), -1)
    logistic = LogisticRegression(max_iter=LOGISTIC_ITERATIONS)
    with warnings.catch_warnings():
        # A baseline may stop before the last digits of its weights stand still.
        warnings.simplefilter("ignore", ConvergenceWarning)
        logistic.fit(flat(samples.read()), samples.targets, samples.weights)
    return lambda values: _of_classes(samples, logistic, flat(values))


def _gradient_boosting(samples: Samples) -> _Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    dataset = samples.dataset
    columns = dataset.columns or []
    width = int(np.prod(dataset.features.shape[1:]))
    categorical = [
        column.categories is not None and len(column.categories) <= _MOST_CATEGORIES
        for column in columns
    ]
    options: dict[str, Any] = {
        "max_iter": samples.task.iterations,
        "learning_rate": _STEPS / samples.task.iterations,
        "categorical_features": categorical * (width // len(columns)) if any(categorical) else None,
        # Which would take samples away from small data, and depend on their number.
        "early_stopping": False,
        "random_state": 0,
    }

    def flat(values: Array) -> Array:
        return values.reshape(len(values), -1)

    given = flat(samples.read())
    if dataset.class_names is not None:
        model = HistGradientBoostingClassifier(**options)
        model.fit(given, samples.targets, samples.weights)
        return lambda values: _of_classes(samples, model, flat(values))
    models = [
        HistGradientBoostingRegressor(**options).fit(given, target, samples.weights)
        for target in samples.targets.T
    ]
    return lambda values: np.stack([m.predict(flat(values)) for m in models], axis=1)


def _nearest_neighbours(samples: Samples) -> _Predict:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    def flat(values: Array) -> Array:
        return values.reshape(len(values), -1).astype(np.float32)

    given, count = flat(samples.read()), min(_NEIGHBOURS, len(samples.rows))
    if samples.dataset.class_names is None:
        numbers = KNeighborsRegressor(count, algorithm="brute").fit(given, samples.targets)
        return lambda values: np.asarray(numbers.predict(flat(values))).reshape(len(values), -1)
    classes = KNeighborsClassifier(count, algorithm="brute").fit(given, samples.targets)
    return lambda values: _of_classes(samples, classes, flat(values))


def _of_classes(samples: Samples, model: Any, values: Array) -> Array:
    """Return probabilities of all classes; those that the model has never seen have none."""
    names = samples.dataset.class_names
    assert names is not None
    chances = np.zeros((len(values), len(names)))
    chances[:, model.classes_] = model.predict_proba(values)
    return _outputs(samples, chances)


def _outputs(samples: Samples, chances: Array) -> Array:
    """Return the probabilities as models answer: of two classes, that of the second."""
    return chances[:, 1:] if samples.dataset.outputs == 1 else chances


_FITTED: dict[str, Callable[[Samples], _Predict]] = {
    "constant": _constant,
    "last_value": _last_value,
    "linear": _linear,
    "gradient_boosting": _gradient_boosting,
    "nearest_neighbours": _nearest_neighbours,
}
