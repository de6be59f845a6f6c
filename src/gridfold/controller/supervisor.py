"""Keeps the Snakemake of a submitted study alive until the study ends.

``python -m gridfold.controller.supervisor FOLDER``, where FOLDER is that of the study's results, is
what `gridfold submit` starts: as a job of Slurm, or without a terminal on this machine. A Snakemake
that was killed is started again; it waits for what its predecessor has submitted and goes on. A job
of Slurm whose time limit is near is requeued; where that is forbidden, a successor, which waits in
the queue from the beginning, takes over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.cluster import controller_job
from gridfold.cluster.commands import SlurmSilent
from gridfold.cluster.job import job_number
from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.store.locks import RunLock
from gridfold.store.submission import FAILED, FINISHED, STOPPED, Outcome, Submission
from gridfold.terminal import say

# A Snakemake that was killed is followed by another one so often: something kills them all.
_MOST_STARTS = 50
# Before it is started again; whatever killed it may need a moment.
_PAUSE_SECONDS = 2.0
# From one look for a wish to stop to the next.
_LOOK_SECONDS = 2.0
# For jobs to write their checkpoints after Snakemake was told to stop.
_PATIENCE_SECONDS = 120.0
# For what Snakemake has started here, once it has ended itself.
_LEFT_OVER_SECONDS = 20.0


class _Told(BaseException):
    """A signal has come.

    Parameters
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Supervisor:
    """Runs what was submitted, to its end or to that of its job.

    Parameters
    ----------
    results : Path
        ``results/<study>``, relative to the folder in which Snakemake runs.
    """

    def __init__(self, results: Path) -> None:
        self._files = StudyPaths(results).controller
        self._results = results
        self._submission = Submission.read(self._files.submission)
        self._job = job_number()
        self._snakemake: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run Snakemake until the study has ended; return the exit code."""
        if self._files.outcome.exists():
            # Of the one before, whose successor this is.
            return 0
        if self._job:
            self._submission = replace(self._submission, job=self._job)
            self._submission.write(self._files.submission)
        if self._files.stop.exists():
            return self._end(STOPPED, 130)
        lock = RunLock(self._files.supervisor)
        # Of several jobs of one number, and of a successor, Slurm runs one at a time.
        if not self._job and not lock.acquire():
            say(f"the study is kept alive already by {lock.holder()}")
            return 1
        try:
            return self._run()
        finally:
            lock.release()

    def _run(self) -> int:
        try:
            with _signals():
                self._end_left_over()
                self._queue_successor()
                code = self._to_the_end()
        except _Told as told:
            return self._when_told(told.number)
        how = FINISHED if code == 0 else FAILED
        return self._end(STOPPED if self._files.stop.exists() else how, code)

    def _to_the_end(self) -> int:
        for _ in range(_MOST_STARTS):
            code = self._once()
            if code >= 0 or self._files.stop.exists():
                return code
            name = signal.Signals(-code).name
            say(f"Snakemake was ended by {name}; it is started again")
            time.sleep(_PAUSE_SECONDS)
        say(f"Snakemake was killed {_MOST_STARTS} times; it is not started again")
        return 1

    def _once(self) -> int:
        """Run Snakemake once; return its exit code, or the negative number of a signal."""
        command = [sys.executable, "-m", "snakemake", *self._submission.words]
        self._snakemake = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not self._files.stop.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._snakemake.wait(_LOOK_SECONDS)
                if code < 0:
                    self._end_snakemake(signal.SIGTERM)
                return code
        return self._end_snakemake(signal.SIGINT)

    def _end_snakemake(self, number: signal.Signals) -> int:
        """End Snakemake and what it has started on this machine; return its exit code.

        A Snakemake that is interrupted cancels its jobs, one that is killed leaves those on a
        cluster alone.
        """
        if self._snakemake is None:
            return 0
        process, group = self._snakemake, self._snakemake.pid
        _send(group, number)
        try:
            code = process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        deadline = time.monotonic() + _LEFT_OVER_SECONDS
        while _is_there(group) and number != signal.SIGKILL and time.monotonic() < deadline:
            time.sleep(0.1)
        _send(group, signal.SIGKILL)
        process.wait()
        RunLock(self._files.lock).declare_gone(process.pid)
        return code

    # -- in a job of Slurm -----------------------------------------------------------------------

    def _end_left_over(self) -> None:
        """End the Snakemake of a supervisor of this job that was killed."""
        holder = RunLock(self._files.lock).holder() if self._job else None
        if holder and holder.is_live and holder.is_here and holder.process.job == self._job:
            _send(holder.process.pid, signal.SIGKILL)

    def _queue_successor(self) -> None:
        """Let another job wait for the end of this one, where Slurm would not start it again."""
        if not self._job or controller_job.may_be_requeued(self._job):
            return
        after = f"--dependency=afterany:{self._job}"
        try:
            number = controller_job.submit([*self._submission.options, after], self._files.script)
        except GridfoldError as error:
            say(f"no successor for the time after this job's limit: {error}")
            return
        write_text(self._files.successor, number)
        say(f"this job can't be requeued; job {number} waits for its end and goes on from there")

    def _when_told(self, number: int) -> int:
        """Leave the jobs alone that run, and see to it that the study goes on; or stop it."""
        if not self._job:
            self._end_snakemake(signal.SIGINT)
            return self._end(STOPPED, 130)
        self._end_snakemake(signal.SIGKILL)
        if self._files.stop.exists():
            return self._end(STOPPED, 130)
        is_limit = number == signal.SIGUSR1 or controller_job.has_reached_limit(self._job)
        if not is_limit:
            # Slurm ends this job for a reason of its own, and starts it again where it should.
            say(f"job {self._job} is ended by Slurm; the jobs of the study go on")
            return 128 + number
        if self._files.successor.exists():
            say("the time limit of this job is near; its successor goes on")
            return 0
        say("the time limit of this job is near; it is requeued and goes on")
        if not controller_job.requeue(self._job):
            say(f"Slurm has not requeued job {self._job}; `gridfold submit` goes on from here")
            return 1
        return 0

    # -- at the end ------------------------------------------------------------------------------

    def _end(self, how: str, code: int) -> int:
        outcome = Outcome(how, code, time.time())
        outcome.write(self._files.outcome)
        if self._files.successor.exists():
            with contextlib.suppress(SlurmSilent):
                controller_job.cancel([self._files.successor.read_text(encoding="utf-8")])
        say(f"the controller has ended: {how}")
        if self._submission.then:
            more = outcome.environment(self._submission, self._results)
            subprocess.run(
                ["/bin/sh", "-c", self._submission.then], env={**os.environ, **more}, check=False
            )
        return code if code >= 0 else 128 - code


def _send(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Raise `_Told` in the block for the first signal that tells to end; pass over later ones."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)

    def pass_over(*_: object) -> None:
        # Not SIG_IGN, which programs that are started would inherit.
        pass

    def tell(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, pass_over)
        raise _Told(number)

    for each in numbers:
        signal.signal(each, tell)
    try:
        yield
    finally:
        for each in numbers:
            signal.signal(each, pass_over)


if __name__ == "__main__":
    sys.exit(Supervisor(Path(sys.argv[1])).run())
