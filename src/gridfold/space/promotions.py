"""Decides, whenever there is room for a trial, what an asynchronous Hyperband trains next.

Li et al. (2020), "A system for massively parallel hyperparameter tuning", MLSys, algorithm 2
(ASHA): no rung waits until all its configurations have ended. What is among the best
``1 / factor`` of those that a rung has finished so far goes on; where nothing can, a new
configuration begins. So a configuration may go on that is not among the best of the whole rung in
the end, and nobody waits for the slowest one.

Pure: whoever asks says what was taken and what has ended, which is the same for jobs on many nodes
and for a simulation with a virtual clock.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gridfold.space.hyperband import Rung
from gridfold.store.decision_log import Decision


@dataclass
class _RungState:
    """What a rung was given so far, and what came of it.

    Attributes
    ----------
    rung : Rung
    taken : dict of str to None
        Configurations that were given to it, in this order.
    ended : set of str
        Those that have ended, with a score or without.
    ranking : list of (float, int, str)
        Those with a score, best first: signed score, place in the draw, configuration.
    """

    rung: Rung
    taken: dict[str, None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    ranking: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def all_ended(self) -> bool:
        """Whether nothing is under way in it."""
        return len(self.ended) == len(self.taken)


class Promotions:
    """The state of all brackets, and what follows from it.

    Parameters
    ----------
    rungs : sequence of Rung
        Of :func:`gridfold.space.hyperband.schedule`.
    drawn : mapping of int to sequence of str
        The configurations that each bracket begins with, in the order of the draw.
    factor : int
        Of `factor` configurations one goes on.
    sign : int
        1 where large scores are good, -1 where small ones are.
    """

    def __init__(
        self, rungs: Sequence[Rung], drawn: Mapping[int, Sequence[str]], factor: int, sign: int
    ) -> None:
        self._factor, self._sign = factor, sign
        self._drawn = {bracket: list(ids) for bracket, ids in drawn.items()}
        self._place = {
            (bracket, config_id): place
            for bracket, ids in self._drawn.items()
            for place, config_id in enumerate(ids)
        }
        self._rungs = {(rung.bracket, rung.rung): _RungState(rung) for rung in rungs}
        # What is nearly trained in full comes first, as in the paper.
        self._order = sorted(self._rungs, key=lambda key: -self._rungs[key].rung.epochs)

    def take(self, decision: Decision) -> bool:
        """Note that a configuration is trained in a rung; say whether that is news.

        What the brackets do not have, as from a damaged record, is no news.
        """
        key = (decision.bracket, decision.rung)
        known = (decision.bracket, decision.config_id) in self._place and key in self._rungs
        if not known or decision.config_id in self._rungs[key].taken:
            return False
        self._rungs[key].taken[decision.config_id] = None
        return True

    def end(self, decision: Decision, score: float | None) -> None:
        """Note the score of a configuration in a rung; None where it has none.

        Parameters
        ----------
        decision : Decision
            Was taken before.
        score : float or None
        """
        state = self._rungs[decision.bracket, decision.rung]
        assert decision.config_id not in state.ended, f"{decision} has ended before"
        state.ended.add(decision.config_id)
        if score is not None:
            place = self._place[decision.bracket, decision.config_id]
            insort(state.ranking, (-self._sign * score, place, decision.config_id))

    def next(self) -> Decision | None:
        """Return what to train next; None where nothing can begin before something ends."""
        for bracket, rung in self._order:
            found = self._promotable(bracket, rung)
            if found is not None:
                return Decision(bracket, rung + 1, found)
        return self._new()

    def epochs(self, decision: Decision) -> int:
        """Return the epochs that a configuration has had at the end of a rung."""
        return self._rungs[decision.bracket, decision.rung].rung.epochs

    def is_last(self, decision: Decision) -> bool:
        """Tell whether nothing follows in a bracket on the rung of a decision."""
        return (decision.bracket, decision.rung + 1) not in self._rungs

    def taken(self, bracket: int, rung: int) -> list[str]:
        """Return the configurations that a rung was given so far, in this order."""
        return list(self._rungs[bracket, rung].taken)

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Bracket and rung of each rung, in the order of the schedule."""
        return list(self._rungs)

    def _promotable(self, bracket: int, rung: int) -> str | None:
        """Return the best configuration of a rung that may go on and has not."""
        state, following = self._rungs[bracket, rung], self._rungs.get((bracket, rung + 1))
        if following is None:
            return None
        most = len(state.ended) // self._factor
        if self._is_closed(bracket, rung):
            # As without asynchrony: where few have a score, the schedule's number still goes on.
            most = max(most, following.rung.configurations)
        for _, _, config_id in state.ranking[:most]:
            if config_id not in following.taken:
                return config_id
        return None

    def _is_closed(self, bracket: int, rung: int) -> bool:
        """Tell whether a rung has all that it will ever get, and all of it has ended."""
        state = self._rungs[bracket, rung]
        if not state.all_ended:
            return False
        if rung == 0:
            return len(state.taken) == len(self._drawn.get(bracket, []))
        return self._is_closed(bracket, rung - 1) and self._promotable(bracket, rung - 1) is None

    def _new(self) -> Decision | None:
        """Return the next configuration of the bracket that has begun the least part of its own.

        All brackets go on side by side, so that none begins its long trainings last.
        """
        found, least = None, 1.0
        for bracket, ids in self._drawn.items():
            begun = self._rungs[bracket, 0].taken
            share = len(begun) / len(ids) if ids else 1.0
            if share < least:
                found, least = bracket, share
        if found is None:
            return None
        begun = self._rungs[found, 0].taken
        return Decision(found, 0, next(c for c in self._drawn[found] if c not in begun))
