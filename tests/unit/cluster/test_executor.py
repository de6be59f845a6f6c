"""What gridfold's executor expects of the plugin; what it does is in test_slurm_faults.py."""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from gridfold.cluster import executor
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
    job = SimpleNamespace(resources=Resources(resources), threads=4)
    text = ours.format_job_exec(job)
    if starts is None:
        assert text == plain
        return
    step = f"{sys.executable} -P -m gridfold.cluster.step {starts}".strip()
    inner = f"{sys.executable} -m snakemake --cores all  --mode remote"
    assert text == f"{step} {inner}"


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
