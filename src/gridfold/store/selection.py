"""The selected configuration of a study, as it lies in ``tables/best.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridfold.store.records import Record
from gridfold.wording import decimals, half_width


@dataclass(frozen=True)
class SelectionFacts:
    """The selected configuration's score with the luck of the selection taken out.

    Attributes
    ----------
    corrected : float or None
        Mean over the splits less `optimism`; None where that can't be estimated.
    optimism : float or None
        By how much the selection flatters, never below 0: in the direction of better scores.
    low, high : float or None
        Ends of the interval of the corrected score, or of the mean where there is no corrected
        one, within the range of the measure; None where there is none.
    samples, candidates, resamples : int
        Samples with predictions (groups, where samples are grouped), configurations to choose
        from, and bootstrap samples.
    obstacle : str
        Why there is no corrected score; else empty.
    drawn_optimism : float or None
        What the bootstrap samples say, which by chance may be below 0.
    explored : int
        Configurations of the search, cheaper stages included, that the correction knows of beyond
        those that were compared in the end; 0 where there are no others.
    chosen : dict of str to float
        Share of bootstrap samples on which each configuration is the best; those that never are
        are left out.
    unseen : bool
        Whether the scores that were compared are of samples that the search before never saw, so
        that only the luck of the finalists counts.
    """

    corrected: float | None
    optimism: float | None
    low: float | None
    high: float | None
    samples: int
    candidates: int
    resamples: int
    obstacle: str
    drawn_optimism: float | None = None
    explored: int = 0
    chosen: dict[str, float] = field(default_factory=dict)
    unseen: bool = False

    @classmethod
    def without(
        cls, obstacle: str, low: float | None = None, high: float | None = None
    ) -> SelectionFacts:
        """Return what is known where nothing is corrected: why, and the interval of the mean."""
        return cls(None, None, low, high, 0, 0, 0, obstacle)


@dataclass(frozen=True)
class Headline:
    """The score over the splits as it is to be quoted.

    Attributes
    ----------
    score : float
    low, high : float or None
        None where there is no interval.
    is_corrected : bool
        Whether the luck of the selection is taken out.
    """

    score: float
    low: float | None
    high: float | None
    is_corrected: bool

    @property
    def half_width(self) -> float:
        """The longer half of the interval; NaN where there is none."""
        return half_width(self.score, self.low, self.high)


@dataclass(frozen=True)
class Selection(Record):
    """The selected configuration: that with the best mean, unless the study has another rule.

    Attributes
    ----------
    config_id, label : str
        The configuration, and its axis values in one line.
    measure : str
        What the configurations are ranked by.
    confidence : float
        Level of the interval, such as 0.95.
    mean : float
        Mean of the measure over the splits.
    sd, low, high : float or None
        Standard deviation over the splits, and the ends of the mean's confidence interval; None
        where too few splits have a score.
    n_splits : int
        Splits with a score.
    final_epochs : int
        Epochs that the final model is trained.
    configurations : int
        Configurations that were compared in full.
    tried : int or None
        Configurations that a search in stages tried; None without stages.
    may_be_best : int or None
        Configurations that hold the best one with this confidence, this one among them; None in
        files of earlier versions.
    estimate : SelectionFacts or None
        The score with the luck of the selection taken out; None in those of earlier versions.
    rule : str or None
        By which it was selected, where that is another one than the best mean.
    allowed : int or None
        How many of the compared configurations satisfy the constraints; None without constraints.
    """

    config_id: str
    label: str
    measure: str
    confidence: float
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n_splits: int
    final_epochs: int
    configurations: int
    tried: int | None = None
    may_be_best: int | None = None
    estimate: SelectionFacts | None = None
    rule: str | None = None
    allowed: int | None = None

    def plain(self) -> dict[str, Any]:
        """Return what is written as JSON; what does not apply is left out."""
        content = super().plain()
        for name in ("tried", "estimate", "rule", "allowed"):
            if content[name] is None:
                del content[name]
        return content

    @property
    def headline(self) -> Headline:
        """The score that is quoted: corrected for the selection where that can be done."""
        found = self.estimate
        if found is None:
            return Headline(self.mean, self.low, self.high, is_corrected=False)
        if found.corrected is None:
            return Headline(self.mean, found.low, found.high, is_corrected=False)
        return Headline(found.corrected, found.low, found.high, is_corrected=True)

    @property
    def explored(self) -> int:
        """Configurations that its score is the best of: all that were tried on its samples."""
        if self.estimate is not None and self.estimate.unseen:
            return self.configurations
        return max(self.configurations, self.tried or 0)

    @property
    def corrected_for(self) -> int:
        """Configurations whose luck is taken out: those of the search that are known to it."""
        found = self.estimate
        return max(found.candidates, min(found.explored, self.explored)) if found else 0

    @property
    def half_width(self) -> float:
        """The longer half of the mean's interval; NaN where there is none."""
        return half_width(self.mean, self.low, self.high)

    @property
    def decimals(self) -> int:
        """How many decimals of the score are worth showing."""
        headline = self.headline
        return decimals([headline.half_width], [headline.score])
