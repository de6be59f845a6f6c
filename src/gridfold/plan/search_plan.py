"""What the jobs of a search in stages must know, and which files they read; read by the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfold.canonical import canonical_json
from gridfold.cluster.placement import Placement, Site
from gridfold.plan.plan import Plan
from gridfold.plan.stage_names import EXPLORE, stage_of
from gridfold.plan.stages import Stage, answering, entry, stage_file
from gridfold.plan.tuner_schedule import tuner_of
from gridfold.space.space import Space
from gridfold.space.starting_points import start_points
from gridfold.study.request import study_request


class SearchPlan:
    """The stages of a plan: their jobs, files and requests.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.stages: Mapping[str, Stage] = {stage.name: stage for stage in plan.stages}

    def file(self, stage: str) -> Path:
        """Return the file that says which configurations a stage has."""
        return self._plan.paths.search / f"{stage}.json"

    @property
    def files(self) -> list[Path]:
        """The files of all stages."""
        return list(map(self.file, self.stages))

    def shards(self, stage: str) -> list[str]:
        """Return the jobs of a stage: its slots, or the shards of trials known beforehand."""
        found = self.stages[stage]
        return found.slots if found.has_slots else list(self._plan.shards)

    @property
    def all_shards(self) -> list[str]:
        """The training jobs of the study: those of all stages, or its shards where it has none."""
        if not self.stages:
            return list(self._plan.shards)
        return [shard for stage in self.stages for shard in self.shards(stage)]

    @property
    def answering_shards(self) -> list[str]:
        """The training jobs whose trials are compared with each other in the end."""
        if not self.stages:
            return list(self._plan.shards)
        return [s for stage in answering(self._plan.stages) for s in self.shards(stage.name)]

    @property
    def answering_splits(self) -> list[str]:
        """The splits on which the compared configurations are trained in full."""
        used = [split for stage in answering(self._plan.stages) for split in stage.splits]
        return list(dict.fromkeys(used or self._plan.splits))

    def source_files(self, stage: str) -> list[Path]:
        """Return the files of the stages whose scores decide about `stage`."""
        return list(map(self.file, self.stages[stage].sources))

    def source_shards(self, stage: str) -> list[str]:
        """Return the jobs of the stages whose scores decide about `stage`."""
        return [shard for source in self.stages[stage].sources for shard in self.shards(source)]

    @property
    def all_splits(self) -> list[str]:
        """The splits that trials of any stage use."""
        used = [split for stage in self._plan.stages for split in stage.splits]
        return list(dict.fromkeys(used or self._plan.splits))

    @property
    def is_tuned(self) -> bool:
        """Whether a tuner of Keras Tuner explores."""
        return tuner_of(self._plan.study) is not None

    @property
    def tuner_processes(self) -> int:
        """The processes that train while a tuner explores: workers, or the job itself."""
        tuner = tuner_of(self._plan.study)
        return max(1, tuner.workers) if tuner else 1

    def tuner_threads(self, cores: int | None) -> int:
        """Return the CPU cores that a search asks for: on a cluster, those of each process."""
        if cores is None or self.tuner_processes == 1:
            return self._plan.threads(cores)
        return cores

    def tuner_placement(self, site: Site) -> Placement:
        """Return what a search asks for; every worker may have a GPU."""
        return Placement(self.tuner_processes, self.tuner_processes, site)

    # -- requests --------------------------------------------------------------------------------

    @property
    def drawn_pattern(self) -> str:
        """The names of the stages whose configurations are drawn, as a regular expression."""
        return "|".join(s.name for s in self._plan.stages if not s.sources) or EXPLORE

    def explore_request(self, name: str) -> str:
        """Return what `explore` writes: the configurations that the strategy has drawn."""
        left = self._plan.configurations
        for stage in self._plan.stages:
            if stage.name == name:
                entries = (entry(c, c.epochs) for c in left[: stage.most])
                return canonical_json(stage_file(name, stage.splits, entries))
            if not stage.sources:
                left = left[stage.most :]
        raise ValueError(f"no stage {name}")

    def tune_request(self) -> str:
        """Return what a search with Keras Tuner depends on."""
        plan = self._plan
        return canonical_json(
            {
                **plan.training_request(),
                **study_request(plan.study),
                "splits": plan.splits,
                "starts": start_points(Space.of(plan.study)),
            }
        )

    def slot_request(self, slot: str) -> str:
        """Return what the training job of a slot depends on, besides the file of its stage."""
        return canonical_json(
            {
                **self._plan.training_request(),
                "failed_trials": self._plan.study.execution.failed_trials,
                "trials_per_job": self.stages[stage_of(slot)].trials_per_job,
            }
        )

    def _choice(self, name: str, **more: Any) -> str:
        stage, study = self.stages[name], self._plan.study
        return canonical_json(
            {
                "stage": name,
                "splits": stage.splits,
                "epochs": stage.epochs,
                "all_epochs": study.training.epochs,
                "measure": study.problem.ranking_measure,
                "most": stage.most,
                **more,
            }
        )

    def refine_request(self, number: int) -> str:
        """Return what a round of `refine` depends on, besides the scores before it."""
        study = self._plan.study
        refine = study.search.refine
        assert refine is not None
        return self._choice(
            f"refine{number}",
            top=refine.top,
            step=refine.step * refine.shrink ** (number - 1),
            swap=refine.swap,
            **study_request(study),
        )

    def choice_request(self, stage: str) -> str:
        """Return what `promote` and `confirm` depend on, besides the scores before them."""
        return self._choice(stage)

    def ensemble_request(self) -> str:
        """Return what `fit_ensemble` depends on, besides the selected configuration."""
        return self._plan.final_request(splits=self.answering_splits)

    def collect_request(self) -> str:
        """Return what `collect` depends on, besides the shards and the files of the stages."""
        if not self.stages:
            return self._plan.collect_request()
        return canonical_json(
            {
                "stages": [
                    {
                        "name": stage.name,
                        "answers": stage in answering(self._plan.stages),
                        "shards": self.shards(stage.name),
                    }
                    for stage in self._plan.stages
                ],
                "measure": self._plan.study.problem.ranking_measure,
            }
        )
