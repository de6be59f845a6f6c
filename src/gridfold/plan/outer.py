"""The outer folds of a nested estimate: in each the stages of the search, and one that scores.

An outer fold has the stages of the study's own search, under other names and on splits of its own,
and after them one stage with one trial: the winner, trained as the final model is. So whatever a
search can be, jobs, slots, run store and rules of an outer fold are those of every search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gridfold.plan.stage_names import SCORE, in_fold
from gridfold.plan.stages import Stage, answering
from gridfold.study import Study
from gridfold.study.sections.outer import inner_split, outer_folds


@dataclass(frozen=True)
class OuterFold:
    """One outer fold.

    Attributes
    ----------
    name : str
        ``o<repeat>f<fold>``, both from 0; also the name of its split.
    search : tuple of Stage
        The stages of its search.
    score : Stage
        The stage in which its winner is trained on the training part of the fold, and scored once
        on its validation part.
    """

    name: str
    search: tuple[Stage, ...]
    score: Stage

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All its stages in their order."""
        return (*self.search, self.score)

    @property
    def trials(self) -> int:
        """Trials at most."""
        return sum(stage.trials for stage in self.stages)


def folds_of(study: Study, stages: Sequence[Stage]) -> tuple[OuterFold, ...]:
    """Return the outer folds of a study; none without `resampling.outer`.

    Parameters
    ----------
    study : Study
    stages : sequence of Stage
        Those of its own search.
    """
    return tuple(_fold(name, stages) for name in outer_folds(study.resampling.outer))


def _fold(name: str, stages: Sequence[Stage]) -> OuterFold:
    def named(steps: Iterable[str]) -> tuple[str, ...]:
        return tuple(in_fold(name, step) for step in steps)

    search = tuple(
        replace(
            stage,
            name=in_fold(name, stage.name),
            splits=tuple(inner_split(name, split) for split in stage.splits),
            sources=named(stage.sources),
            continues=named(stage.continues),
        )
        for stage in stages
    )
    score = Stage(
        name=in_fold(name, SCORE),
        max_configurations=1,
        epochs=None,
        splits=(name,),
        sources=named(stage.name for stage in answering(stages)),
        trials_per_job=1,
        trains_fully=False,
    )
    return OuterFold(name, search, score)
