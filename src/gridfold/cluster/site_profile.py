"""Propose a profile for the Slurm that was asked: each entry with the answer it follows from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gridfold.cluster.survey import NodeKind, Partition, Survey
from gridfold.errors import GridfoldError
from gridfold.workflow_files import workflow_files

# Of a partition for short tries; a study would reach its limit again and again.
_SHORT_MINUTES = 60
_USUAL_JOBS = 100
# Room for this user's other work, where a site limits the jobs of a user.
_SHARE_OF_JOBS = 0.8
_CORES_OF_A_JOB = 4
# Snakemake asks at last every three minutes.
_SHORT_MEMORY_SECONDS = 200
# Rules that train on one GPU at a time.
_GPU_RULES = ("train", "train_rungs", "fit_final", "train_permuted")
_TRAINING_RULES = ("train", "train_rungs", "tune")


class NoPartition(GridfoldError):
    """A Slurm without a partition that this user's jobs can run in."""


@dataclass(frozen=True)
class SiteProfile:
    """What jobs shall ask for on the cluster of a survey.

    Attributes
    ----------
    survey : Survey
    partition : Partition
        Where jobs go.
    gpu_partition : Partition or None
        Where those would go that want a GPU.
    """

    survey: Survey
    partition: Partition
    gpu_partition: Partition | None

    @classmethod
    def of(cls, survey: Survey) -> SiteProfile:
        """Return the profile for a Slurm.

        Raises
        ------
        NoPartition
        """
        usable = [partition for partition in survey.partitions if partition.is_open]
        if not usable:
            reasons = [
                f"\n  {partition.name}: {partition.refusal or 'no node that can be used'}"
                for partition in survey.partitions
            ]
            raise NoPartition(
                f"No partition takes jobs of {survey.user}; ask the cluster's administrators, or "
                f"`sacctmgr show associations user={survey.user}`.{''.join(reasons)}"
            )

        def rank(partition: Partition) -> tuple[bool, bool, bool, int, int]:
            minutes = survey.limit(partition)
            is_short = minutes is not None and minutes <= _SHORT_MINUTES
            nodes = sum(kind.usable for kind in partition.nodes)
            # A week and a month are the same to a study.
            length = min(minutes or 10080, 10080)
            return (not is_short, not partition.has_gpus, partition.is_default, length, nodes)

        with_gpus = [partition for partition in usable if partition.has_gpus]
        return cls(survey, max(usable, key=rank), max(with_gpus, key=rank, default=None))

    @property
    def most_memory_mb(self) -> int | None:
        """Memory that a job may ask for; 0 where it may not, None where nothing limits it."""
        partition, node = self.partition, self.partition.usual
        if not partition.takes_memory:
            return 0
        limits = [node.memory_mb] if node.memory_mb > 1 else []
        if partition.most_memory_per_core:
            limits.append(partition.most_memory_per_core * node.cores)
        return min(limits, default=None)

    @property
    def jobs(self) -> int:
        """Jobs in the queue at once."""
        most = self.survey.most_jobs(self.partition)
        return min(_USUAL_JOBS, max(1, int(most * _SHARE_OF_JOBS))) if most else _USUAL_JOBS

    @property
    def _asks_accounting(self) -> bool:
        seconds = self.survey.remembers_seconds
        is_short = seconds is not None and seconds < _SHORT_MEMORY_SECONDS
        return is_short and self.survey.has_accounting

    @property
    def account(self) -> str:
        """Account that jobs name; empty where they need none, or have a default one."""
        if self.partition.account:
            return self.partition.account
        return self.survey.default_account if self.survey.accounts else ""

    def __str__(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def write(self, folder: Path) -> Path:
        """Write the profile into a folder, which must not hold one, and return its file."""
        refuse_existing(folder)
        file = folder / "config.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(str(self))
        return file

    # -- the text --------------------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        survey, node = self.survey, self.partition.usual
        where = f"{survey.cluster or 'a cluster'}, Slurm {survey.version}".rstrip(", ")
        yield f"# Proposed by `gridfold doctor --slurm` for {where}, and yours to change."
        yield "# What each entry becomes on the command line of sbatch: docs/cluster.md."
        yield ""
        yield "# Jobs are submitted with sbatch by snakemake-executor-plugin-slurm."
        yield "executor: slurm"
        yield from self._queue()
        yield "# A file that a node has written may appear late on a network file system; seconds."
        yield "latency-wait: 60"
        yield "# Times that a failed job of a rule other than `train` is repeated."
        yield "retries: 1"
        yield from self._requeueing()
        yield "# The log of sbatch itself is kept for failed jobs only, and for so many days."
        yield "slurm-delete-logfiles-older-than: 30"
        yield "# Short rules that follow each other share one job; see profiles/slurm."
        yield from _section("groups", _shipped()["groups"])
        yield "# Parts of a group that do not depend on each other, as many in one job."
        yield from _section("group-components", _shipped()["group-components"])
        yield from self._limits(node)
        yield from self._cores(node)
        yield "# What every job asks for besides its own cores, memory and time. Names have quotes"
        yield "# in quotes: Snakemake would take 24-48 for a subtraction and `int` for a function."
        yield "default-resources:"
        yield from self._names()
        yield "  # USR1 two minutes before the time limit: the job ends in good order, is repeated."
        yield "  slurm_extra: \"'--signal=USR1@120'\""
        yield from self._gpus()

    def _queue(self) -> Iterator[str]:
        survey = self.survey
        if most := survey.most_jobs(self.partition):
            yield f"# Jobs in the queue at the same time: you may have {most} here."
        else:
            yield "# Jobs in the queue at the same time; no limit for you was found."
        yield f"jobs: {self.jobs}"
        yield "# Submissions in a time; a login node has other users."
        yield "max-jobs-per-timespan: 5/1s"
        seconds = survey.remembers_seconds
        known = "for an unknown time" if seconds is None else f"{seconds} s"
        kept = "is kept" if survey.has_accounting else "is not kept"
        yield "# How the state of all jobs is asked for. `squeue` knows a job"
        yield f"# {known} after its end (MinJobAge); accounting (sacct) {kept} here."
        if self._asks_accounting:
            yield "# squeue may forget a job before it is asked about, so accounting is asked."
        elif seconds is not None and seconds < _SHORT_MEMORY_SECONDS:
            yield "# That is too short to see each end, and nobody else can be asked: the run may"
            yield "# wait for a job that is over. Ask the administrators for a longer MinJobAge."
        yield f"slurm-status-command: {'sacct' if self._asks_accounting else 'squeue'}"
        yield "# Seconds before the first question; later ones are 10 s further apart each time."
        yield "slurm-init-seconds-before-status-checks: 20"

    def _requeueing(self) -> Iterator[str]:
        if self.survey.requeues is False:
            yield "# Slurm has refused a job that may start again by itself (--requeue)."
            yield "slurm-requeue: false"
            return
        default = (
            "" if self.survey.requeues_by_default else ", though not unless asked (JobRequeue=0)"
        )
        yield "# After a node failure or preemption Slurm starts the job again, which goes on from"
        yield f"# its checkpoints; it takes such jobs{default}."
        yield "slurm-requeue: true"

    def _limits(self, node: NodeKind) -> Iterator[str]:
        partition = self.partition
        minutes, memory = self.survey.limit(partition), self.most_memory_mb
        yield f"# No job asks for more cores than {_words(node)} of {partition.name} has."
        yield f"max-threads: {max(1, node.cores)}"
        if minutes is None and memory is None:
            return
        yield "# No job asks for more than this, in no attempt: what is estimated larger is cut."
        yield "resources:"
        if memory == 0:
            yield "  # Slurm refuses jobs here that say what memory a node shall give: 0 says none."
            yield "  mem_mb: 0"
        elif memory is not None:
            more = ""
            if partition.most_memory_per_core:
                more = f" (MaxMemPerCPU={partition.most_memory_per_core})"
            yield f"  # Memory of such a node in MB{more}."
            yield f"  mem_mb: {memory}"
        if minutes is not None:
            yield f"  # Time limit of {partition.name} in minutes. A job that reaches it goes on in"
            yield "  # the next one, `execution.retries` times."
            yield f"  runtime: {minutes}"

    def _cores(self, node: NodeKind) -> Iterator[str]:
        if self.partition.whole_nodes:
            cores = max(1, node.cores)
            yield f"# Nodes of {self.partition.name} are given whole: all cores for a training job."
        else:
            cores = max(1, min(_CORES_OF_A_JOB, node.cores))
            yield f"# CPU cores of a training job, of {node.cores} that a node has."
        yield from _section("set-threads", dict.fromkeys(_TRAINING_RULES, cores))

    def _memory_of_cores(self) -> Iterator[str]:
        """Yield what jobs ask for where memory is told by core alone."""
        partition, node = self.partition, self.partition.usual
        if partition.takes_memory or not partition.takes_memory_per_core:
            return
        each = partition.most_memory_per_core or node.memory_mb // max(1, node.cores)
        yield "  # Slurm refuses jobs here that ask for memory by node (--mem), not by core."
        yield f"  mem_mb_per_cpu: {each}"

    def _names(self) -> Iterator[str]:
        names = [p.name for p in self.survey.partitions if p.is_open]
        yield f"  # Which queue; yours are {', '.join(names)}."
        yield f"  slurm_partition: {quoted(self.partition.name)}"
        accounts = sorted({account.name for account in self.survey.accounts})
        if self.account:
            yield f"  # Who pays; yours are {', '.join(accounts)}."
            yield f"  slurm_account: {quoted(self.account)}"
        else:
            yield "  # Who pays; nobody asks here, as far as Slurm has said."
            yield "  # slurm_account: \"'abc123'\""
        if self.partition.named_qos:
            yield "  # Quality of service; without one, jobs are refused there."
            yield f"  qos: {quoted(self.partition.named_qos)}"
        yield from self._memory_of_cores()

    def _gpus(self) -> Iterator[str]:
        partition = self.gpu_partition
        if partition is None:
            yield "# No partition with GPUs was found that takes your jobs."
            return
        node = next(kind for kind in partition.nodes if kind.gpus)
        gpus = ", ".join(f"{gpu.count} {gpu.type or 'without a type'}" for gpu in node.gpus)
        yield f"# One GPU for each training job, from {partition.name} (a node has {gpus}):"
        yield "# set-resources:"
        parts = [gpu for gpu in node.gpus if gpu.is_part]
        for rule in _GPU_RULES:
            yield f"#   {rule}:"
            yield f"#     slurm_partition: {quoted(partition.name)}"
            if partition.account:
                yield f"#     slurm_account: {quoted(partition.account)}"
            if parts:
                # A part of a GPU is no whole one, which `gpu: 1` might wait for.
                yield f"#     gres: {quoted(f'gpu:{parts[0].type}:1')}"
            else:
                yield "#     gpu: 1"


def refuse_existing(folder: Path) -> None:
    """Raise where a folder holds a profile already, which somebody may have changed."""
    file = folder / "config.yaml"
    if file.exists():
        raise GridfoldError(
            f"{file} exists and is left as it is; name another folder, or move it away"
        )


def quoted(name: str) -> str:
    """Return a name as a profile holds it: in quotes for Python, in quotes for YAML."""
    return json.dumps(repr(name), ensure_ascii=False)


def _words(node: NodeKind) -> str:
    return f"a usual node ({node.cores} cores, {node.memory_mb} MB)"


def _section(key: str, entries: dict[str, Any]) -> Iterator[str]:
    yield f"{key}:"
    for name, value in entries.items():
        yield f"  {name}: {value}"


def _shipped() -> dict[str, Any]:
    file = workflow_files() / "profiles" / "slurm" / "config.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def survey_lines(survey: Survey) -> Iterator[str]:
    """Yield what a user wants to know of a Slurm, line by line."""
    yield f"Slurm {survey.version} of {survey.cluster}, as {survey.user} sees it"
    yield ""
    yield "Partitions"
    width = max((len(partition.name) for partition in survey.partitions), default=0) + 2
    for partition in survey.partitions:
        yield f"  {partition.name:{width}}{'; '.join(_facts(survey, partition))}"
    yield ""
    yield "Rules"
    if survey.accounts:
        names = sorted({account.name for account in survey.accounts})
        default = f" (default: {survey.default_account})" if survey.default_account else ""
        yield f"  accounts      {', '.join(names)}{default}"
    else:
        yield "  accounts      none found"
    kept = "kept (sacct)" if survey.has_accounting else "not kept"
    seconds = survey.remembers_seconds
    known = "an unknown time" if seconds is None else f"{seconds} s"
    yield f"  accounting    {kept}; squeue knows a job {known} after its end (MinJobAge)"
    yield f"  memory        {_memory(survey)}"
    yield f"  requeueing    {_requeueing(survey)}"
    for question in survey.silent:
        yield f"  no answer     {question}"


def _facts(survey: Survey, partition: Partition) -> Iterator[str]:
    if partition.is_default:
        yield "default"
    minutes = survey.limit(partition)
    yield "no time limit" if minutes is None else f"at most {minutes} minutes"
    if jobs := survey.most_jobs(partition):
        yield f"at most {jobs} jobs of yours"
    if partition.whole_nodes:
        yield "whole nodes"
    for kind in partition.nodes:
        gpus = "".join(f", {gpu.count} GPUs {gpu.type}".rstrip() for gpu in kind.gpus)
        usable = "" if kind.usable == kind.nodes else f" ({kind.usable} usable)"
        yield f"{kind.nodes} nodes{usable} of {kind.cores} cores, {kind.memory_mb} MB{gpus}"
    if any(gpu.is_part for kind in partition.nodes for gpu in kind.gpus):
        yield "parts of GPUs (MIG): ask with `gres`"
    if partition.default_memory:
        yield partition.default_memory
    if partition.accounts:
        yield f"for accounts {', '.join(partition.accounts)}"
    if partition.groups:
        yield f"for groups {', '.join(partition.groups)}"
    if partition.qos:
        yield f"with QOS {', '.join(partition.qos)}"
    if partition.account:
        qos = f" and QOS {partition.named_qos}" if partition.named_qos else ""
        yield f"takes your jobs with account {partition.account}{qos}"
    if not partition.is_up:
        yield "not up"
    elif partition.refusal:
        yield f"refuses your jobs: {partition.refusal}"
    elif not partition.takes_memory:
        by_core = " by node, takes --mem-per-cpu" if partition.takes_memory_per_core else ""
        yield f"refuses jobs that ask for memory{by_core}"


def _memory(survey: Survey) -> str:
    if survey.counts_memory:
        return "shared out as cores are: a job gets what it asks for"
    return "not shared out: jobs on one node take it from each other"


def _requeueing(survey: Survey) -> str:
    if survey.requeues is None:
        return "not tried"
    if not survey.requeues:
        return "refused"
    return "works" if survey.requeues_by_default else "works where a job asks for it (--requeue)"
