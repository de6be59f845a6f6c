"""The stages of a search: explore, race, refine, confirm, and in which jobs each is trained.

Every search has at least one stage, `explore`. Which configurations a later stage trains is not
known before anything runs, but how many jobs it has at most is. So its jobs are numbered slots, and
a file, ``search/<stage>.json``, says which trials fall to each. Snakemake's DAG is therefore
complete from the beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gridfold.plan.cost import CostModel
from gridfold.plan.shards import trials_per_job
from gridfold.plan.stage_names import CONFIRM, EXPLORE, MORE, RACE, rung_name, title_of
from gridfold.plan.stopping import batches
from gridfold.plan.tuner_schedule import most_configurations, most_epochs
from gridfold.requests import ChosenConfiguration, StoppingRule
from gridfold.space.hyperband import schedule
from gridfold.space.space import Configuration
from gridfold.study import Study
from gridfold.study.sections.optuna_sampler import TunerStrategy
from gridfold.study.sections.resampling import reduced, split_names
from gridfold.study.sections.search import HyperbandStrategy, RandomStrategy, SobolStrategy
from gridfold.study.sections.stages import Stop
from gridfold.study.sections.tuner import KerasTunerStrategy

_SINGLE_ROUNDS, _MORE_ROUNDS = 10, 10


@dataclass(frozen=True)
class Stage:
    """One step of a search; a search without steps has one, `explore`.

    Attributes
    ----------
    name : str
        ``explore``, ``more<batch>``, ``race<round>``, ``b<bracket>r<rung>``, ``refine<round>`` or
        ``confirm``; also the name of its file.
    max_configurations : int
        Configurations at most; fewer when earlier trials failed or led to the same ones.
    epochs : int or None
        Epochs of each trial; None where each configuration has its own.
    splits : tuple of str
        On which each configuration is trained.
    sources : tuple of str
        Stages whose scores decide which configurations these are; none when they are drawn.
    trials_per_job : int
        Trials of each slot.
    trains_fully : bool
        Whether the study answers with its scores, if no later stage has such; those of a race
        together.
    has_slots : bool
        Whether its jobs are slots, since it is not known beforehand what they train; otherwise its
        trials have shards.
    epochs_before : int
        Epochs that its trials have from the stage before.
    is_exact : bool
        Whether there will be just so many configurations, unless trials fail.
    feeds_next : bool
        Whether later stages choose from its configurations. False for every rung of a bracket but
        the last.
    is_asynchronous : bool
        Whether it is a rung that does not wait for the one before. Then its number of
        configurations is that of the schedule, for the others can become more, and its trials are
        trained by the jobs of all rungs; its one slot is what they are written down as.
    continues : tuple of str
        Stages whose configurations it trains on further splits: the earlier rounds of a race.
    is_drawn : bool
        Whether its configurations are drawn, though it has `sources`: their scores only decide
        whether these are trained at all.
    """

    name: str
    max_configurations: int
    epochs: int | None
    splits: tuple[str, ...]
    sources: tuple[str, ...]
    trials_per_job: int
    trains_fully: bool
    has_slots: bool = True
    epochs_before: int = 0
    is_exact: bool = False
    feeds_next: bool = True
    is_asynchronous: bool = False
    continues: tuple[str, ...] = ()
    is_drawn: bool = False

    @property
    def title(self) -> str:
        """Its name as people write it."""
        return title_of(self.name)

    @property
    def trials(self) -> int:
        """Trials at most."""
        return self.max_configurations * len(self.splits)

    @property
    def slots(self) -> list[str]:
        """Names of the slots: ``refine1-001``, ..."""
        if not self.has_slots:
            return []
        if self.is_asynchronous:
            return [f"{self.name}-001"]
        count = math.ceil(self.trials / self.trials_per_job)
        return [f"{self.name}-{number:03d}" for number in range(1, count + 1)]


def effort(study: Study, wanted: Any) -> tuple[int | None, tuple[str, ...]]:
    """Return epochs and splits that a section (`explore`, `refine`) of `search` asks for."""
    names = split_names(study.resampling)
    if wanted is None:
        return None, tuple(names)
    chosen = names[: wanted.splits or len(names)]
    if wanted.training_fraction < 1:
        chosen = [reduced(name, wanted.training_fraction) for name in chosen]
    return wanted.epochs, tuple(chosen)


def confirming_plan(study: Study) -> dict[str, Any] | None:
    """Return how the splits of `confirm` are drawn, in the form of the section `resampling`."""
    wanted = study.search.confirm
    if wanted is None:
        return None
    plan: dict[str, Any] = study.resampling.model_dump(exclude={"outer"})
    if wanted.folds is not None:
        plan["folds"] = wanted.folds
        if plan["method"] == "holdout":
            # With groups or classes as the data has them, see `splits`.
            plan["method"] = "folds"
    plan["repeats"] = wanted.repeats or study.resampling.repeats
    held_back = {"held_back": wanted.fraction} if wanted.samples == "held_back" else {}
    return {**plan, "confirm_seed": wanted.seed, **held_back}


def confirming_splits(study: Study) -> tuple[str, ...]:
    """Return the names of the splits of `confirm`: ``c<repeat>f<fold>``, both from 0."""
    plan = confirming_plan(study)
    assert plan is not None
    folds = plan.get("folds", 1)
    return tuple(f"c{r}f{f}" for r in range(plan["repeats"]) for f in range(folds))


def training_fractions(study: Study) -> list[float]:
    """Return the shares of their training parts on which splits are needed, 1 left out."""
    shares = {
        part.training_fraction
        for part in (study.search.explore, study.search.refine)
        if part is not None
    }
    return sorted(shares - {1})


def chosen(
    configuration: Configuration, epochs: int, score: float | None = None, trial: str | None = None
) -> ChosenConfiguration:
    """Return a configuration as it stands in the file of a stage.

    Parameters
    ----------
    configuration : Configuration
    epochs : int
        Epochs to reach in the stage.
    score : float, optional
        Mean of the ranking measure in the stages before.
    trial : str, optional
        Keras Tuner's number of the trial.
    """
    return ChosenConfiguration(
        configuration.id,
        configuration.label,
        configuration.axes,
        configuration.settings,
        epochs,
        score,
        trial,
    )


def stages_of(study: Study, configurations: Iterable[Configuration]) -> tuple[Stage, ...]:
    """Return the stages of a study's search in their order.

    Parameters
    ----------
    study : Study
    configurations : iterable of Configuration
        Those of the strategy; they say how long a trial takes.
    """
    search, drawn = study.search, list(configurations)
    # Without slots nobody asks how long a trial takes, and there may be a hundred thousand.
    seconds = CostModel.of(study).mean_seconds(drawn) if search.is_staged else 0.0
    stages = _exploring(study, len(drawn), seconds)
    sources = tuple(stage.name for stage in stages if stage.feeds_next)
    if search.refine is not None:
        refined: list[Stage] = []
        for number in range(1, search.refine.rounds + 1):
            before = tuple(stage.name for stage in refined) or sources
            most = search.refine.max_configurations
            refined.append(_stage(study, seconds, f"refine{number}", most, search.refine, before))
        stages += refined
        sources = tuple(stage.name for stage in refined)
    if search.confirm is not None:
        stage = _stage(study, seconds, CONFIRM, search.confirm.top, None, sources)
        stages.append(replace(stage, splits=confirming_splits(study)))
    return tuple(stages)


def _exploring(study: Study, drawn: int, seconds: float) -> list[Stage]:
    """Return the stages of the strategy itself."""
    search, strategy = study.search, study.search.strategy
    if search.race is not None:
        return _racing(study, drawn, seconds)
    if isinstance(strategy, TunerStrategy):
        return [_tuned_stage(study, seconds, strategy)]
    if search.stop is not None:
        return _batches(study, drawn, seconds, search.stop)
    if not isinstance(strategy, HyperbandStrategy):
        return [_stage(study, seconds, EXPLORE, drawn, search.explore, ())]
    stages = []
    for rung in schedule(study.training.epochs, strategy.factor, strategy.brackets):
        name, before = (rung_name(rung.bracket, number) for number in (rung.rung, rung.rung - 1))
        sources = (before,) if rung.rung else ()
        most = rung.configurations
        stage = _stage(study, seconds, name, most, search.explore, sources, rung.epochs)
        stages.append(
            replace(
                stage,
                has_slots=True,
                is_exact=not (strategy.asynchronous and rung.rung),
                feeds_next=rung.is_last,
                epochs_before=rung.before,
                is_asynchronous=strategy.asynchronous,
            )
        )
    return stages


def race_rounds(splits: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the splits of each round of a race: one by one at first, where most is decided.

    What comes after the first ten is shared out to at most ten more rounds, since each begins when
    the one before has ended.
    """
    first, rest = splits[:_SINGLE_ROUNDS], splits[_SINGLE_ROUNDS:]
    size = max(1, math.ceil(len(rest) / _MORE_ROUNDS))
    blocks = [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]
    return [*((split,) for split in first), *blocks]


def _racing(study: Study, drawn: int, seconds: float) -> list[Stage]:
    """Return the rounds of a race: of the first split the better half goes on at most."""
    stages: list[Stage] = []
    rounds = race_rounds(split_names(study.resampling))
    for number, splits in enumerate(rounds, 1):
        before = tuple(stage.name for stage in stages)
        most = going_on_at_first(drawn) if before else drawn
        name = f"{RACE}{number}" if before else EXPLORE
        trials = most * len(splits)
        stages.append(
            replace(
                _stage(study, seconds, name, most, None, before[-1:]),
                splits=splits,
                trials_per_job=trials_per_job(
                    study.execution.trials_per_job, len(splits), trials, seconds
                ),
                feeds_next=number == len(rounds),
                trains_fully=True,
                continues=before,
            )
        )
    return stages


def going_on_at_first(configurations: int) -> int:
    """Return how many configurations of a race go on from the first split: the better half.

    One split says nothing about its noise, so two go on at least.
    """
    return max(min(2, configurations), math.ceil(configurations / 2))


def _batches(study: Study, drawn: int, seconds: float, stop: Stop) -> list[Stage]:
    """Return the stages of a search that looks at its scores and may stop."""
    stages: list[Stage] = []
    for number, size in enumerate(batches(stop.after, drawn)):
        name = f"{MORE}{number}" if number else EXPLORE
        before = tuple(stage.name for stage in stages)
        stage = _stage(study, seconds, name, size, study.search.explore, before)
        stages.append(replace(stage, has_slots=True, is_drawn=True))
    return stages


def stopping_rule(study: Study) -> StoppingRule | None:
    """Return when a search ends before it has tried everything; None where it does not."""
    stop, strategy = study.search.stop, study.search.strategy
    if stop is None:
        return None
    if isinstance(strategy, KerasTunerStrategy):
        total = most_configurations(study, strategy)
    else:
        assert isinstance(strategy, RandomStrategy | SobolStrategy)
        total = strategy.n
    return StoppingRule(stop.after, stop.gain, stop.risk, total)


def first_trials(
    stages: Sequence[Stage], configurations: Sequence[Configuration]
) -> list[Configuration]:
    """Return the drawn configurations with the epochs of the stage that trains them first."""
    return [
        c if stage.epochs in (None, c.epochs) else replace(c, epochs=stage.epochs)
        for stage, own in dealt_out(stages, configurations)
        for c in own
    ]


def dealt_out(
    stages: Sequence[Stage], configurations: Sequence[Configuration]
) -> Iterator[tuple[Stage, Sequence[Configuration]]]:
    """Yield each stage whose configurations are drawn, with its part of them."""
    left = configurations
    for stage in stages:
        if stage.is_drawn or not stage.sources:
            yield stage, left[: stage.max_configurations]
            left = left[stage.max_configurations :]


def _stage(
    study: Study,
    seconds: float,
    name: str,
    max_configurations: int,
    wanted: Any,
    sources: tuple[str, ...],
    epochs: int | None = None,
) -> Stage:
    """Return a stage; a full training of a configuration takes so many seconds."""
    own_epochs, splits = effort(study, wanted)
    epochs = epochs or own_epochs
    if epochs is not None:
        seconds *= epochs / study.training.epochs
    trials = max_configurations * len(splits)
    is_full = epochs in (None, study.training.epochs)
    is_drawn = not sources
    return Stage(
        name,
        max_configurations,
        epochs,
        splits,
        sources,
        trials_per_job(study.execution.trials_per_job, len(splits), trials, seconds),
        trains_fully=is_full and list(splits) == split_names(study.resampling),
        has_slots=not is_drawn,
        is_exact=is_drawn,
    )


def _tuned_stage(study: Study, seconds: float, tuner: TunerStrategy) -> Stage:
    """Return the stage in which a tuner explores, in one job."""
    most = most_configurations(study, tuner)
    stage = _stage(study, seconds, EXPLORE, most, study.search.explore, ())
    return replace(
        stage,
        epochs=most_epochs(study, tuner),
        # Most trials of Hyperband are cut short.
        trains_fully=stage.trains_fully and tuner.tuner != "hyperband",
        trials_per_job=max(1, stage.trials),
        has_slots=True,
        is_exact=False,
    )


def answering(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages whose trials the answer comes from: all trained in full, none cheaper."""
    confirming = [stage for stage in stages if stage.name == CONFIRM]
    return confirming or [stage for stage in stages if stage.trains_fully]
