"""What the outer folds of a study say together, as it lies in ``tables/nested.json``."""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.store.records import Record
from gridfold.wording import amount, decimals, half_width


@dataclass(frozen=True)
class NestedEstimate(Record):
    """The score of search and training together, by nested cross-validation.

    Attributes
    ----------
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of the interval, such as 0.95.
    score : float or None
        Mean over the outer folds; None where none of them has a score.
    sd, low, high : float or None
        Standard deviation over the outer folds, and the ends of the mean's confidence interval,
        within the range of the measure; None where fewer than two folds have a score.
    folds, missing : int
        Outer folds with a score, and without one.
    searched : float or None
        Mean over the same folds of what the search in each said of its winner.
    distinct : int
        Different configurations that the outer folds have selected.
    as_study : int
        Outer folds that have selected the one that the study has selected.
    agreement : float or None
        Share of all pairs of outer folds that have selected the same one; None with fewer than two.
    core_hours, gpu_hours : float or None
        What the searches and winners of the outer folds took; None where nobody looked.
    """

    measure: str
    confidence: float
    score: float | None
    sd: float | None
    low: float | None
    high: float | None
    folds: int
    missing: int
    searched: float | None
    distinct: int
    as_study: int
    agreement: float | None
    core_hours: float | None
    gpu_hours: float | None

    @property
    def decimals(self) -> int:
        """How many decimals of the score are worth showing."""
        return decimals([half_width(self.score or 0.0, self.low, self.high)], [self.score])

    @property
    def hours(self) -> str:
        """What the outer folds took, as people write it; empty where nobody looked."""
        taken = {"core-hours": self.core_hours, "GPU-hours": self.gpu_hours}
        return " and ".join(f"{amount(hours)} {what}" for what, hours in taken.items() if hours)
