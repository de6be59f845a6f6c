"""The plan of a study: what runs, in which jobs, and what each job must know. Read by the rules."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gridfold.canonical import canonical_json, case_id
from gridfold.cluster.placement import Placement, Site, processes
from gridfold.data.content import content_digest
from gridfold.environment.versions import numeric_versions
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.cost import seconds_per_trial
from gridfold.plan.fingerprint import training_code_digest
from gridfold.plan.loading import load_study
from gridfold.plan.shards import DISTRIBUTED, SINGLE, Ledger, Trial, trials_per_job
from gridfold.plan.stages import (
    Stage,
    confirming_plan,
    effort,
    first_trials,
    stages_of,
    training_fractions,
)
from gridfold.plan.tuner_schedule import tuner_of
from gridfold.plan.words import description
from gridfold.problems import Measure
from gridfold.space.space import Configuration, Expansion, shown_value
from gridfold.store import request_notes
from gridfold.study import Study
from gridfold.usercode import notebooks
from gridfold.usercode.digests import code_digest
from gridfold.usercode.functions import split_reference

SINGLE_SHARD_PATTERN = rf"{SINGLE}[0-9]+"
DISTRIBUTED_SHARD_PATTERN = rf"{DISTRIBUTED}[0-9]+"


@dataclass(frozen=True)
class Plan:
    """A study, its configurations and its shards.

    Attributes
    ----------
    study : Study
    expansion : Expansion
        With a tuner, some configurations of its space, which stand for those that it will choose.
    files : tuple of Path
        The study files.
    paths : StudyPaths
    splits : list of str
        Names of the splits.
    ledger : Ledger
        All shards, those of earlier grids included.
    stages : tuple of Stage
        Of a search that goes on from what its first trials have found; otherwise none. Then
        `expansion`, `splits` and `ledger` are those of the first one.
    overrides : dict
        Values from the command line, over those of the files.
    """

    study: Study
    expansion: Expansion
    files: tuple[Path, ...]
    paths: StudyPaths
    splits: list[str]
    ledger: Ledger
    stages: tuple[Stage, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        files: Iterable[Path | str],
        overrides: Mapping[str, Any] | None = None,
        results: Path | str = "results",
    ) -> Plan:
        """Read a study and plan it, with regard to what earlier runs have decided.

        Raises
        ------
        StudyError
            When the study can't be run.
        """
        loaded = load_study(files, overrides)
        study, configurations = loaded.study, loaded.expansion.configurations
        paths = StudyPaths.of(study.study, results)
        stages = stages_of(study, configurations)
        configurations = first_trials(stages, configurations)
        _, splits = effort(study, study.search.explore)
        ledger = Ledger.read(paths.ledger)
        # Only trials of the same backend and world size can be trained by the same processes.
        lanes: dict[tuple[str, int], list[Configuration]] = {}
        has_slots = any(stage.has_slots for stage in stages[:1])
        for configuration in [] if has_slots else configurations:
            lanes.setdefault(_lane(configuration), []).append(configuration)
        for (_, world_size), members in lanes.items():
            trials = [Trial(c.id, split) for c in members for split in splits]
            mean = sum(seconds_per_trial(study, c) for c in members) / len(members)
            size = trials_per_job(study.execution.trials_per_job, len(splits), len(trials), mean)
            ledger = ledger.assign(trials, size, SINGLE if world_size == 1 else DISTRIBUTED)
        return cls(
            study,
            replace(loaded.expansion, configurations=configurations),
            loaded.files,
            paths,
            list(splits),
            ledger,
            stages,
            overrides or {},
        )

    @property
    def configurations(self) -> list[Configuration]:
        """The configurations of the search space."""
        return self.expansion.configurations

    @property
    def trials(self) -> list[Trial]:
        """Every configuration on every split; none where a tuner chooses them while it runs."""
        if tuner_of(self.study):
            return []
        return [Trial(c.id, split) for c in self.configurations for split in self.splits]

    @property
    def shards(self) -> dict[str, tuple[Trial, ...]]:
        """The shards that this study needs."""
        if any(stage.has_slots for stage in self.stages[:1]):
            return {}
        return self.ledger.serving(self.trials)

    @property
    def is_distributed(self) -> bool:
        """Whether some configurations train on several devices."""
        return any(_lane(c)[1] > 1 for c in self.configurations)

    @property
    def compares_world_sizes(self) -> bool:
        """Whether configurations differ in the number of their replicas."""
        return len({_lane(c)[1] for c in self.configurations}) > 1

    def _members(self, shard: str) -> list[tuple[Trial, Configuration]]:
        """Return the wanted trials of a shard; those of earlier grids are left out."""
        known = {c.id: c for c in self.configurations}
        return [(t, known[t.config_id]) for t in self.ledger.shards[shard] if t.config_id in known]

    def processes(self, shard: str) -> int:
        """Return how many processes train the trials of a shard together."""
        return processes(self._members(shard)[0][1].settings)

    def most_processes(self) -> int:
        """Return how many processes the configuration with the most of them trains in."""
        return max(processes(c.settings) for c in self.configurations)

    def placement(self, shard: str, site: Site) -> Placement:
        """Return what the distributed job of a shard asks for."""
        return Placement.of(self._members(shard)[0][1].settings, site)

    def final_placement(self, site: Site) -> Placement:
        """Return what training the final model asks for, whichever configuration wins."""
        each = [Placement.of(c.settings, site) for c in self.configurations]
        return Placement(max(p.processes for p in each), max(p.replicas for p in each), site)

    def all_epochs(self, configuration: Configuration) -> int:
        """Return the epochs of a full training, of which a stage may ask for a part."""
        epochs: int = configuration.settings["training"].get("epochs", self.study.training.epochs)
        return epochs

    def workers(self, cores: int | None) -> int:
        """Return how many trials run at once in a job that gets `cores` CPU cores."""
        per_worker = self.study.execution.threads_per_worker
        wanted = self.study.execution.workers
        if wanted == "auto":
            return max(1, (cores or _DEFAULT_JOB_CORES) // per_worker)
        return wanted

    @property
    def fixed_workers(self) -> int:
        """The number of workers that the study fixes; 0 where the job's cores or GPUs decide."""
        wanted = self.study.execution.workers
        return 0 if wanted == "auto" else wanted

    def rank_threads(self, processes: int, cores: int | None) -> int:
        """Return the CPU cores that a distributed job asks for.

        On this machine all that its processes use; on a cluster, where each process is a task,
        those of one.
        """
        each = self.study.execution.threads_per_worker
        return each if cores is None else each * processes

    def data_threads(self, cores: int | None) -> int:
        """Return the CPU cores that reading the data asks for: images are decoded in parallel."""
        return (cores or _DEFAULT_JOB_CORES) if self.study.data.source == "images" else 1

    def threads(self, cores: int | None) -> int:
        """Return the CPU cores that a training job asks for."""
        return self.workers(cores) * self.study.execution.threads_per_worker

    # -- what the jobs must know: one canonical JSON text each, so that Snakemake's comparison of
    #    parameters sees every change and nothing else ------------------------------------------

    def data_request(self) -> str:
        """Return what `prepare_data` depends on."""
        data = self.study.data
        request: dict[str, Any] = {
            "data": data.model_dump(exclude={"test_fraction", "normalise"}),
            "problem": self.study.problem.type,
        }
        if self._content:
            request["content"] = self._content
        if data.source == "python":
            request["code"] = code_digest(split_reference(data.function)[0])
        return canonical_json(request)

    @cached_property
    def _content(self) -> str:
        """The digest of the data files when it was first asked for; there may be a million."""
        return content_digest(self.study, self.paths.source_digests)

    def splits_request(self) -> str:
        """Return what `make_splits` depends on."""
        data = self.study.data
        request: dict[str, Any] = {
            "resampling": self.study.resampling.model_dump(),
            "test_fraction": data.test_fraction,
            "test_seed": data.test_seed,
            "classification": self.study.problem.is_classification,
        }
        if Measure.of(self.study.problem.ranking_measure).needs_two_classes:
            # Only then, so that no other change of the measure draws splits anew.
            request["measure"] = self.study.problem.ranking_measure
        if self.stages:
            request["training_fractions"] = training_fractions(self.study)
            request["confirm"] = confirming_plan(self.study)
        return canonical_json(request)

    def training_request(self) -> dict[str, Any]:
        """Return what every training depends on, whatever its trials."""
        training = self.study.training
        return {
            "code": training_code_digest(self.study),
            "versions": numeric_versions(),
            "steps_per_execution": training.steps_per_execution,
            "checkpoint_every": training.checkpoint_every,
            "threads": self.study.execution.threads_per_worker,
            "in_memory_mb": self.study.execution.in_memory_mb,
        }

    def train_request(self, shard: str) -> str:
        """Return what the training job of `shard` depends on."""
        members = self._members(shard)
        used = {c.id: c for _, c in members}
        return canonical_json(
            {
                **self.training_request(),
                "trials": [str(trial) for trial, _ in members],
                "configurations": {
                    i: {"settings": c.settings, "epochs": c.epochs} for i, c in used.items()
                },
                "failed_trials": self.study.execution.failed_trials,
            }
        )

    def collect_request(self) -> str:
        """Return what `collect` depends on: the trials that belong to the study."""
        return canonical_json(
            {
                "splits": self.splits,
                "configurations": [
                    {"id": c.id, "label": c.label, "axes": c.axes, "epochs": c.epochs}
                    for c in self.configurations
                ],
            }
        )

    def summary_request(self) -> str:
        """Return what `summarise` and `select_best` depend on."""
        return canonical_json(
            {
                "measure": self.study.problem.ranking_measure,
                "confidence": self.study.report.confidence,
                "axes": [
                    {"name": name, "role": axis.role, "form": axis.form}
                    for name, axis in self.study.search.space.items()
                ],
            }
        )

    def comparison_request(self) -> str:
        """Return what `compare_configurations` depends on, besides tables and predictions."""
        return canonical_json(
            {
                "measure": self.study.problem.ranking_measure,
                "confidence": self.study.report.confidence,
                "space": {
                    name: axis.model_dump(mode="json", by_alias=True)
                    for name, axis in self.study.search.space.items()
                },
            }
        )

    def scaling_request(self) -> str:
        """Return what `measure_scaling` depends on, besides the tables."""
        rows = []
        for configuration in self.configurations:
            parallel = configuration.settings["training"].get("distribution")
            rows.append(
                {
                    "config_id": configuration.id,
                    "case": case_id(configuration.settings),
                    "series": " ".join(
                        f"{name.rpartition('.')[2]}={shown_value(value)}"
                        for name, value in configuration.axes.items()
                        if name != "model" and not name.startswith("training.distribution.")
                    ),
                    "backend": parallel["backend"] if parallel else "single",
                }
            )
        return canonical_json({"configurations": rows})

    def final_request(self, **more: Any) -> str:
        """Return what `fit_final` depends on, besides the selected configuration and `more`."""
        return canonical_json(
            {
                **more,
                **self.training_request(),
                "study": self.study.study,
                "measure": self.study.problem.ranking_measure,
                "confidence": self.study.report.confidence,
                # Those of a search in stages come from its catalogue.
                "settings": {
                    c.id: {"settings": c.settings, "epochs": c.epochs}
                    for c in self.configurations
                    if not self.stages
                },
            }
        )

    def report_request(self) -> str:
        """Return what the figures and the report depend on, besides the tables."""
        return canonical_json(
            {
                "study": self.study.model_dump(mode="json", by_alias=True),
                "files": list(map(str, self.files)),
                "configurations": len(self.configurations),
                "duplicates": self.expansion.duplicates,
                "measure": self.study.problem.ranking_measure,
                "splits": self.splits,
            }
        )

    def notebook_request(self, file: str) -> str:
        """Return what running the notebook `file` depends on, besides the tables."""
        return canonical_json(
            {
                "study": self.study.study,
                "notebook": file,
                "code": notebooks.source_digest(file),
            }
        )

    # -- what people want to know beforehand -----------------------------------------------------

    @property
    def has_other_data(self) -> bool:
        """Whether the records of all trials are of other data, and will be set aside."""
        return request_notes.answers(self.paths.log("prepare_data"), self.data_request()) is False

    def finished(self) -> set[Trial]:
        """Return the trials of this study that have a record in the run store."""
        recorded: set[Trial] = set()
        if self.has_other_data:
            return recorded
        for configuration in self.configurations:
            try:
                with os.scandir(self.paths.runs / configuration.id) as folders:
                    names = {folder.name for folder in folders}
            except FileNotFoundError:
                continue
            for split in names.intersection(self.splits):
                folder = self.paths.trial(configuration.id, split)
                if result_file(folder, configuration.epochs).exists():
                    recorded.add(Trial(configuration.id, split))
        return recorded

    def describe(self, cores: int | None = None) -> str:
        """Return the plan in a few readable lines."""
        return description(self, cores)


_DEFAULT_JOB_CORES = 4


def _lane(configuration: Configuration) -> tuple[str, int]:
    """Return backend and world size; with one device all backends are the same."""
    parallel = configuration.settings["training"].get("distribution")
    return (parallel["backend"], parallel["world_size"]) if parallel else ("single", 1)
