"""Slurm's executor, made to forget no job and to repeat what Slurm says.

Of snakemake-executor-plugin-slurm 2.8: when Slurm does not answer, all jobs are forgotten and the
run waits for them for ever; so it does when the submission of a group of rules ends with an
exception; what ``sbatch`` says when it refuses a group is dropped; and a job that is submitted
while Slurm does not answer has failed. Only what every executor of Snakemake has is used here, so
a plugin that does better is left to it.

A job of the plugin starts a Snakemake whose one task is to call `srun` with a second Snakemake,
which runs the rule. Here `srun` is called at once: seconds less for each job.
"""

from __future__ import annotations

import os
import queue
import shlex
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

from snakemake_executor_plugin_slurm import Executor
from snakemake_executor_plugin_slurm_jobstep import (
    get_cpu_setting,
    get_gpu_setting,
    get_node_setting,
)
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from gridfold.advice import NO_CONTROLLER, recognise, refusal
from gridfold.atomic import write_text
from gridfold.cluster.job import job_number
from gridfold.cluster.slurm import is_down
from gridfold.terminal import say

# How the plugin asks for the Snakemake in between.
_IN_BETWEEN = "--executor slurm-jobstep --jobs 1"
# Between questions whether Slurm answers, before a job is submitted again.
_QUESTION_SECONDS = 10.0


def use() -> None:
    """Let Snakemake use this executor where it would use the plugin's."""
    ExecutorPluginRegistry().get_plugin("slurm").executor = LastingExecutor


def note_names_in(file: Path) -> None:
    """Let the name that jobs of this process have in the queue be noted down before they have it.

    Parameters
    ----------
    file : Path
        Gets a line.
    """
    LastingExecutor.notes.append(file)


class LastingExecutor(Executor):
    """The plugin's executor, which outlasts a Slurm that does not answer."""

    # The thread that asks for the state of jobs starts while the plugin's constructor runs.
    _settled: set[int] = set()  # noqa: RUF012
    notes: ClassVar[list[Path]] = []
    _silent_since: float | None = None
    _lock = threading.Lock()
    _unsent: queue.SimpleQueue[Any] | None = None

    def __init__(self, workflow: Any, logger: Any) -> None:
        # A controller may be a job itself: what describes that job would be asked for by others.
        # The plugin removes it with a warning that this is not recommended.
        if job_number():
            for name in [n for n in os.environ if n.startswith("SLURM_") and n != "SLURM_CONF"]:
                del os.environ[name]
        super().__init__(workflow, logger)

    def __post_init__(self, test_mode: bool = False) -> None:
        """Note down the name of all jobs to come: whoever follows must find them."""
        super().__post_init__(test_mode)
        for file in self.notes:
            known = file.read_text(encoding="utf-8") if file.exists() else ""
            write_text(file, f"{known}{self.run_uuid}\n")

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Yield the jobs that still run, also those that the plugin has no answer about."""
        self._settled, asked = set(), time.time()
        running = set()
        async for job in super().check_active_jobs(active_jobs):
            running.add(id(job))
            yield job
        forgotten = [job for job in active_jobs if id(job) not in running | self._settled]
        for job in forgotten:
            yield job
        if forgotten or (active_jobs and is_down()):
            self._say_silent(asked)
        elif active_jobs:
            self._say_back()

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Report a job that has ended well."""
        self._settled.add(id(job_info))
        super().report_job_success(job_info)

    def report_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **words: Any
    ) -> None:
        """Report a job that has failed, and what refused it; while Slurm is silent, try again."""
        self._settled.add(id(job_info))
        if job_info.external_jobid is None and msg:
            if recognise(msg) is NO_CONTROLLER:
                self._submit_later(job_info.job)
                return
            for line in refusal(_name(job_info.job), msg):
                self.logger.error(f"[gridfold] {line}")
        super().report_job_error(job_info, msg=msg, **words)

    def run_job(self, job: Any) -> None:
        """Submit a job; what goes wrong is reported, also of a group of rules."""
        try:
            super().run_job(job)
        except Exception as error:
            # The plugin's own handler fails of a group, which has no rule; this is what it handled.
            reason = error.__context__ or error
            self.report_job_error(SubmittedJobInfo(job), f"Job submission failed: {reason}")

    def format_job_exec(self, job: Any) -> str:
        """Return what a job runs: Snakemake as its one step, or beside the steps that it starts."""
        text: str = super().format_job_exec(job)
        python: str = self.get_python_executable()
        # The Snakemake in between is left where it knows more: which task of an array it is,
        # whether Slurm has reserved a GPU, that commands must be short.
        if self.array_jobs or job.resources.get("cpus_per_gpu"):
            return text
        is_plain = text.startswith(python) and self.additional_general_args() == _IN_BETWEEN
        if not is_plain or text.count(_IN_BETWEEN) != 1:
            return text
        # Ranks are started by a launcher, in the job's own shell.
        start = [shlex.quote(python), "-P", "-m", "gridfold.cluster.step"]
        if "mpi" not in set(job.resources.keys()):
            options = (get_cpu_setting(job, False), get_gpu_setting(job), get_node_setting(job))
            start += ["srun", "-n1", "--cpu-bind=q", *filter(None, options)]
        return f"{' '.join(start)} {text.replace(_IN_BETWEEN, '')}"

    # -- while Slurm does not answer -------------------------------------------------------------

    def _submit_later(self, job: Any) -> None:
        """Submit a job when Slurm answers again; Snakemake believes that it runs."""
        self._say_silent(time.time())
        self.logger.info(f"The job of {_name(job)} is submitted again when Slurm answers.")
        with self._lock:
            if self._unsent is None:
                self._unsent = queue.SimpleQueue()
                threading.Thread(target=self._send, daemon=True).start()
        self._unsent.put(job)

    def _send(self) -> None:
        assert self._unsent is not None
        while True:
            job = self._unsent.get()
            time.sleep(_QUESTION_SECONDS)
            while is_down():
                time.sleep(_QUESTION_SECONDS)
            if not self.wait:
                # Snakemake has been told to stop.
                return
            self._say_back()
            self.run_job(job)

    def _say_silent(self, since: float) -> None:
        with self._lock:
            if self._silent_since is not None:
                return
            self._silent_since = since
        clock = time.strftime("%H:%M:%S", time.localtime(since))
        say(f"Slurm does not answer since {clock}. Its jobs go on, and this run waits for it.")

    def _say_back(self) -> None:
        with self._lock:
            since, self._silent_since = self._silent_since, None
        if since is not None:
            say(f"Slurm answers again, after {round(time.time() - since)} s.")


def _name(job: Any) -> str:
    return str(job.groupid if job.is_group() else job.name)
