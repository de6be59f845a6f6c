"""The selected configuration of a study, as it lies in ``tables/best.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridfold.store.records import Record
from gridfold.wording import decimals, half_width


@dataclass(frozen=True)
class Selection(Record):
    """The configuration with the best mean of the ranking measure.

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

    def plain(self) -> dict[str, Any]:
        """Return what is written as JSON; `tried` only of a search in stages."""
        content = super().plain()
        if self.tried is None:
            del content["tried"]
        return content

    @property
    def half_width(self) -> float:
        """The longer half of the mean's interval; NaN where there is none."""
        return half_width(self.mean, self.low, self.high)

    @property
    def decimals(self) -> int:
        """How many decimals of the mean are worth showing."""
        return decimals([self.half_width], [self.mean])
