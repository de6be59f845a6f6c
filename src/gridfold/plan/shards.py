"""Which job trains which trial, decided once and remembered.

A trial stays in the shard it was first given to, so that a grown grid leaves finished jobs alone.
The memory is a small append-only ledger; losing it costs job submissions, never training, because
the run store knows what is finished.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from gridfold.atomic import write_text
from gridfold.store.seals import set_aside

# Trials on one device, several at a time; trials that take all processes of a job.
SINGLE, DISTRIBUTED = "s", "d"
# Of the time that jobs take one after another, what they may take side by side.
_CLEARLY = 0.9


class TrialKey(NamedTuple):
    """One configuration on one split: what is trained and scored once."""

    config_id: str
    split: str

    def __str__(self) -> str:
        return f"{self.config_id}/{self.split}"

    @classmethod
    def parse(cls, text: str) -> TrialKey:
        """Return the trial written as ``config_id/split``."""
        return cls(*text.split("/"))


class _Line(msgspec.Struct):
    """One line of the file."""

    shard: Annotated[str, msgspec.Meta(pattern="^[sd][0-9]{4,9}$")]
    trials: list[str]


@dataclass
class Ledger:
    """The shards of a study.

    Attributes
    ----------
    shards : dict of str to tuple of TrialKey
        Trials of each shard, in the order in which they are trained.
    """

    shards: dict[str, tuple[TrialKey, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Ledger:
        """Return the remembered shards; none when there is no ledger.

        A line that a crash has cut short, or that is damaged, is dropped: its trials get a shard
        again; damage that looks like another trial must not give that one a second shard. What
        can't be read, as a folder in its place, is no ledger.
        """
        shards: dict[str, tuple[TrialKey, ...]] = {}
        placed: set[TrialKey] = set()
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return cls()
        for line in text.splitlines():
            try:
                entry = msgspec.json.decode(line, type=_Line)
                members = tuple(map(TrialKey.parse, entry.trials))
            except (msgspec.DecodeError, TypeError):
                continue
            if entry.shard not in shards and placed.isdisjoint(members):
                shards[entry.shard] = members
                placed.update(members)
        return cls(shards)

    def assign(self, trials: Iterable[TrialKey], size: int, kind: str = SINGLE) -> Ledger:
        """Return this ledger with new shards of `size` trials for those that have none yet.

        `kind` is the first letter of the new shards' names: which rule trains them.
        """
        placed = {trial for members in self.shards.values() for trial in members}
        new = [trial for trial in dict.fromkeys(trials) if trial not in placed]
        number = 1 + max((int(shard[1:]) for shard in self.shards), default=0)
        added = {
            f"{kind}{number + index:04d}": tuple(new[start : start + size])
            for index, start in enumerate(range(0, len(new), size))
        }
        return Ledger({**self.shards, **added})

    def serving(self, trials: Iterable[TrialKey]) -> dict[str, tuple[TrialKey, ...]]:
        """Return the shards that hold at least one of `trials`."""
        wanted = set(trials)
        return {s: members for s, members in self.shards.items() if not wanted.isdisjoint(members)}

    def append_to(self, file: Path) -> None:
        """Append the shards that `file` does not have yet."""
        known = Ledger.read(file).shards
        news = "".join(
            json.dumps({"shard": shard, "trials": list(map(str, members))}) + "\n"
            for shard, members in self.shards.items()
            if shard not in known
        )
        if not news:
            return
        if os.path.lexists(file) and not file.is_file():
            set_aside(file, "it is no file", "and the ledger begun anew")
        before = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        # Earlier versions wrote line by line; a crash may have left the last one without its end.
        torn = before != "" and not before.endswith("\n")
        write_text(file, before + ("\n" if torn else "") + news)


_JOB_SECONDS = 1800
_MAX_JOBS = 200


def workers_of_a_job(jobs: int, trials: int, workers: int) -> int:
    """Return how many of a machine's workers each job gets, so that all jobs end early.

    A job with all of them leaves some idle while its last trials end and the next job starts, and
    each of its workers traces the same graphs. Where other jobs are left, they can run beside it.

    Parameters
    ----------
    jobs : int
        How many are left, all with so many trials of the same length.
    trials : int
        Of a job.
    workers : int
        Of the machine.

    Notes
    -----
    The start of a job, and the graphs of its first trials, count as one trial more. Trials differ,
    so jobs with fewer workers must be clearly better: the last of them may end long after the rest.
    """
    most = min(workers, trials)

    def trials_in_a_row(each: int) -> int:
        return math.ceil(jobs / (workers // each)) * (1 + math.ceil(trials / each))

    best = min(range(most, 0, -1), key=trials_in_a_row)
    is_clearly_better = trials_in_a_row(best) < _CLEARLY * trials_in_a_row(most)
    return best if is_clearly_better else most


def trials_per_job(setting: str | int, splits: int, trials: int, seconds_per_trial: float) -> int:
    """Return the number of trials of each job.

    Parameters
    ----------
    setting : {"auto", "split", "configuration"} or int
        ``execution.trials_per_job``.
    splits, trials : int
        Splits of each configuration; trials in all.
    seconds_per_trial : float
        Estimated seconds of one trial on one worker.

    Notes
    -----
    ``auto`` aims at half an hour of work a job and at most 200 jobs: long enough that start-up
    does not count, short enough for a queue, few enough for the scheduler and the DAG.
    """
    if setting == "split":
        return 1
    if setting == "configuration":
        return splits
    if isinstance(setting, int):
        return setting
    size = max(1, int(_JOB_SECONDS / max(seconds_per_trial, 1e-3)), math.ceil(trials / _MAX_JOBS))
    # Whole configurations, so that results of one appear together.
    return size if size < splits else math.ceil(size / splits) * splits
