"""The plan of a study: what runs, in which jobs, and what each job must know. Read by the rules."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.canonical import canonical_json
from gridfold.cost import format_seconds, seconds_per_trial
from gridfold.loading import load_study
from gridfold.paths import StudyPaths, result_file
from gridfold.provenance import numeric_versions, training_code_digest
from gridfold.references import source_digest, split_reference
from gridfold.shards import Ledger, Trial, trials_per_job
from gridfold.space import Configuration, Expansion, describe_axis
from gridfold.study import Study
from gridfold.study.resampling import split_names

SHARD_PATTERN = r"s[0-9]+"


@dataclass(frozen=True)
class Plan:
    """A study, its configurations and its shards.

    Attributes
    ----------
    study : Study
    expansion : Expansion
    files : tuple of Path
        The study files.
    paths : StudyPaths
    splits : list of str
        Names of the splits.
    ledger : Ledger
        All shards, those of earlier grids included.
    """

    study: Study
    expansion: Expansion
    files: tuple[Path, ...]
    paths: StudyPaths
    splits: list[str]
    ledger: Ledger

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
        splits = split_names(study.resampling)
        trials = [Trial(c.id, split) for c in configurations for split in splits]
        mean = sum(seconds_per_trial(study, c) for c in configurations) / len(configurations)
        size = trials_per_job(study.execution.trials_per_job, len(splits), len(trials), mean)
        ledger = Ledger.read(paths.ledger).assign(trials, size)
        return cls(study, loaded.expansion, loaded.files, paths, splits, ledger)

    @property
    def configurations(self) -> list[Configuration]:
        """The configurations of the search space."""
        return self.expansion.configurations

    @property
    def trials(self) -> list[Trial]:
        """Every configuration on every split."""
        return [Trial(c.id, split) for c in self.configurations for split in self.splits]

    @property
    def shards(self) -> dict[str, tuple[Trial, ...]]:
        """The shards that this study needs."""
        return self.ledger.serving(self.trials)

    def workers(self, cores: int | None) -> int:
        """Return how many trials run at once in a job that gets `cores` CPU cores."""
        per_worker = self.study.execution.threads_per_worker
        wanted = self.study.execution.workers
        if wanted == "auto":
            return max(1, (cores or _DEFAULT_JOB_CORES) // per_worker)
        return wanted

    def threads(self, cores: int | None) -> int:
        """Return the CPU cores that a training job asks for."""
        return self.workers(cores) * self.study.execution.threads_per_worker

    # -- what the jobs must know: one canonical JSON text each, so that Snakemake's comparison of
    #    parameters sees every change and nothing else ------------------------------------------

    def data_files(self) -> dict[str, str]:
        """Return the data files whose change must be noticed."""
        path = getattr(self.study.data, "path", None)
        return {} if path is None else {"source": path}

    def data_request(self) -> str:
        """Return what `prepare_data` depends on."""
        data = self.study.data
        request: dict[str, Any] = {
            "data": data.model_dump(exclude={"test_fraction", "normalise"}),
            "problem": self.study.problem.type,
        }
        if data.source == "python":
            request["code"] = source_digest(split_reference(data.function)[0])
        return canonical_json(request)

    def splits_request(self) -> str:
        """Return what `make_splits` depends on."""
        data = self.study.data
        return canonical_json(
            {
                "resampling": self.study.resampling.model_dump(),
                "test_fraction": data.test_fraction,
                "test_seed": data.test_seed,
                "classification": self.study.problem.is_classification,
            }
        )

    def _training_request(self) -> dict[str, Any]:
        training = self.study.training
        return {
            "code": training_code_digest(self.study),
            "versions": numeric_versions(),
            "steps_per_execution": training.steps_per_execution,
            "checkpoint_every": training.checkpoint_every,
            "threads": self.study.execution.threads_per_worker,
        }

    def train_request(self, shard: str) -> str:
        """Return what the training job of `shard` depends on."""
        known = {c.id: c for c in self.configurations}
        members = [trial for trial in self.ledger.shards[shard] if trial.config_id in known]
        used = dict.fromkeys(trial.config_id for trial in members)
        return canonical_json(
            {
                **self._training_request(),
                "trials": list(map(str, members)),
                "configurations": {
                    i: {"settings": known[i].settings, "epochs": known[i].epochs} for i in used
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

    def final_request(self) -> str:
        """Return what `fit_final` depends on, besides the selected configuration."""
        return canonical_json(
            {
                **self._training_request(),
                "study": self.study.study,
                "measure": self.study.problem.ranking_measure,
                "confidence": self.study.report.confidence,
                "settings": {
                    c.id: {"settings": c.settings, "epochs": c.epochs} for c in self.configurations
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

    # -- what people want to know beforehand -----------------------------------------------------

    def finished(self) -> set[Trial]:
        """Return the trials of this study that have a record in the run store."""
        recorded = set()
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
        done = self.finished()
        remaining = [t for t in self.trials if t not in done]
        by_id = {c.id: c for c in self.configurations}
        seconds = sum(seconds_per_trial(self.study, by_id[t.config_id]) for t in remaining)
        workers = self.workers(cores)
        jobs = [s for s, members in self.shards.items() if not set(remaining).isdisjoint(members)]
        resampling = self.study.resampling
        lines = [
            f"Study {self.study.study}: {self.study.problem.type} on {self.study.data.source}, "
            f"{' and '.join(self.study.model.families)}",
            f"  configurations  {len(self.configurations)}"
            + (
                f" ({len(self.expansion.duplicates)} duplicates left out)"
                * bool(self.expansion.duplicates)
            ),
            f"  splits          {len(self.splits)} ({resampling.method}, {resampling.folds} folds"
            f" x {resampling.repeats})",
            f"  trials          {len(self.trials)}, of which {len(done)} are done and "
            f"{len(remaining)} are to be trained in {len(jobs)} jobs",
            f"  estimated cost  {format_seconds(seconds)} on one worker, "
            f"{format_seconds(seconds / workers)} on {workers} (rough)",
        ]
        lines += [
            f"  axis            {describe_axis(n, a)}" for n, a in self.study.search.space.items()
        ]
        return "\n".join(lines)


_DEFAULT_JOB_CORES = 4
