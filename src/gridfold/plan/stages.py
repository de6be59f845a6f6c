"""The stages of a search: explore, refine, confirm, and in which jobs each is trained.

How many jobs a stage has is known before anything runs; which configurations they train is not. So
the jobs of a stage are numbered slots, and a file, ``search/<stage>.json``, says which trials fall
to each. Snakemake's DAG is therefore complete from the beginning.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gridfold.plan.cost import seconds_per_trial
from gridfold.plan.shards import Trial, trials_per_job
from gridfold.plan.stage_names import CONFIRM, EXPLORE, title_of
from gridfold.plan.tuner_schedule import most_configurations, most_epochs
from gridfold.space.hyperband import schedule
from gridfold.space.space import Configuration
from gridfold.study import Study
from gridfold.study.sections.resampling import reduced, split_names
from gridfold.study.sections.search import HyperbandStrategy
from gridfold.study.sections.tuner import KerasTunerStrategy


@dataclass(frozen=True)
class Stage:
    """One step of a search.

    Attributes
    ----------
    name : str
        ``explore``, ``refine1``, ``refine2``, ..., ``confirm``; also the name of its file.
    most : int
        Configurations at most; fewer when earlier trials failed or led to the same ones.
    epochs : int or None
        Epochs of each trial; None where each configuration has its own.
    splits : tuple of str
        On which each configuration is trained.
    sources : tuple of str
        Stages whose scores decide which configurations these are; none when they are drawn.
    trials_per_job : int
        Trials of each slot.
    full : bool
        Whether its scores are those that the study answers with, if no later stage has such.
    has_slots : bool
        Whether its jobs are slots; otherwise its trials are known beforehand and have shards.
    before : int
        Epochs that its trials have from the stage before.
    is_exact : bool
        Whether there will be just so many configurations, unless trials fail.
    is_best : bool
        Whether later stages choose from it: not from rungs that are no bracket's last.
    """

    name: str
    most: int
    epochs: int | None
    splits: tuple[str, ...]
    sources: tuple[str, ...]
    trials_per_job: int
    full: bool
    has_slots: bool = True
    before: int = 0
    is_exact: bool = False
    is_best: bool = True

    @property
    def title(self) -> str:
        """Its name as people write it."""
        return title_of(self.name)

    @property
    def trials(self) -> int:
        """Trials at most."""
        return self.most * len(self.splits)

    @property
    def slots(self) -> list[str]:
        """Names of the slots: ``refine1-001``, ..."""
        if not self.has_slots:
            return []
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
    plan: dict[str, Any] = study.resampling.model_dump()
    if wanted.folds is not None:
        plan["folds"] = wanted.folds
        if plan["method"] == "holdout":
            # With groups or classes as the data has them, see `splits`.
            plan["method"] = "folds"
    plan["repeats"] = wanted.repeats or study.resampling.repeats
    return {**plan, "confirm_seed": wanted.seed}


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


def stage_file(
    stage: str, splits: Iterable[str], configurations: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of ``search/<stage>.json``."""
    return {"stage": stage, "splits": list(splits), "configurations": list(configurations)}


def entry(configuration: Configuration, epochs: int, **more: Any) -> dict[str, Any]:
    """Return a configuration as it stands in the file of a stage."""
    return {
        "id": configuration.id,
        "label": configuration.label,
        "axes": configuration.axes,
        "settings": configuration.settings,
        "epochs": epochs,
        **more,
    }


def trials_of(file: Mapping[str, Any]) -> Iterator[Trial]:
    """Yield the trials that the file of a stage asks for."""
    for configuration in file["configurations"]:
        for split in file["splits"]:
            yield Trial(configuration["id"], split)


def slot_request(request: Mapping[str, Any], file: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """Return what the training job of a slot must know: its part of the trials of its stage.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.plan.Plan.slot_request`.
    file : mapping
        Of its stage.
    slot : str
    """
    number, size = int(slot.rpartition("-")[2]), request["trials_per_job"]
    trials = list(trials_of(file))[(number - 1) * size : number * size]
    used = {trial.config_id for trial in trials}
    return {
        **request,
        "trials": list(map(str, trials)),
        "configurations": {
            c["id"]: {"settings": c["settings"], "epochs": c["epochs"]}
            for c in file["configurations"]
            if c["id"] in used
        },
    }


def stages_of(study: Study, configurations: Iterable[Configuration]) -> tuple[Stage, ...]:
    """Return the stages of a study's search in their order; none when it has only one step.

    Parameters
    ----------
    study : Study
    configurations : iterable of Configuration
        Those of the strategy; they say how long a trial takes.
    """
    search, drawn = study.search, list(configurations)
    if not search.is_staged:
        return ()
    stages = _exploring(study, drawn)
    explored = tuple(stage.name for stage in stages if stage.is_best)
    refined: list[str] = []
    if search.refine is not None:
        for number in range(1, search.refine.rounds + 1):
            stages.append(
                _stage(
                    study,
                    drawn,
                    f"refine{number}",
                    search.refine.max_configurations,
                    search.refine,
                    tuple(refined) or explored,
                )
            )
            refined.append(stages[-1].name)
    if search.confirm is not None:
        sources = tuple(refined) or explored
        stages.append(
            replace(
                _stage(study, drawn, CONFIRM, search.confirm.top, None, sources),
                splits=confirming_splits(study),
            )
        )
    return tuple(stages)


def _exploring(study: Study, drawn: list[Configuration]) -> list[Stage]:
    """Return the stages of the strategy itself."""
    search, strategy = study.search, study.search.strategy
    if isinstance(strategy, KerasTunerStrategy):
        return [_tuned_stage(study, drawn, strategy)]
    if not isinstance(strategy, HyperbandStrategy):
        return [_stage(study, drawn, EXPLORE, len(drawn), search.explore, ())]
    stages = []
    for rung in schedule(study.training.epochs, strategy.factor, strategy.brackets):
        name, before = f"b{rung.bracket}r{rung.rung}", f"b{rung.bracket}r{rung.rung - 1}"
        sources = (before,) if rung.rung else ()
        most = rung.configurations
        stage = _stage(study, drawn, name, most, search.explore, sources, rung.epochs)
        stages.append(
            replace(
                stage,
                has_slots=True,
                is_exact=True,
                is_best=rung.is_last,
                before=rung.before,
            )
        )
    return stages


def first_trials(
    stages: Sequence[Stage], configurations: Sequence[Configuration]
) -> list[Configuration]:
    """Return the drawn configurations with the epochs of the stage that trains them first."""
    first, left = [], list(configurations)
    for stage in stages:
        if not stage.sources:
            own, left = left[: stage.most], left[stage.most :]
            first += [replace(c, epochs=stage.epochs or c.epochs) for c in own]
    return first or left


def _stage(
    study: Study,
    drawn: list[Configuration],
    name: str,
    most: int,
    wanted: Any,
    sources: tuple[str, ...],
    epochs: int | None = None,
) -> Stage:
    own_epochs, splits = effort(study, wanted)
    epochs = epochs or own_epochs
    seconds = sum(seconds_per_trial(study, c) for c in drawn) / len(drawn)
    if epochs is not None:
        seconds *= epochs / study.training.epochs
    size = trials_per_job(study.execution.trials_per_job, len(splits), most * len(splits), seconds)
    full = epochs in (None, study.training.epochs) and list(splits) == split_names(study.resampling)
    drawn_now = not sources
    return Stage(
        name,
        most,
        epochs,
        splits,
        sources,
        size,
        full,
        has_slots=not drawn_now,
        is_exact=drawn_now,
    )


def _tuned_stage(study: Study, drawn: list[Configuration], tuner: KerasTunerStrategy) -> Stage:
    """Return the stage in which a tuner explores, in one job."""
    most = most_configurations(study, tuner)
    stage = _stage(study, drawn, EXPLORE, most, study.search.explore, ())
    return replace(
        stage,
        epochs=most_epochs(study, tuner),
        # Most trials of Hyperband are cut short.
        full=stage.full and tuner.tuner != "hyperband",
        trials_per_job=max(1, stage.trials),
        has_slots=True,
        is_exact=False,
    )


def answering(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages whose trials the answer comes from: all trained in full, none cheaper."""
    confirming = [stage for stage in stages if stage.name == CONFIRM]
    return confirming or [stage for stage in stages if stage.full]


def with_catalogue(request: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the request for the final model with the settings of a search in stages.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.plan.Plan.final_request`.
    file : str
        The catalogue of all configurations; empty where there is none.
    """
    if not file:
        return dict(request)
    return {**request, "settings": json.loads(Path(file).read_text(encoding="utf-8"))}
