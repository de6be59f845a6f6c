"""The scores of a study that can be compared, and the one test that compares them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from gridfold.arrays import Scores
from gridfold.problems import Measure
from gridfold.statistics.intervals import rounding_variance
from gridfold.statistics.moderated import Differences, PairedTest


def comparable(configurations: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the rows of configurations that could be selected.

    Those that lost trials could not, nor those that a constraint of the study rules out.
    """
    rows = configurations[
        (configurations["n_failed"] == 0) & configurations[f"{measure}_mean"].notna()
    ]
    return rows[rows["within_constraints"]] if "within_constraints" in rows else rows


@dataclass(frozen=True)
class Scored:
    """The scores of a study that can be compared: of configurations without a failed trial.

    Every p-value, interval and star of a study comes from its :attr:`test`, so that no two of them
    can disagree.

    Attributes
    ----------
    scores : DataFrame
        One row for each split, one column for each configuration (its id), best first.
    ratio : float
        Validation samples over training samples of a split, the mean.
    measure : str
    confidence : float
    repeats : int
        How often the same samples were split anew.
    least_variance : float
        What a difference of two scores varies by, even where all splits agree: its resolution.
    undefined : tuple of str
        Splits on which the measure is not defined, for want of a class; they are in no comparison.
    """

    scores: pd.DataFrame
    ratio: float
    measure: str
    confidence: float
    repeats: int
    least_variance: float = 0.0
    undefined: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, trials: pd.DataFrame, configurations: pd.DataFrame, measure: str, confidence: float
    ) -> Scored:
        """Take the complete configurations from the tables, in the order of their rank."""
        complete = comparable(configurations, measure)
        good = trials[trials["status"] == "finished"]
        wide = good.pivot(index="split", columns="config_id", values=measure)
        wide = wide.loc[list(dict.fromkeys(good["split"])), complete["config_id"].tolist()]
        # What a split lacks, it lacks for every configuration.
        defined = wide.notna().any(axis=1) | wide.columns.empty
        undefined, wide = tuple(map(str, wide.index[~defined])), wide[defined]
        ratio = float((good["n_validation"] / good["n_train"]).mean()) if len(good) else 0.0
        repeats = len({str(split).partition("f")[0] for split in wide.index})
        least = 2 * rounding_variance(measure, good[measure], good["n_validation"])
        return cls(wide, ratio, measure, confidence, repeats, least, undefined)

    @property
    def alpha(self) -> float:
        """The level of the tests: one minus the confidence."""
        return 1 - self.confidence

    @property
    def sign(self) -> int:
        """1 where larger scores are better, else -1."""
        return Measure.of(self.measure).sign

    @cached_property
    def test(self) -> PairedTest:
        """The test of this study, which has learnt from all its pairs."""
        return PairedTest.of(self.scores.to_numpy(float), self.ratio, self.least_variance)

    def differences(self, config_ids: list[str], reference: str) -> Differences:
        """Return the differences of configurations to another one, ready to be tested."""
        return self.test.differences(
            self.scores[config_ids].to_numpy(float), self.scores[reference].to_numpy(float)
        )

    def columns_of(self, found: Differences) -> dict[str, Scores]:
        """Return the columns that tell of such differences, at the level of the study."""
        return found.columns(self.confidence, Measure.of(self.measure).largest_difference)

    @cached_property
    def may_be_best(self) -> pd.Series:
        """Which configurations may be the best, by id: as :meth:`PairedTest.may_be_best` says."""
        scores = self.scores.to_numpy(float) * self.sign
        return pd.Series(
            self.test.may_be_best(scores, self.confidence), self.scores.columns, dtype=bool
        )
