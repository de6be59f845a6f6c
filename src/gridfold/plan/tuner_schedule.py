"""How much a tuner will try, of Keras Tuner or Optuna, known before it has tried anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gridfold.space.space import Space
from gridfold.study import Study
from gridfold.study.sections.optuna_sampler import OptunaStrategy, TunerStrategy


@dataclass(frozen=True)
class Turn:
    """One round of a bracket of Keras Tuner's Hyperband.

    Attributes
    ----------
    bracket, number : int
        As in ``tuner/bracket`` and ``tuner/round``.
    trials : int
    epochs : int
        That each of them reaches.
    before : int
        Epochs that each of them has behind it.
    """

    bracket: int
    number: int
    trials: int
    epochs: int
    before: int


def hyperband_turns(max_epochs: int, factor: int) -> Iterator[Turn]:
    """Yield the rounds of one iteration of Keras Tuner's Hyperband, the widest bracket first.

    Parameters
    ----------
    max_epochs, factor : int

    Notes
    -----
    Keras Tuner's schedule is not the one of Li et al. (2018): its brackets are smaller, since they
    share the trials of the last round, ``ceil(1 + log(max_epochs, factor))``, among them.
    """
    last = math.ceil(1 + math.log(max_epochs, factor))
    brackets, epochs = 0, float(max_epochs)
    while epochs >= 1:
        epochs /= factor
        brackets += 1
    for bracket in reversed(range(brackets)):
        before = 0
        for number in range(bracket + 1):
            trials = math.ceil(last / (bracket + 1) * factor ** (bracket - number))
            reached = math.ceil(max_epochs / factor ** (bracket - number))
            yield Turn(bracket, number, trials, reached, before)
            before = reached


def tuner_of(study: Study) -> TunerStrategy | None:
    """Return the strategy of a study if it is a tuner of Keras Tuner, or a sampler of Optuna."""
    strategy = study.search.strategy
    return strategy if isinstance(strategy, TunerStrategy) else None


def most_epochs(study: Study, strategy: TunerStrategy) -> int | None:
    """Return the epochs of the longest trials; None where each configuration has its own."""
    if not isinstance(strategy, OptunaStrategy) and strategy.tuner == "hyperband":
        return strategy.max_epochs or study.training.epochs
    return study.search.explore.epochs if study.search.explore else None


def most_configurations(study: Study, strategy: TunerStrategy) -> int:
    """Return how many configurations a tuner tries at most."""
    if isinstance(strategy, OptunaStrategy):
        return strategy.n
    if strategy.tuner == "hyperband":
        turns = hyperband_turns(
            strategy.max_epochs or study.training.epochs, strategy.argument("factor")
        )
        first = sum(turn.trials for turn in turns if turn.number == 0)
        return first * int(strategy.argument("hyperband_iterations"))
    if strategy.trials is not None:
        return strategy.trials
    space = Space.of(study)
    # A grid has no intervals.
    return space.upper_bound() or 1


def tuner_lines(study: Study, strategy: TunerStrategy) -> list[str]:
    """Return in words what a tuner will try, for `gridfold plan`."""
    if isinstance(strategy, OptunaStrategy):
        return _optuna_lines(study, strategy)
    lines = [f"  tuner           {strategy.tuner} (Keras Tuner), seed {strategy.seed}"]
    if strategy.tuner != "hyperband":
        most = most_configurations(study, strategy)
        lines.append(f"  trials          up to {most:,}, each on every split")
        return lines
    epochs = strategy.max_epochs or study.training.epochs
    turns = list(hyperband_turns(epochs, strategy.argument("factor")))
    for bracket in dict.fromkeys(turn.bracket for turn in turns):
        rounds = [
            f"{turn.trials} x {turn.epochs} epochs" for turn in turns if turn.bracket == bracket
        ]
        lines.append(f"  bracket {bracket}       {', '.join(rounds)}")
    trained = sum(turn.trials * (turn.epochs - turn.before) for turn in turns)
    iterations = strategy.argument("hyperband_iterations")
    lines.append(
        f"  epochs          {trained * iterations:,} on each split, in {iterations} iteration"
        f"{'s' * (iterations > 1)}"
    )
    return lines


def _optuna_lines(study: Study, strategy: OptunaStrategy) -> list[str]:
    first = ""
    if strategy.sampler == "tpe":
        first = f", the first {min(strategy.n, strategy.drawn_first):,} at random"
    elif strategy.sampler in ("nsga2", "nsga3"):
        first = f", {strategy.generation:,} in a generation, the first one at random"
    wanted = study.search.objectives or [study.problem.ranking_measure]
    lines = [
        f"  sampler         {strategy.sampler} (Optuna), seed {strategy.seed}",
        f"  trials          up to {strategy.n:,}, each on every split{first}",
        f"  objectives      {', '.join(wanted)}",
    ]
    if study.search.constraints and not strategy.takes_constraints:
        lines.append("  note            this sampler does not look at the constraints")
    return lines
