"""Computes Hyperband's schedule: how many configurations each rung trains, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """One rung of one bracket.

    Attributes
    ----------
    bracket : int
        ``s`` of the paper: the number of times its configurations are thinned out.
    rung : int
        Number of the rung in its bracket, from 0.
    configurations : int
        Number of configurations that are trained in it.
    epochs : int
        Number of epochs that each of them has been trained for at its end.
    before : int
        Number of epochs that each had at its beginning; 0 in the first rung.
    """

    bracket: int
    rung: int
    configurations: int
    epochs: int
    before: int

    @property
    def is_last(self) -> bool:
        """Whether what is left is trained in full."""
        return self.rung == self.bracket


def schedule(epochs: int, factor: int, brackets: int | None = None) -> list[Rung]:
    """Return the rungs of all brackets, the bracket that explores most first.

    Parameters
    ----------
    epochs : int
        Number of epochs of a full training: ``R`` of the paper.
    factor : int
        Of `factor` configurations one goes on; its training gets `factor` times as long. ``eta``.
    brackets : int, optional
        Leave out all but the first ones. One bracket is successive halving.

    Notes
    -----
    Li et al. (2018), "Hyperband: A novel bandit-based approach to hyperparameter optimization",
    Journal of Machine Learning Research 18(185), algorithm 1. Bracket ``s`` begins with
    ``floor((s_max + 1) / (s + 1)) * factor**s`` configurations. So are the numbers of the paper's
    table 1; its algorithm rounds up after the multiplication, and gives some brackets more.
    Epochs are rounded to whole ones.
    """
    deepest = 0
    while factor ** (deepest + 1) <= epochs:
        deepest += 1
    rungs = []
    for bracket in range(deepest, -1, -1)[:brackets]:
        count, before = (deepest + 1) // (bracket + 1) * factor**bracket, 0
        for number in range(bracket + 1):
            length = max(1, round(epochs / factor ** (bracket - number)))
            rungs.append(Rung(bracket, number, count // factor**number, length, before))
            before = length
    return rungs


def drawn(rungs: list[Rung]) -> int:
    """Return the number of configurations that the first rungs of all brackets take."""
    return sum(rung.configurations for rung in rungs if rung.rung == 0)
