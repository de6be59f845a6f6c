"""What the selected configuration reaches by chance, as it lies in ``tables/chance.json``."""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.store.records import Record


@dataclass(frozen=True)
class ChanceLevel(Record):
    """The score of the selected configuration, trained once with permuted labels.

    Attributes
    ----------
    config_id : str
    measure : str
        What configurations are ranked by.
    split : str
        On which it was trained and scored.
    permuted : {"samples", "samples within groups", "groups"}
        Among what the labels were permuted, in training and validation part each.
    score : float or None
        With permuted labels; None where there is none.
    low, high : float or None
        What the same predictions reach with the validation labels permuted again: the middle 95%.
    p_value : float or None
        Share of these permutations that reach at least the score, itself counted.
    permutations : int
        How many.
    n_train, n_validation : int
        Samples of the parts.
    seconds : float
        Wall time of training and scoring.
    obstacle : str
        Why there is no score; else empty.
    """

    config_id: str
    measure: str
    split: str
    permuted: str
    score: float | None
    low: float | None
    high: float | None
    p_value: float | None
    permutations: int
    n_train: int
    n_validation: int
    seconds: float
    obstacle: str = ""

    @property
    def is_above_chance(self) -> bool:
        """Whether the score is better than permuted labels allow.

        One of a hundred studies is told so without a reason.
        """
        return self.p_value is not None and self.p_value <= 0.01
