"""Trained learners that are exactly equally good, and noisy scores like theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import RepeatedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

Array = Any


@dataclass(frozen=True)
class Resampling:
    """How the samples of a study are split.

    Attributes
    ----------
    folds, repeats : int
    samples : int
    """

    folds: int
    repeats: int
    samples: int

    @property
    def ratio(self) -> float:
        """Validation samples over training samples."""
        return 1 / (self.folds - 1)

    @property
    def validated(self) -> int:
        """Validation samples of a split."""
        return self.samples // self.folds

    @property
    def splits(self) -> int:
        """Splits of a study."""
        return self.folds * self.repeats

    def parts(self, random: np.random.Generator) -> list[tuple[Array, Array]]:
        """Return training and validation samples of each split."""
        seed = int(random.integers(2**31))
        split = RepeatedKFold(n_splits=self.folds, n_repeats=self.repeats, random_state=seed)
        return list(split.split(np.empty(self.samples)))

    def __str__(self) -> str:
        name = f"{self.repeats} × {self.folds}" if self.repeats > 1 else f"{self.folds}"
        return f"{name} folds of {self.validated}"


RESAMPLINGS = (
    Resampling(2, 1, 40),
    Resampling(3, 1, 60),
    Resampling(5, 1, 100),
    Resampling(10, 1, 200),
    Resampling(10, 10, 100),
)


def seeds(resampling: Resampling, count: int, random: np.random.Generator) -> Array:
    """Trees with random splits on a part of `breast_cancer`: only their seeds differ."""
    x, y = _part_of(load_breast_cancer, resampling.samples, random)

    def fit(_: int) -> DecisionTreeClassifier:
        seed = int(random.integers(2**31))
        return DecisionTreeClassifier(splitter="random", max_depth=4, random_state=seed)

    return _accuracies(resampling, random, [(x, y, fit)] * count)


def orders(resampling: Resampling, count: int, random: np.random.Generator) -> Array:
    """Linear models of `digits` by stochastic gradients: only the order of samples differs."""
    x, y = _part_of(load_digits, resampling.samples, random)

    def fit(_: int) -> SGDClassifier:
        return SGDClassifier(max_iter=4, tol=None, random_state=int(random.integers(2**31)))

    return _accuracies(resampling, random, [(x / 16, y % 2, fit)] * count)


def bootstraps(resampling: Resampling, count: int, random: np.random.Generator) -> Array:
    """Nearest neighbours on `digits`, each trained on its own bootstrap sample."""
    x, y = _part_of(load_digits, resampling.samples, random)

    def fit(_: int) -> KNeighborsClassifier:
        return KNeighborsClassifier(1, algorithm="brute")

    return _accuracies(resampling, random, [(x, y, fit)] * count, bootstrap=True)


def features(resampling: Resampling, count: int, random: np.random.Generator) -> Array:
    """Naive Bayes, each on its own features of the same samples: exchangeable, all informative."""
    y = random.integers(2, size=resampling.samples)
    y[:4] = 0, 1, 0, 1
    shape = (count, resampling.samples, 3)
    x = 0.6 * (2 * y[:, None] - 1) + random.normal(size=shape)

    def fit(_: int) -> GaussianNB:
        return GaussianNB()

    return _accuracies(resampling, random, [(own, y, fit) for own in x])


def regressions(resampling: Resampling, count: int, random: np.random.Generator) -> Array:
    """Least squares, each on its own column of exchangeable ones; minus the mean squared error."""
    x = random.normal(size=(count, resampling.samples))
    y = x.sum(axis=0) / math.sqrt(count) + random.normal(size=resampling.samples)
    found = []
    for train, validate in resampling.parts(random):
        slopes = (x[:, train] @ y[train]) / np.square(x[:, train]).sum(axis=1)
        found.append(-np.square(y[validate] - slopes[:, None] * x[:, validate]).mean(axis=1))
    return np.array(found)


LEARNERS: dict[str, Callable[[Resampling, int, np.random.Generator], Array]] = {
    "seeds alone (trees)": seeds,
    "order of samples (SGD)": orders,
    "own bootstrap (nearest neighbour)": bootstraps,
    "own features (naive Bayes)": features,
    "own feature (least squares, MSE)": regressions,
}


def _part_of(load: Callable[..., Any], samples: int, random: np.random.Generator) -> Any:
    x, y = load(return_X_y=True)
    chosen = random.choice(len(x), samples, replace=False)
    return x[chosen], y[chosen]


def _accuracies(
    resampling: Resampling,
    random: np.random.Generator,
    learners: list[Any],
    bootstrap: bool = False,
) -> Array:
    found = []
    for train, validate in resampling.parts(random):
        scores = []
        for place, (x, y, fit) in enumerate(learners):
            own = random.choice(train, len(train)) if bootstrap else train
            if len(np.unique(y[own])) < 2:
                own = train
            scores.append(
                np.mean(fit(place).fit(x[own], y[own]).predict(x[validate]) == y[validate])
            )
        found.append(scores)
    return np.array(found)


def gaussian(
    resampling: Resampling, sds: Array, random: np.random.Generator, heavy: bool = False
) -> Array:
    """Return scores of equal means, correlated between splits as Nadeau & Bengio (2003) assume.

    Parameters
    ----------
    resampling : Resampling
    sds : array of shape (configurations,)
        Standard deviations of their scores.
    random : Generator
    heavy : bool
        Student's t with 3 degrees of freedom instead of the normal distribution, over splits.
    """
    rho = resampling.ratio / (1 + resampling.ratio)
    shape = (resampling.splits, len(sds))
    own = random.standard_t(3, shape) / math.sqrt(3) if heavy else random.normal(size=shape)
    common = random.normal(size=len(sds))
    difficulty = random.normal(size=(resampling.splits, 1))
    return difficulty + sds * (math.sqrt(rho) * common + math.sqrt(1 - rho) * own)
