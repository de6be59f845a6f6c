"""Slurm's executor, made to forget no job and to repeat what Slurm says.

Of snakemake-executor-plugin-slurm 2.8: when Slurm does not answer, all jobs are forgotten and the
run waits for them for ever; so it does when the submission of a group of rules ends with an
exception; what ``sbatch`` says when it refuses a group is dropped; and a job that is submitted
while Slurm does not answer, or takes no more jobs of the user, has failed. Only what every executor
of Snakemake has is used here, so a plugin that does better is left to it.

A job of the plugin starts a Snakemake whose one task is to call `srun` with a second Snakemake,
which runs the rule. Here `srun` is called at once: seconds less for each job.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import queue
import re
import shlex
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import snakemake_executor_plugin_slurm as plugin
from snakemake_executor_plugin_slurm import Executor
from snakemake_executor_plugin_slurm.job_status_query import (
    query_job_status_sacct,
    query_job_status_squeue,
)
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm_jobstep import (
    get_cpu_setting,
    get_gpu_setting,
    get_node_setting,
)
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from gridfold.advice import NO_CONTROLLER, TOO_MANY_JOBS, question, recognise, refusal
from gridfold.atomic import write_text
from gridfold.cluster import attempts
from gridfold.cluster.commands import SlurmSilent, ask
from gridfold.cluster.job import job_number
from gridfold.cluster.slurm import RUN_CHARACTERS, has_jobs, is_down
from gridfold.terminal import say
from gridfold.wording import shorten

# How the plugin asks for the Snakemake in between.
_IN_BETWEEN = "--executor slurm-jobstep --jobs 1"
# Between questions whether Slurm answers, or takes a job, before one is submitted again.
_QUESTION_SECONDS = 10.0
# Of what a job has written; the reason of its end stands last.
_LAST_BYTES = 100_000
_LABEL_CHARACTERS = 200


def use() -> None:
    """Let Snakemake use this executor where it would use the plugin's."""
    ExecutorPluginRegistry().get_plugin("slurm").executor = LastingExecutor
    # The plugin asks for jobs by the one name that it gives to all of a run.
    plugin.query_job_status_squeue = _of_user(query_job_status_squeue, "--me")
    plugin.query_job_status_sacct = _of_user(query_job_status_sacct, f"--user={getpass.getuser()}")
    plugin.get_submit_command = _labelled(get_submit_command)


def _of_user(question: Callable[[str], str], who: str) -> Callable[[str], str]:
    """Return the question for the states of all of a user's jobs; those of this run are known."""

    def ask_for_user(run: str) -> str:
        return re.sub(r" --name \S+", f" {who}", question(run))

    return ask_for_user


def _labelled(command: Callable[..., str]) -> Callable[..., str]:
    """Return the command of ``sbatch`` with what a job trains, in words, in Slurm's comment."""

    def with_label(job: Any, params: Mapping[str, Any], **options: Any) -> str:
        label = "" if job.is_group() else str(job.resources.get("trained") or "")
        # The plugin's own report takes the comment for the name of a rule.
        if label and not options["settings"].efficiency_report:
            words = f"{params['comment_str']} {shorten(label, _LABEL_CHARACTERS)}"
            params = {**params, "comment_str": words}
        return command(job, params, **options)

    return with_label


def note_names_in(file: Path) -> None:
    """Let the name that jobs of this process have in the queue be noted down before they have it.

    Parameters
    ----------
    file : Path
        Gets a line.
    """
    LastingExecutor.notes.append(file)


class LastingExecutor(Executor):
    """The plugin's executor, which outlasts a Slurm that does not answer or takes no more jobs."""

    # The thread that asks for the state of jobs starts while the plugin's constructor runs.
    _settled: set[int] = set()  # noqa: RUF012
    notes: ClassVar[list[Path]] = []
    _silent_since: float | None = None
    # Whether the last job was refused for there being too many.
    _is_full = False
    _has_said_full = False
    _lock = threading.Lock()
    _sender: threading.Thread | None = None
    _named: Any = threading.local()
    _run_uuid = ""

    @property
    def run_uuid(self) -> str:
        """Slurm's name of the job that is being submitted: what it trains, and which run it is of.

        While none is submitted, the name of the run.
        """
        job: str = getattr(self._named, "job", "")
        return f"{job} {self._run_uuid[:RUN_CHARACTERS]}" if job else self._run_uuid

    @run_uuid.setter
    def run_uuid(self, name: str) -> None:
        self._run_uuid = name

    def __init__(self, workflow: Any, logger: Any) -> None:
        # A controller may be a job itself: what describes that job would be asked for by others.
        # The plugin removes it with a warning that this is not recommended.
        if job_number():
            for name in [n for n in os.environ if n.startswith("SLURM_") and n != "SLURM_CONF"]:
                del os.environ[name]
        self._unsent: queue.SimpleQueue[Any] = queue.SimpleQueue()
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

    def report_job_submission(self, job_info: SubmittedJobInfo, **words: Any) -> None:
        """Report a job that Slurm has taken."""
        self._is_full = False
        super().report_job_submission(job_info, **words)

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
            cause = recognise(msg)
            if cause is NO_CONTROLLER:
                self._say_silent(time.time())
                self.logger.info(
                    f"The job of {_name(job_info.job)} is submitted again when Slurm answers."
                )
                self._submit_later(job_info.job)
                return
            # Where none is in the queue, nothing will make room.
            if cause is TOO_MANY_JOBS and has_jobs():
                self._is_full = True
                self._say_full(msg)
                self._submit_later(job_info.job)
                return
            for line in [*refusal(_name(job_info.job), msg), *_asked_again(msg)]:
                self.logger.error(f"[gridfold] {line}")
        elif job_info.external_jobid is not None:
            self._remember_end(job_info, msg or "")
        super().report_job_error(job_info, msg=msg, **words)

    def run_job(self, job: Any) -> None:
        """Submit a job; what goes wrong is reported, also of a group of rules."""
        if self._is_full and threading.current_thread() is not self._sender:
            # Not asked for each of many: one after another, as others end.
            self._submit_later(job)
            return
        self._cut(job)
        # The plugin's own report looks for its jobs by the name of the run.
        reports = self.workflow.executor_settings.efficiency_report
        self._named.job = "" if reports else slurm_name(job)
        try:
            super().run_job(job)
        except Exception as error:
            # The plugin's own handler fails of a group, which has no rule; this is what it handled.
            reason = error.__context__ or error
            self.report_job_error(SubmittedJobInfo(job), f"Job submission failed: {reason}")
        finally:
            self._named.job = ""

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
        if growth := attempts.variable(map(_rule_and_wildcards, _members(job))):
            start[4:4] = ["env", f"{attempts.VARIABLE}={growth}"]
        return f"{' '.join(start)} {text.replace(_IN_BETWEEN, '')}"

    # -- what jobs ask for -----------------------------------------------------------------------

    def _cut(self, job: Any) -> None:
        """Let a group of rules ask for no more time than the profile allows to any job.

        Snakemake does so for single rules; of a group it adds up the time of all.
        """
        most = self.workflow.global_resources.get("runtime").value
        if job.is_group() and most and (job.resources.get("runtime") or 0) > most:
            job._resources = {**job._resources, "runtime": most}

    def _remember_end(self, job_info: SubmittedJobInfo, said: str) -> None:
        """Remember of what a job needs more in its next attempt; say what keeps that from it."""
        text = ""
        if file := job_info.aux.get("slurm_logfile"):
            with contextlib.suppress(OSError):
                text = Path(file).read_bytes()[-_LAST_BYTES:].decode(errors="replace")
        resource = attempts.grown_resource(said, text)
        if resource is None:
            return
        for job in _members(job_info.job):
            attempts.remember(*_rule_and_wildcards(job), resource)
            self._say_what_follows(job, resource)

    def _say_what_follows(self, job: Any, resource: str) -> None:
        """Say what the next attempt asks for, or what in the profile keeps it from more."""
        if job.attempt > job.restart_times:
            return
        most = self.workflow.global_resources.get(resource).value
        had = job.resources.get(resource)
        ended = {attempts.MEMORY: "out of memory", attempts.TIME: "at its time limit"}[resource]
        what = f"{slurm_name(job)} was {ended}"
        if most and had and had >= most:
            say(
                f"{what} with {resource} {had}, the most that the profile allows (`resources`): "
                "another attempt gets no more."
            )
        elif not attempts.grows(job.rule.name, resource):
            say(
                f"{what}; its {resource} is fixed at {had} (`set-resources`), so another attempt "
                "gets no more. Raise it, or leave it out."
            )
        elif had:
            times = attempts.factor(*_rule_and_wildcards(job), resource)
            more = had * times // (times - 1)
            say(
                f"{what} with {resource} {had}; another attempt asks for {min(more, most or more)}."
            )

    # -- while Slurm does not answer, or takes no more jobs --------------------------------------

    def _submit_later(self, job: Any) -> None:
        """Submit a job when Slurm takes jobs again; Snakemake believes that it runs."""
        with self._lock:
            if self._sender is None:
                self._sender = threading.Thread(target=self._send, daemon=True)
                self._sender.start()
        self._unsent.put(job)

    def _send(self) -> None:
        while True:
            job = self._unsent.get()
            if self._is_full or self._silent_since is not None:
                time.sleep(_QUESTION_SECONDS)
                while is_down():
                    time.sleep(_QUESTION_SECONDS)
            if not self.wait:
                # Snakemake has been told to stop.
                return
            self._say_back()
            self.run_job(job)

    def _say_full(self, said: str) -> None:
        if self._has_said_full:
            return
        self._has_said_full = True
        limit = re.search(r"(QOS|Assoc)\w+Limit", said)
        say(
            f"Slurm takes no more jobs of yours at once ({limit[0] if limit else 'a limit'}). "
            "The others are submitted when it does; `jobs` in the profile keeps from asking."
        )

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


def slurm_name(job: Any) -> str:
    """Return what Slurm shall call a job: its rule or group, and what it trains."""
    if job.is_group():
        return str(job.groupid)
    trains = job.resources.get("trains") or " ".join(map(str, job.wildcards))
    return f"{job.rule.name} {trains}".strip()


def _members(job: Any) -> list[Any]:
    return list(job.jobs) if job.is_group() else [job]


def _rule_and_wildcards(job: Any) -> tuple[str, Mapping[str, str]]:
    return job.rule.name, dict(job.wildcards.items())


def _asked_again(said: str) -> list[str]:
    """Ask Slurm once more whether it would take what it has refused, and return what it says."""
    words = question(said)
    if not words:
        return []
    try:
        answer = ask(*words)
    except SlurmSilent as error:
        return [f"  the answer: {error}"]
    if answer.is_good:
        return ["  the answer: it would take such a job now"]
    return [f"  the answer: {answer.error}"]


def _name(job: Any) -> str:
    return str(job.groupid if job.is_group() else job.name)
