"""What baselines may cost: by the sizes of the data alone, so that every machine fits the same.

The seconds are those of one core of a machine of 2024, good to a factor of three; that is enough
to keep baselines far cheaper than what they are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.plan.cost import MOST_BASELINE_NUMBERS, SECONDS_PER_BASELINE

# Iterations of L-BFGS at most; seconds for each number it reads, and for each class on top.
LOGISTIC_ITERATIONS = 100
_LOGISTIC_NUMBER, _LOGISTIC_CLASS = 1e-9, 2e-10
# Multiplications of matrices, per second.
_PRODUCTS = 1e10
# Gradient boosting: seconds for each tree, and for each number that it looks at.
_TREE, _TREE_NUMBER = 2e-3, 2e-8
_MOST_ITERATIONS, _LEAST_ITERATIONS = 100, 20
# A learner that is fitted on fewer samples than this, for want of time, says nothing.
LEAST_SAMPLES = 200
# Scoring takes up to a tenth of a second.
MOST_SPLITS = 200


@dataclass(frozen=True)
class Task:
    """What one baseline is fitted on in one split.

    Attributes
    ----------
    training, validation : int
        Samples.
    features : int
        Numbers of each sample.
    outputs : int
        Classes of a problem with more than two, or numbers to predict; 1 of a binary problem.
    classes : bool
        Whether classes are predicted.
    fits : int
        How often the baseline is fitted in the study.
    """

    training: int
    validation: int
    features: int
    outputs: int
    classes: bool
    fits: int

    @property
    def _seconds(self) -> float:
        return SECONDS_PER_BASELINE / self.fits

    def samples(self, baseline: str) -> int:
        """Return on how many of the training samples a baseline is fitted.

        Returns
        -------
        int
            All, or as many as its costs allow; 0 where these are too few to say anything.
        """
        if baseline in ("constant", "last_value"):
            return self.training
        features = max(1, self.features)
        if baseline == "gradient_boosting":
            trees = self.iterations * self.outputs
            left = self._seconds - trees * _TREE
            each = trees * features * _TREE_NUMBER
        elif baseline == "nearest_neighbours":
            left, each = self._seconds, 2 * self.validation * features / _PRODUCTS
        elif self.classes:
            number = _LOGISTIC_NUMBER + _LOGISTIC_CLASS * self.outputs
            left, each = self._seconds, LOGISTIC_ITERATIONS * features * number
        else:
            left, each = self._seconds, 2 * features * min(features, self.training) / _PRODUCTS
        most = min(int(max(0.0, left) / max(each, 1e-12)), MOST_BASELINE_NUMBERS // features)
        return min(self.training, most) if most >= min(self.training, LEAST_SAMPLES) else 0

    @property
    def iterations(self) -> int:
        """Iterations of gradient boosting, each of one tree for every output."""
        # Half of the time for what each tree takes, however few the samples.
        possible = int(self._seconds / 2 / _TREE / self.outputs)
        return min(_MOST_ITERATIONS, max(_LEAST_ITERATIONS, possible))
