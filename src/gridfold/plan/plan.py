"""The plan of a study: what runs, and in which jobs. Read by the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gridfold.cluster.placement import Placement, Site, processes
from gridfold.data.content import content_digest
from gridfold.environment.versions import numeric_versions
from gridfold.paths import StudyPaths
from gridfold.plan.asynchronous import RungsJobs
from gridfold.plan.cost import CostModel
from gridfold.plan.loading import LoadedStudy, load_checked, load_recorded, load_study
from gridfold.plan.outer import OuterFold, folds_of
from gridfold.plan.shards import (
    DISTRIBUTED,
    SINGLE,
    Ledger,
    TrialKey,
    trials_per_job,
    workers_of_a_job,
)
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import SCORE, SLOT_PATTERN, stage_of, step_of
from gridfold.plan.stages import (
    Stage,
    answering,
    chosen,
    dealt_out,
    first_trials,
    stages_of,
)
from gridfold.plan.tuner_schedule import tuner_of
from gridfold.space.space import Configuration, Expansion
from gridfold.store.last_run import LastRun
from gridfold.store.snapshot import Snapshot
from gridfold.study import Study
from gridfold.study.command import run_command
from gridfold.study.sections.optuna_sampler import OptunaStrategy

SHARD_PATTERN = rf"{SINGLE}[0-9]+|{SLOT_PATTERN}"
DISTRIBUTED_SHARD_PATTERN = rf"{DISTRIBUTED}[0-9]+"
_DEFAULT_JOB_CORES = 4
# Beside so many trainings, one more costs a tenth.
_MANY_TRAININGS = 10


@dataclass(frozen=True)
class Plan:
    """A study, its configurations, its stages and its jobs.

    Attributes
    ----------
    study : Study
    expansion : Expansion
        Configurations that the strategy has drawn. With a tuner, some configurations of its space,
        which stand for those that it will choose.
    files : tuple of Path
        The study files.
    paths : StudyPaths
    splits : list of str
        Splits of the first stage.
    ledger : Ledger
        All shards, those of earlier grids included: the jobs of trials that are known beforehand.
    stages : tuple of Stage
        Stages of the search in their order, at least one.
    given : dict
        What stands in the files and over them, without the defaults.
    overrides : dict
        Values from the command line, over those of the files.
    snapshot : Snapshot or None
        What the run was asked for that this process belongs to; None outside of a run.
    """

    study: Study
    expansion: Expansion
    files: tuple[Path, ...]
    paths: StudyPaths
    splits: list[str]
    ledger: Ledger
    stages: tuple[Stage, ...]
    given: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Snapshot | None = None

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
        return cls._of(loaded, StudyPaths.of(loaded.study.study, results), overrides or {})

    @classmethod
    def load_last_run(cls, folder: Path) -> Plan:
        """Plan the study as it was run last, from its folder of results.

        Raises
        ------
        FileNotFoundError
            When the folder has no record of a run, as those of earlier versions have none.
        DamagedRecord
            When the record can't be read.
        StudyError
            When this version can't run that study.
        """
        paths = StudyPaths(folder)
        run = LastRun.read(paths.last_run)
        return cls._of(load_recorded(run.study, run.files, paths.last_run), paths, run.overrides)

    @classmethod
    def of_snapshot(
        cls, snapshot: Snapshot, file: Path, expansion: Expansion | None = None
    ) -> Plan:
        """Plan the study as a run was asked for it.

        Parameters
        ----------
        snapshot : Snapshot
        file : Path
            Where it lies.
        expansion : Expansion, optional
            What that run has found in the search space; found again when left out.
        """
        loaded = load_checked(snapshot.study, snapshot.files, file, expansion)
        paths = StudyPaths.of(loaded.study.study, snapshot.results)
        return cls._of(loaded, paths, snapshot.overrides).as_asked_for(snapshot)

    def as_asked_for(self, snapshot: Snapshot) -> Plan:
        """Return this plan as the jobs of a run see it."""
        return replace(self, snapshot=snapshot)

    @classmethod
    def _of(cls, loaded: LoadedStudy, paths: StudyPaths, overrides: Mapping[str, Any]) -> Plan:
        study, configurations = loaded.study, loaded.expansion.configurations
        stages = stages_of(study, configurations)
        configurations = first_trials(stages, configurations)
        splits = stages[0].splits
        ledger = Ledger.read(paths.ledger)
        # Only trials of the same backend and world size can be trained by the same processes.
        kinds: dict[tuple[str, int], list[Configuration]] = {}
        for configuration in [] if stages[0].has_slots else configurations:
            kinds.setdefault(_backend_and_size(configuration), []).append(configuration)
        # Apart from each other, so that no outer fold waits for another one.
        searches = [splits, *(fold.search[0].splits for fold in folds_of(study, stages))]
        for (_, world_size), members in kinds.items():
            mean = CostModel.of(study).mean_seconds(members)
            count = len(members) * len(splits)
            size = trials_per_job(study.execution.trials_per_job, len(splits), count, mean)
            for names in searches:
                trials = [TrialKey(c.id, split) for c in members for split in names]
                ledger = ledger.assign(trials, size, SINGLE if world_size == 1 else DISTRIBUTED)
        return cls(
            study,
            loaded.expansion,
            loaded.files,
            paths,
            list(splits),
            ledger,
            stages,
            loaded.given,
            overrides,
        )

    @property
    def command(self) -> str:
        """The command that runs this study."""
        return run_command(map(str, self.files), self.overrides, str(self.paths.root.parent))

    @property
    def run(self) -> LastRun:
        """What a run of this plan is asked for."""
        return LastRun([*map(str, self.files)], dict(self.overrides), dict(self.given))

    @cached_property
    def configurations(self) -> list[Configuration]:
        """The configurations that the strategy has drawn, as the first stages train them."""
        return first_trials(self.stages, self.expansion.configurations)

    @cached_property
    def content(self) -> str:
        """Digest of the data files when the run began, or else when it was first asked for.

        There may be a million of them.
        """
        return self.current_content() if self.snapshot is None else self.snapshot.content

    def current_content(self) -> str:
        """Return the digest of the data files as they are now."""
        return content_digest(self.study.data.model_dump(), self.paths.source_digests)

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that decide numbers."""
        return numeric_versions() if self.snapshot is None else self.snapshot.versions

    @cached_property
    def by_id(self) -> dict[str, Configuration]:
        """The drawn configurations by id."""
        return {c.id: c for c in self.configurations}

    # -- stages and their jobs ---------------------------------------------------------------------

    @property
    def is_staged(self) -> bool:
        """Whether something is decided while the search runs."""
        return any(stage.has_slots for stage in self.stages)

    @property
    def races(self) -> bool:
        """Whether configurations race over the splits."""
        return self.study.search.race is not None

    @cached_property
    def outer_folds(self) -> tuple[OuterFold, ...]:
        """The outer folds of a nested estimate; none without one."""
        return folds_of(self.study, self.stages)

    @property
    def all_stages(self) -> list[Stage]:
        """The stages of the search, and those of the outer folds."""
        return list(self._stages_by_name.values())

    @cached_property
    def _stages_by_name(self) -> dict[str, Stage]:
        outer = (stage for fold in self.outer_folds for stage in fold.stages)
        return {stage.name: stage for stage in (*self.stages, *outer)}

    def stage(self, name: str) -> Stage:
        """Return the stage of that name.

        Raises
        ------
        LookupError
            When the study has none.
        """
        try:
            return self._stages_by_name[name]
        except KeyError:
            raise LookupError(f"study {self.study.study} has no stage {name}") from None

    def drawn(self, stage: Stage) -> StageFile | None:
        """Return the file of a stage whose configurations are drawn; None where scores choose."""
        step = step_of(stage.name)
        if step != stage.name:
            # An outer fold begins with the same configurations.
            known = None if step == SCORE else self.drawn(self.stage(step))
            return known and replace(known, stage=stage.name, splits=stage.splits)
        for other, own in [] if self.is_tuned else dealt_out(self.stages, self.configurations):
            if other == stage:
                return StageFile(stage.name, stage.splits, tuple(chosen(c, c.epochs) for c in own))
        return None

    @property
    def trials(self) -> list[TrialKey]:
        """Trials of the first stages; none where a tuner chooses them while it runs."""
        if self.is_tuned:
            return []
        return [TrialKey(c.id, split) for c in self.configurations for split in self.splits]

    @cached_property
    def shards(self) -> dict[str, tuple[TrialKey, ...]]:
        """Jobs of the trials that are known beforehand, outer folds left out."""
        return {} if self.stages[0].has_slots else self.ledger.serving(self.trials)

    @cached_property
    def outer_shards(self) -> dict[str, dict[str, tuple[TrialKey, ...]]]:
        """The same of the first stage of each outer fold, by its name."""
        if self.stages[0].has_slots:
            return {}
        return {
            fold.search[0].name: self.ledger.serving(
                TrialKey(c.id, split)
                for c in self.configurations
                for split in fold.search[0].splits
            )
            for fold in self.outer_folds
        }

    def shards_of(self, stage: Stage) -> list[str]:
        """Return the training jobs of a stage."""
        return (
            stage.slots if stage.has_slots else list(self.outer_shards.get(stage.name, self.shards))
        )

    @property
    def search_shards(self) -> list[str]:
        """The training jobs of the study's own search."""
        return [shard for stage in self.stages for shard in self.shards_of(stage)]

    @property
    def all_shards(self) -> list[str]:
        """The training jobs of the study, those of outer folds included."""
        return [shard for stage in self.all_stages for shard in self.shards_of(stage)]

    @property
    def answering_stages(self) -> list[Stage]:
        """The stages whose trials are compared with each other in the end."""
        return answering(self.stages)

    @property
    def answering_shards(self) -> list[str]:
        """The training jobs whose trials are compared with each other in the end."""
        return [shard for stage in self.answering_stages for shard in self.shards_of(stage)]

    @property
    def answering_splits(self) -> list[str]:
        """The splits on which the compared configurations are trained in full."""
        return _unique(split for stage in self.answering_stages for split in stage.splits)

    @property
    def all_splits(self) -> list[str]:
        """The splits that trials of any stage use."""
        return _unique(split for stage in self.all_stages for split in stage.splits)

    @property
    def stage_files(self) -> list[Path]:
        """The files of all stages of the study's own search."""
        return [self.paths.stage(stage.name) for stage in self.stages]

    @property
    def stopping_files(self) -> list[Path]:
        """The files that say why a search stopped or not; none where it may not stop."""
        if self.study.search.stop is None:
            return []
        return [self.paths.stage(s.name) for s in self.stages if not s.sources or s.is_drawn]

    def source_files(self, stage: str) -> list[Path]:
        """Return the files of the stages whose scores decide about `stage`."""
        return [self.paths.stage(source) for source in self.stage(stage).sources]

    def source_tables(self, stage: str) -> list[Path]:
        """Return the trials of the jobs whose scores decide about `stage`."""
        return [
            self.paths.shard_tables(shard)[0]
            for source in self.stage(stage).sources
            for part in (*self.stage(source).continues, source)
            for shard in self.shards_of(self.stage(part))
        ]

    def deciding_file(self, shard: str) -> list[Path]:
        """Return the file that says which trials fall to a job, if it is a slot."""
        return [] if shard in self.ledger.shards else [self.paths.stage(stage_of(shard))]

    def members(self, shard: str) -> list[tuple[TrialKey, Configuration]]:
        """Return the wanted trials of a shard; those of earlier grids are left out."""
        known = self.by_id
        return [(t, known[t.config_id]) for t in self.ledger.shards[shard] if t.config_id in known]

    def trains(self, shard: str) -> str:
        """Return what a job trains where that is one trial or configuration; else its own name.

        As ``b9a029a4956b r0f3``.
        """
        members = self._planned(shard)
        configurations = {trial.config_id for trial, _ in members}
        if len(configurations) != 1:
            return shard
        (trial, _), *others = members
        return trial.config_id if others else f"{trial.config_id} {trial.split}"

    def trained(self, shard: str) -> str:
        """Return in words what a job trains: the label of its configuration, or how many there are.

        Which configurations fall to a slot of a later stage, scores decide.
        """
        members = self._planned(shard)
        labels = {trial.config_id: found.label for trial, found in members}
        if not labels:
            return "what the stage before it chooses"
        if len(labels) == 1:
            (label,) = labels.values()
            splits = f", {len(members)} splits" if len(members) > 1 else ""
            return f"{label or 'the only configuration'}{splits}"
        return f"{len(members)} trials of {len(labels)} configurations"

    def _planned(self, shard: str) -> list[tuple[TrialKey, Configuration]]:
        return self.members(shard) if shard in self.ledger.shards else []

    # -- an asynchronous Hyperband -----------------------------------------------------------------

    @property
    def is_asynchronous(self) -> bool:
        """Whether Hyperband trains its rungs without waiting."""
        return any(stage.is_asynchronous for stage in self.stages)

    @property
    def rungs(self) -> list[Stage]:
        """The stages that are rungs of an asynchronous Hyperband."""
        return [stage for stage in self.stages if stage.is_asynchronous]

    @cached_property
    def rungs_jobs(self) -> RungsJobs:
        """The jobs that train these rungs; none where Hyperband is not asynchronous."""
        return RungsJobs.of(self)

    @property
    def begun_with(self) -> list[Path]:
        """The files that say what each bracket of an asynchronous Hyperband begins with."""
        return [self.paths.stage(stage.name) for stage in self.rungs if not stage.sources]

    @property
    def training_jobs(self) -> list[str]:
        """The jobs that train, as they name their progress and their records."""
        closed = {slot for stage in self.rungs for slot in stage.slots}
        return [*self.rungs_jobs.names, *(s for s in self.all_shards if s not in closed)]

    # -- a search with Keras Tuner or Optuna -------------------------------------------------------

    @property
    def is_tuned(self) -> bool:
        """Whether a tuner of Keras Tuner or a sampler of Optuna explores."""
        return tuner_of(self.study) is not None

    @property
    def tuner_title(self) -> str:
        """The library whose tuner explores, as people write it."""
        return "Optuna" if isinstance(tuner_of(self.study), OptunaStrategy) else "Keras Tuner"

    @property
    def has_tuner_workers(self) -> bool:
        """Whether a tuner has workers, processes that its job starts."""
        tuner = tuner_of(self.study)
        return tuner is not None and tuner.workers > 0

    @property
    def tuner_processes(self) -> int:
        """Processes that train while a tuner explores: its workers, or the job itself."""
        tuner = tuner_of(self.study)
        return max(1, tuner.workers) if tuner else 1

    def tuner_placement(self, site: Site) -> Placement:
        """Return what the job of a tuner asks for; every worker may have a GPU."""
        return Placement(self.tuner_processes, self.tuner_processes, site)

    def tuner_threads(self, cores: int | None) -> int:
        """Return the CPU cores that the job of a tuner asks for.

        On a cluster, where each worker is a task, those of one; on this machine workers share all.
        """
        if cores is None or self.tuner_processes == 1:
            return self.threads(cores)
        return cores

    @property
    def measures_chance(self) -> bool:
        """Whether the selected configuration is trained once more, with permuted labels.

        One more training is cheap beside ten. On several processes or devices none is.
        """
        wanted = self.study.report.chance_level
        if self.is_distributed:
            return False
        return self._full_trainings >= _MANY_TRAININGS if wanted == "auto" else wanted

    @property
    def _full_trainings(self) -> float:
        """How many full trainings the search is worth, at most."""
        full = max(map(self.all_epochs, self.configurations))
        return sum(stage.trials * (stage.epochs or full) / full for stage in self.stages)

    # -- what jobs ask for -------------------------------------------------------------------------

    @property
    def is_distributed(self) -> bool:
        """Whether some configurations train on several devices."""
        return any(_backend_and_size(c)[1] > 1 for c in self.configurations)

    @property
    def compares_world_sizes(self) -> bool:
        """Whether configurations differ in the number of their replicas."""
        return len({_backend_and_size(c)[1] for c in self.configurations}) > 1

    def processes(self, shard: str) -> int:
        """Return how many processes train the trials of a shard together."""
        return processes(self.members(shard)[0][1].settings)

    def most_processes(self) -> int:
        """Return how many processes the configuration with the most of them trains in."""
        return max(processes(c.settings) for c in self.configurations)

    def placement(self, shard: str, site: Site) -> Placement:
        """Return what the distributed job of a shard asks for."""
        return Placement.of(self.members(shard)[0][1].settings, site)

    def final_placement(self, site: Site) -> Placement:
        """Return what training the final model asks for, whichever configuration wins."""
        each = [Placement.of(c.settings, site) for c in self.configurations]
        return Placement(max(p.processes for p in each), max(p.replicas for p in each), site)

    def all_epochs(self, configuration: Configuration) -> int:
        """Return the epochs of a full training, of which a stage may ask for a part."""
        epochs: int = configuration.settings["training"].get("epochs", self.study.training.epochs)
        return epochs

    def workers(self, cores: int | None) -> int:
        """Return how many trials run at once in a job that gets `cores` CPU cores.

        Parameters
        ----------
        cores : int, optional
            None on a cluster; there a job asks for as many as the trials that share a GPU can use.
        """
        execution = self.study.execution
        if execution.workers != "auto":
            return execution.workers
        by_default = max(1, _DEFAULT_JOB_CORES // execution.threads_per_worker)
        if cores is None:
            return max(by_default, execution.trials_per_gpu)
        return max(1, cores // execution.threads_per_worker)

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

    def shard_threads(self, shard: str, cores: int | None, *, has_gpus: bool = False) -> int:
        """Return the CPU cores that the job of a shard or slot asks for, and its trials can use.

        Parameters
        ----------
        shard : str
        cores : int, optional
            Those of this machine; None on a cluster, where each job has cores of its own.
        has_gpus : bool
            Whether jobs of this machine are shown certain GPUs. Then one job has all of them: two
            would begin with the same one.
        """
        workers = self.workers(cores)
        if cores is None or not has_gpus:
            trials = max(1, self.most_trials_of(shard))
            if cores is not None and not self.fixed_workers:
                workers = workers_of_a_job(self._jobs_beside[shard], trials, workers)
            workers = min(workers, trials)
        return workers * self.study.execution.threads_per_worker

    @cached_property
    def _jobs_beside(self) -> dict[str, int]:
        """How many training jobs are left to run beside each, and with it, where all cores are."""
        known = [*self.shards, *(s for found in self.outer_shards.values() for s in found)]
        slots = (stage.slots for stage in self.all_stages if stage.has_slots)
        tables = self.paths.shards.glob("*.trials.parquet")
        done = {file.name.partition(".")[0] for file in tables}
        found: dict[str, int] = {}
        for names in (known, *slots):
            # All of them where they only change.
            found |= dict.fromkeys(names, len(set(names) - done) or len(names))
        return found

    def most_trials_of(self, shard: str) -> int:
        """Return the trials of a shard, or of a slot at most."""
        if shard in self.ledger.shards:
            return len(self.members(shard))
        return self.stage(stage_of(shard)).trials_per_job


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _backend_and_size(configuration: Configuration) -> tuple[str, int]:
    """Return backend and world size; with one device all backends are the same."""
    parallel = configuration.settings["training"].get("distribution")
    return (parallel["backend"], parallel["world_size"]) if parallel else ("single", 1)
