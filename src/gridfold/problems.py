"""The kinds of problems and the measures that go with each; plain data, light to import."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

USUAL_THRESHOLD = 0.5
"""From which probability on a sample is positive where a study does not say another one."""


@dataclass(frozen=True)
class ProblemKind:
    """What follows from the type of a problem.

    Attributes
    ----------
    activation, loss : str
        Defaults of the output layer and the training loss (Keras names).
    losses : tuple of str
        The losses that make sense with it.
    measures : tuple of str
        The measures that every table shows, the default one first.
    further : tuple of str
        Measures that every trial is scored with, too, and that tables show where a study names
        them: so naming one later trains nothing.
    metric : str
        The cheap Keras metric followed during training.
    """

    activation: str
    loss: str
    activations: tuple[str, ...]
    losses: tuple[str, ...]
    measures: tuple[str, ...]
    further: tuple[str, ...]
    metric: str

    @property
    def all_measures(self) -> tuple[str, ...]:
        """Every measure that fits, those that every table shows first."""
        return self.measures + self.further


_REAL_LOSSES = ("mse", "mae", "huber", "log_cosh")
_REAL_MEASURES = ("mse", "rmse", "mae", "r2")
_REAL_FURTHER = ("median_absolute_error", "explained_variance")

PROBLEM_KINDS: dict[str, ProblemKind] = {
    "regression": ProblemKind(
        "linear",
        "mse",
        ("linear", "relu", "softplus", "sigmoid", "tanh"),
        _REAL_LOSSES,
        _REAL_MEASURES,
        ("mape", *_REAL_FURTHER),
        "mae",
    ),
    "multi_output": ProblemKind(
        "sigmoid",
        "mse",
        ("sigmoid", "linear", "relu"),
        (*_REAL_LOSSES, "binary_crossentropy"),
        _REAL_MEASURES,
        # Not `mape`: outputs in [0, 1] are 0 somewhere, and there it is not defined.
        _REAL_FURTHER,
        "mae",
    ),
    "binary": ProblemKind(
        "sigmoid",
        "binary_crossentropy",
        ("sigmoid",),
        ("binary_crossentropy", "binary_focal_crossentropy", "mse"),
        ("accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss"),
        (
            "average_precision",
            "sensitivity",
            "specificity",
            "matthews_correlation",
            "cohen_kappa",
            "brier_score",
        ),
        "accuracy",
    ),
    "multiclass": ProblemKind(
        "softmax",
        "sparse_categorical_crossentropy",
        ("softmax",),
        ("sparse_categorical_crossentropy",),
        ("accuracy", "balanced_accuracy", "roc_auc_ovr", "f1_macro", "log_loss"),
        (
            "average_precision_ovr",
            "top_3_accuracy",
            "top_5_accuracy",
            "matthews_correlation",
            "cohen_kappa",
            "brier_score",
        ),
        "accuracy",
    ),
}


@dataclass(frozen=True)
class Measure:
    """A measure of how good predictions are, and which end of it is the good one.

    Attributes
    ----------
    name : str
        In studies and in tables.
    meaning : str
        What it is, in one sentence.
    low, high : float
        Smallest and largest possible value; no interval reaches beyond them.
    lower_is_better : bool
    counts : {"samples", "pairs", ""}
        What it counts, so that its values are steps apart: one sample more or less is a step of
        about one over their number; pairs are of a positive and a negative sample.
    needs_two_classes : bool
        Whether it is not defined on samples of a single class.
    least_classes : int
        How many classes a problem must have for it to tell anything.
    divides_by_targets : bool
        Whether it is not defined where a target is 0.
    of_classes : bool
        Whether it judges predicted classes, which depend on the threshold of a binary problem.
    """

    name: str
    meaning: str
    low: float
    high: float
    lower_is_better: bool = False
    counts: Literal["samples", "pairs", ""] = ""
    needs_two_classes: bool = False
    least_classes: int = 2
    divides_by_targets: bool = False
    of_classes: bool = False

    @classmethod
    def of(cls, name: str) -> Measure:
        """Return the measure of this name: one of ours, or one of the user's own.

        Raises
        ------
        KeyError
            When there is none.
        """
        return _own_measure(name) if is_own_measure(name) else MEASURES[name]

    @property
    def needs_two_values(self) -> bool:
        """Whether it is not defined on samples whose targets are all equal.

        There scikit-learn gives R² and explained variance the value 0, however near the predictions
        are.
        """
        return self.needs_two_classes or self.name in ("r2", "explained_variance")

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest possible value."""
        return self.low, self.high

    @property
    def largest_difference(self) -> float:
        """The largest possible difference of two scores."""
        return self.high - self.low

    @property
    def sign(self) -> int:
        """1 where larger scores are better, else -1: scores times it are better when larger."""
        return -1 if self.lower_is_better else 1

    @property
    def direction(self) -> Literal["min", "max"]:
        """Which end is the good one."""
        return "min" if self.lower_is_better else "max"

    def is_better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another one; never where one is NaN."""
        return score < other if self.lower_is_better else score > other

    def best_of(self, scores: Any) -> Any:
        """Return the best of scores: of a Series or an array, or of each group of a grouping."""
        return scores.min() if self.lower_is_better else scores.max()

    def place_of_best(self, scores: Any) -> Any:
        """Return the label of the best score in a Series, the first of equals."""
        return scores.idxmin() if self.lower_is_better else scores.idxmax()


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("mse", "Mean squared error", 0.0, math.inf, lower_is_better=True),
        Measure("rmse", "Root of the mean squared error", 0.0, math.inf, lower_is_better=True),
        Measure("mae", "Mean absolute error", 0.0, math.inf, lower_is_better=True),
        Measure("r2", "Share of the variance that is explained, bias counted", -math.inf, 1.0),
        Measure(
            "mape",
            "Mean absolute error as a fraction of the true value; not defined where one is 0",
            0.0,
            math.inf,
            lower_is_better=True,
            divides_by_targets=True,
        ),
        Measure(
            "median_absolute_error",
            "Median of the absolute errors, which outliers do not move",
            0.0,
            math.inf,
            lower_is_better=True,
        ),
        Measure(
            "explained_variance",
            "Share of the variance that is explained, whatever the bias",
            -math.inf,
            1.0,
        ),
        Measure(
            "accuracy",
            "Share of samples predicted right",
            0.0,
            1.0,
            counts="samples",
            of_classes=True,
        ),
        Measure(
            "balanced_accuracy",
            "Mean over classes of recall",
            0.0,
            1.0,
            counts="samples",
            of_classes=True,
        ),
        Measure(
            "roc_auc",
            "Area under the ROC curve of the positive class",
            0.0,
            1.0,
            counts="pairs",
            needs_two_classes=True,
        ),
        Measure(
            "roc_auc_ovr",
            "Mean over classes of the area under the ROC curve, one against the rest",
            0.0,
            1.0,
            counts="pairs",
            needs_two_classes=True,
        ),
        Measure(
            "f1",
            "Harmonic mean of precision and recall of the positive class",
            0.0,
            1.0,
            counts="samples",
            of_classes=True,
        ),
        Measure(
            "f1_macro",
            "Mean over classes of the harmonic mean of precision and recall",
            0.0,
            1.0,
            counts="samples",
            of_classes=True,
        ),
        Measure(
            "log_loss",
            "Mean of the negative logarithm of the probability of the true class",
            0.0,
            math.inf,
            lower_is_better=True,
        ),
        Measure(
            "average_precision",
            "Precision averaged over recall, of the positive class; chance is its share",
            0.0,
            1.0,
            # A positive sample that falls behind one negative one costs least at the end of the
            # ranking, where it is about one over the squared number of positive samples.
            counts="pairs",
            needs_two_classes=True,
        ),
        Measure(
            "average_precision_ovr",
            "Mean over classes of average precision, one against the rest",
            0.0,
            1.0,
            counts="pairs",
            needs_two_classes=True,
        ),
        Measure(
            "sensitivity",
            "Share of the positive samples that is predicted so (recall)",
            0.0,
            1.0,
            counts="samples",
            needs_two_classes=True,
            of_classes=True,
        ),
        Measure(
            "specificity",
            "Share of the negative samples that is predicted so",
            0.0,
            1.0,
            counts="samples",
            needs_two_classes=True,
            of_classes=True,
        ),
        Measure(
            "matthews_correlation",
            "Correlation of predicted with true classes (Matthews, 1975); chance is 0",
            -1.0,
            1.0,
            counts="samples",
            needs_two_classes=True,
            of_classes=True,
        ),
        Measure(
            "cohen_kappa",
            "Agreement beyond chance of predicted with true classes (Cohen, 1960)",
            -1.0,
            1.0,
            counts="samples",
            needs_two_classes=True,
            of_classes=True,
        ),
        Measure(
            "brier_score",
            "Mean squared error of the probabilities, summed over several classes (Brier, 1950); "
            "of two classes at most 1",
            0.0,
            2.0,
            lower_is_better=True,
        ),
        Measure(
            "top_3_accuracy",
            "Share of samples whose class is among the 3 most probable ones",
            0.0,
            1.0,
            counts="samples",
            least_classes=4,
        ),
        Measure(
            "top_5_accuracy",
            "Share of samples whose class is among the 5 most probable ones",
            0.0,
            1.0,
            counts="samples",
            least_classes=6,
        ),
    )
}
"""All measures by their names, in the order of the documentation."""

OWN_ENDINGS = {
    "score": False,
    "gain": False,
    "error": True,
    "loss": True,
    "cost": True,
    "distance": True,
}
"""Last words of the names of measures of the user's own: whether lower is better.

The name alone tells every reader of a table which end is the good one, as do the names of
scikit-learn's functions.
"""

# Not as the columns of validation: `val_loss`.
_OWN_NAME = re.compile(rf"(?!val_)[a-z][a-z0-9_]*_({'|'.join(OWN_ENDINGS)})")


def asks_for_data(name: str) -> bool:
    """Tell whether only the data say if a measure is defined at all, however they are split."""
    measure = MEASURES.get(name)
    return measure is not None and (measure.divides_by_targets or measure.least_classes > 2)


def positive_from(threshold: float | None) -> float:
    """Return from which probability on a sample is predicted as positive.

    Parameters
    ----------
    threshold : float or None
        ``problem.threshold``; None where a study says none, or the usual one.
    """
    return USUAL_THRESHOLD if threshold is None else threshold


def threshold_in(problem: Mapping[str, Any]) -> float:
    """Return the same of the section `problem` of a study."""
    return positive_from(problem.get("threshold"))


def depends_on_threshold(problem: str, name: str) -> bool:
    """Tell whether the threshold of a problem changes what a name of a measure stands for.

    Parameters
    ----------
    problem : str
        Type of the problem.
    name : str
        A measure, or what is followed in training: ``val_metric``, ``val_accuracy``, ``val_loss``.
    """
    metric = PROBLEM_KINDS[problem].metric
    followed = {"val_metric": metric, f"val_{metric}": metric}.get(name, name)
    return problem == "binary" and followed in MEASURES and MEASURES[followed].of_classes


def is_own_measure(name: str) -> bool:
    """Tell whether a measure of the user's own may have this name."""
    return name not in MEASURES and _OWN_NAME.fullmatch(name) is not None


def _own_measure(name: str) -> Measure:
    lower = OWN_ENDINGS[name.rpartition("_")[2]]
    return Measure(name, "A measure of your own", -math.inf, math.inf, lower_is_better=lower)


RENAMED = {"roc_auc": "roc_auc_ovr", "f1": "f1_macro", "average_precision": "average_precision_ovr"}
"""What measures of one class are called that are a mean over several."""
