"""What gridfold's executor expects of the plugin; what it does is in test_slurm_faults.py."""

from __future__ import annotations

import inspect

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
