"""Which trials a budget has left out, job by job, and whether a larger one makes them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gridfold import typed_json
from gridfold.paths import StudyPaths
from gridfold.plan.budget import Limit
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_names import stage_of
from gridfold.typed_json import DamagedRecord


@dataclass(frozen=True)
class LeftOut:
    """The trials of a job that the budget has left out.

    Attributes
    ----------
    limit : Limit
        What the search could take.
    trials : tuple of str
        ``config_id/split``; none where nobody knows which they are, as of a tuner.
    """

    limit: Limit
    trials: tuple[str, ...]


def write_left_out(paths: StudyPaths, job: str, limit: Limit, trials: Sequence[TrialKey]) -> None:
    """Remember which trials of a job the budget has left out, before their tables are written."""
    typed_json.write(paths.left_out(job), LeftOut(limit, tuple(map(str, trials))))


def read_left_out(paths: StudyPaths) -> dict[str, LeftOut]:
    """Return what the budget has left out, by job."""
    found = {}
    for file in sorted(paths.left_out("").parent.glob("*.json")):
        try:
            found[file.stem] = typed_json.read(LeftOut, file)
        except (FileNotFoundError, DamagedRecord):
            continue
    return found


def is_cut(plan: Plan) -> bool:
    """Tell whether the present budget has left something out."""
    return bool(read_left_out(plan.paths).keys() - reopened(plan).keys())


def reopened(plan: Plan) -> dict[str, LeftOut]:
    """Return, by job, what an earlier budget has left out and the present one may allow."""
    budget, found = plan.study.search.budget, read_left_out(plan.paths)
    if budget is None:
        return found
    limit = Limit.of(budget)
    return {job: left for job, left in found.items() if limit.is_above(left.limit)}


def reopened_files(plan: Plan) -> list[Path]:
    """Return the tables that lack trials for an earlier budget, and are to be made again."""
    known = set(plan.all_shards)
    return [
        file
        for job in reopened(plan)
        if job in known
        for file in plan.paths.shard_tables(job)
        if file.exists()
    ]


def left_out_trials(plan: Plan) -> frozenset[tuple[str, TrialKey]]:
    """Return stage and name of the trials that the present budget has left out."""
    again = reopened(plan)
    return frozenset(
        (stage_of(job), TrialKey.parse(text))
        for job, left in read_left_out(plan.paths).items()
        if job not in again
        for text in left.trials
    )
