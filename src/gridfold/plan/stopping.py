"""When a search looks at its scores to decide whether it goes on, and what it decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from gridfold.wording import counted, decimals, measure_name, number, percent


@dataclass(frozen=True)
class StopDecision:
    """What a search decided when it looked at its scores, and why.

    Attributes
    ----------
    stops : bool
    tried, scored, total : int
        Configurations that were tried, those of them with a score on every split, and those that
        the search has at most.
    measure : str
        Of which all numbers below are.
    share, risk : float
        ``search.stop.gain`` and ``search.stop.risk``.
    best : float or None
        The best mean over the splits. Like the numbers below, None where too few have a score.
    noise : float or None
        Corrected standard error of a good configuration's mean over the splits.
    gain, rest_gain : float or None
        What one more configuration is expected to improve the best score by, and what all others
        together are.
    chance : float or None
        Estimated probability that the others improve the best score by more than ``share`` times
        the noise.
    """

    stops: bool
    tried: int
    scored: int
    total: int
    measure: str
    share: float
    risk: float
    best: float | None = None
    noise: float | None = None
    gain: float | None = None
    rest_gain: float | None = None
    chance: float | None = None

    @property
    def sentence(self) -> str:
        """What was decided with its numbers, without a full stop at the end."""
        beginning = "stopped" if self.stops else "not stopped"
        text = f"{beginning} after {self.tried:,} of {counted(self.total, 'configuration')}: "
        if self.noise is None or self.gain is None or self.chance is None:
            return text + f"only {self.scored:,} of them have a score on every split"
        rest = self.total - self.tried
        others = f"the other {rest:,} gain" if rest > 1 else "the other one gains"
        return (
            f"{text}another one is expected to gain {_short(self.gain)} in "
            f"{measure_name(self.measure)}, the cross-validation's noise is "
            f"{number(self.noise, decimals([self.noise], []))}; {others} more than "
            f"{percent(self.share)} of it with a chance of {_chance(self.chance)} "
            f"(limit {percent(self.risk)})"
        )


def _short(value: float) -> str:
    """Return an estimate with one digit that matters."""
    return number(value, decimals([value], []) - 1) if value > 0 else "nothing"


def _chance(chance: float) -> str:
    return "less than 1%" if chance < 0.01 else percent(round(chance, 2))


def looks(after: int, total: int) -> list[int]:
    """Return after how many configurations a search looks at its scores.

    ``after`` times 1, 1.5, 2, 3, 4, 6, 8, ...: batches grow with what is known, so that a search
    of any size waits for few of them, and hardly trains half as many again as it had to. They do
    not depend on `total`, so that a search with a larger one has the same batches, and more. There
    is no look when less than a quarter as many are left: it could save little.

    Parameters
    ----------
    after : int
        Before the first look.
    total : int
        Configurations at most.
    """
    counts, count = [], after
    while count < total:
        counts += [count, count + count // 2]
        count *= 2
    return [count for count in counts if 4 * (total - count) >= count]


def batches(after: int, total: int) -> list[int]:
    """Return how many configurations are trained until the first look, and after each look."""
    ends = [*looks(after, total), total]
    return [end - begin for begin, end in pairwise([0, *ends])]


def last_decision(decisions: Iterable[StopDecision | None]) -> StopDecision | None:
    """Return the decision that stopped a search, else the last one; None before any.

    Parameters
    ----------
    decisions : iterable of StopDecision or None
        In the order of the stages.
    """
    last = None
    for decision in decisions:
        if decision is not None:
            last = decision
            if decision.stops:
                break
    return last
