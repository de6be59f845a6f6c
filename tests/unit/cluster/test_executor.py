"""What gridfold's executor expects of the plugin; what it does is in test_slurm_faults.py."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from gridfold.cluster import attempts, executor
from gridfold.cluster.executor import LastingExecutor


def test_the_plugin_is_as_it_is_expected_to_be() -> None:
    assert issubclass(Executor, RemoteExecutor)
    assert inspect.isasyncgenfunction(Executor.check_active_jobs)
    for name in ("check_active_jobs", "report_job_success", "run_job"):
        # The executor and one thing more.
        assert len(inspect.signature(getattr(Executor, name)).parameters) == 2
    assert {"job_info", "msg"} <= set(inspect.signature(Executor.report_job_error).parameters)
    assert set(SubmittedJobInfo.__dataclass_fields__) == {"job", "external_jobid", "aux"}
    # Told to the thread that asks for the state of jobs when Snakemake stops.
    assert "self.wait = False" in inspect.getsource(RemoteExecutor.shutdown)
    # What a job starts with.
    assert f'"{executor._IN_BETWEEN}"' in inspect.getsource(Executor.additional_general_args)
    # What `advice.refusal` reads.
    said = inspect.getsource(Executor.run_job)
    for words in ("The error message was '", "sbatch call:", "--wrap=", "/dev/stdin"):
        assert words in said


AS_SCRIPT = "--slurm-jobstep-pass-command-as-script"
PLAIN = f"{sys.executable} -m snakemake --cores all --executor slurm-jobstep --jobs 1 --mode remote"


@pytest.mark.parametrize(
    ("resources", "array", "plain", "starts"),
    [
        ({"gpu": 2}, set(), PLAIN, "srun -n1 --cpu-bind=q --cpus-per-task=4 --gpus=2 --nodes=1"),
        ({"cpus_per_task": -1}, set(), PLAIN, "srun -n1 --cpu-bind=q --nodes=1"),
        # Their launcher starts the steps.
        ({"mpi": "mpirun", "tasks": 4}, set(), PLAIN, ""),
        # What only the plugin's own Snakemake in the job can do.
        ({"cpus_per_gpu": 8}, set(), PLAIN, None),
        ({}, {"train"}, PLAIN, None),
        (
            {},
            set(),
            PLAIN.replace("--jobs 1", "--jobs 1 --slurm-jobstep-pass-command-as-script"),
            None,
        ),
        ({}, set(), f"export TOKEN=1 && {PLAIN}", None),
    ],
)
def test_a_job_starts_one_snakemake_where_it_can(
    resources: dict[str, Any],
    array: set[str],
    plain: str,
    starts: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Executor, "format_job_exec", lambda self, job: plain)
    ours = object.__new__(LastingExecutor)
    ours.array_jobs = array
    settings = SimpleNamespace(pass_command_as_script=AS_SCRIPT in plain)
    ours.workflow = SimpleNamespace(executor_settings=settings)
    monkeypatch.setattr(LastingExecutor, "get_python_executable", lambda self: sys.executable)
    job = job_of("train", resources, shard="s0001")
    text = ours.format_job_exec(job)
    if starts is None:
        assert text == plain
        return
    step = f"{sys.executable} -P -m gridfold.cluster.step {starts}".strip()
    inner = f"{sys.executable} -m snakemake --cores all  --mode remote"
    assert text == f"{step} {inner}"
    # Another attempt tells its job what it has asked for.
    attempts.remember("train", {"shard": "s0001"}, attempts.MEMORY)
    grown = ours.format_job_exec(job)
    told = f"{sys.executable} -P -m gridfold.cluster.step env GRIDFOLD_GROWTH=mem_mb=2,runtime=1"
    assert grown == text.replace(f"{sys.executable} -P -m gridfold.cluster.step", told)


def job_of(rule: str, resources: dict[str, Any], **wildcards: str) -> Any:
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule),
        name=rule,
        wildcards=wildcards,
        resources=Resources(resources),
        threads=4,
        attempt=1,
        restart_times=1,
        is_group=lambda: False,
    )


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Remember nothing of another test's jobs."""
    yield
    attempts._ends.clear()
    attempts._growing.clear()


@pytest.mark.parametrize(
    ("said", "log", "resource"),
    [
        ("SLURM status is: 'OUT_OF_MEMORY'", "", "mem_mb"),
        # Under control groups of version 1, `squeue` knows no more than this.
        (
            "SLURM status is: 'FAILED'",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks "
            "have been OOM Killed.",
            "mem_mb",
        ),
        (
            "SLURM status is: 'FAILED'",
            "  3f0/r0f0: ended by the kernel: out of memory, of which this job may have 1500 MB",
            "mem_mb",
        ),
        ("SLURM status is: 'TIMEOUT'", "", "runtime"),
        (
            "SLURM status is: 'FAILED'",
            "slurmstepd: error: *** STEP 12.0 ON c1 CANCELLED AT 2026-12-01 DUE TO TIME LIMIT ***",
            "runtime",
        ),
        (
            "SLURM status is: 'FAILED'",
            "[gridfold] told to stop; trials keep their checkpoints, run again to continue",
            "runtime",
        ),
        # Somebody, or Slurm, has ended it before its time.
        ("SLURM status is: 'CANCELLED'", "[gridfold] told to stop; every", None),
        ("SLURM status is: 'NODE_FAIL'", "", None),
        ("SLURM status is: 'FAILED'", "ValueError: a wrong shape\nMissingOutputException", None),
        ("SLURM status is: 'FAILED'", "OSError: [Errno 28] No space left on device", None),
        ("SLURM status is: 'FAILED'", "CUDA_ERROR_OUT_OF_MEMORY: out of memory", None),
    ],
)
def test_only_what_a_job_lacked_grows(said: str, log: str, resource: str | None) -> None:
    assert attempts.grown_resource(said, log) == resource


def test_factors_are_those_of_one_job() -> None:
    attempts.remember("train", {"shard": "s0001"}, attempts.MEMORY)
    attempts.remember("train", {"shard": "s0001"}, attempts.MEMORY)
    assert attempts.factor("train", {"shard": "s0001"}, attempts.MEMORY) == 3
    assert attempts.factor("train", {"shard": "s0001"}, attempts.TIME) == 1
    assert attempts.factor("train", {"shard": "s0002"}, attempts.MEMORY) == 1
    assert attempts.factor("collect", {}, attempts.MEMORY) == 1


@pytest.mark.parametrize(
    ("fixed", "most", "words"),
    [
        (True, None, "; its mem_mb is fixed at 4000 (`set-resources`), so another attempt gets"),
        (False, 4000, " with mem_mb 4000, the most that the profile allows (`resources`): another"),
        (False, 7000, " with mem_mb 4000; another attempt asks for 7000."),
        (False, None, " with mem_mb 4000; another attempt asks for 8000."),
    ],
)
def test_what_a_retry_asks_for_is_said(
    fixed: bool, most: int | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "12.log"
    log.write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=12.0.")
    ours = object.__new__(LastingExecutor)
    limits = {"mem_mb": SimpleNamespace(value=most)}
    ours.workflow = SimpleNamespace(global_resources=limits)
    if not fixed:
        attempts.let_grow("train", attempts.MEMORY)
    job = job_of("train", {"mem_mb": 4000}, shard="s0001")
    ended = SubmittedJobInfo(job, external_jobid="12", aux={"slurm_logfile": log})
    ours._remember_end(ended, "SLURM status is: 'FAILED'")
    said = capsys.readouterr().err
    assert said.startswith("[gridfold] train ")
    assert f" was out of memory{words}" in said
    job.attempt = 2
    ours._remember_end(ended, "SLURM status is: 'FAILED'")
    assert not capsys.readouterr().err, "no attempt is left"


def test_a_group_asks_for_no_more_time_than_the_profile_allows() -> None:
    ours = object.__new__(LastingExecutor)
    ours.workflow = SimpleNamespace(global_resources={"runtime": SimpleNamespace(value=30)})
    group = SimpleNamespace(is_group=lambda: True, resources={"runtime": 80, "mem_mb": 9})
    group._resources = group.resources
    ours._cut(group)
    assert group._resources == {"runtime": 30, "mem_mb": 9}


class Resources(dict[str, Any]):
    """The resources of a job: attributes, too."""

    __getattr__ = dict.__getitem__


def test_snakemake_takes_the_executor_that_lasts() -> None:
    plugin = ExecutorPluginRegistry().get_plugin("slurm")
    before = plugin.executor
    try:
        executor.use()
        executor.use()
        assert plugin.executor is LastingExecutor
        assert LastingExecutor.__mro__[1] is Executor, "of the plugin, not of itself"
    finally:
        plugin.executor = before
