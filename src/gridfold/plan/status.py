"""How far a study is, stage by stage where it has stages; read while it runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridfold.errors import Problem, StudyError
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.plan import Plan
from gridfold.plan.search_plan import SearchPlan
from gridfold.plan.stage_names import stage_of
from gridfold.plan.stages import Stage, entry, slot_request, trials_of
from gridfold.store import request_notes
from gridfold.store.answer import Answer
from gridfold.store.progress import progress_line, read_jobs
from gridfold.store.records import DamagedRecord, read_record
from gridfold.wording import counted, listed

_BAR = 30


@dataclass(frozen=True)
class StageState:
    """How far a stage is.

    Attributes
    ----------
    stage : Stage
    done : int
        Trials that have an answer.
    total : int
        Trials of the stage; at most so many while `is_decided` is false.
    is_decided : bool
        Whether it is known which configurations it trains.
    """

    stage: Stage
    done: int
    total: int
    is_decided: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.is_decided and self.done == self.total


def stage_states(plan: Plan) -> list[StageState]:
    """Return how far each stage of a search is."""
    states: list[StageState] = []
    is_other = plan.has_other_data
    for stage in plan.stages:
        content = _content(plan, stage.name)
        if content is None:
            states.append(StageState(stage, 0, stage.trials, is_decided=False))
            continue
        epochs = {c["id"]: c["epochs"] for c in content["configurations"]}
        trials = list(trials_of(content))
        done = sum(
            result_file(plan.paths.trial(t.config_id, t.split), epochs[t.config_id]).exists()
            for t in ([] if is_other else trials)
        )
        states.append(StageState(stage, done, len(trials), is_decided=True))
    return states


def _content(plan: Plan, stage: str) -> dict[str, Any] | None:
    try:
        return read_record(SearchPlan(plan).file(stage))
    except (FileNotFoundError, DamagedRecord):
        return None


def known_configurations(plan: Plan) -> list[dict[str, Any]]:
    """Return what is known of configurations, those found while the search ran included.

    Returns
    -------
    list of dict
        ``id``, ``label``, ``settings``, ``epochs``, ``splits`` and the ``title`` of the stage, for
        each stage that trains a configuration.
    """
    if not plan.stages:
        return [
            {**entry(c, c.epochs), "splits": plan.splits, "title": ""} for c in plan.configurations
        ]
    known = []
    for stage in plan.stages:
        content = _content(plan, stage.name) or {"configurations": [], "splits": []}
        more = {"splits": content["splits"], "title": stage.title}
        known += [configuration | more for configuration in content["configurations"]]
    return known


def configuration_named(plan: Plan, beginning: str) -> list[dict[str, Any]]:
    """Return what is known of the one configuration whose id begins so, in each of its stages.

    Raises
    ------
    StudyError
        When there is none, or several.
    """
    known = known_configurations(plan)
    found = [c for c in known if c["id"].startswith(beginning)]
    count = len({c["id"] for c in found})
    if count != 1:
        names = ", ".join(dict.fromkeys(c["id"] for c in (found or known)[:10]))
        problem = Problem((), f"{count} configurations begin with {beginning}", names)
        raise StudyError("gridfold", [problem])
    return found


def counts(plan: Plan) -> tuple[int, int]:
    """Return the trials that are done, and those that there are, or will be at most."""
    if not plan.stages:
        return len(plan.finished()), len(plan.trials)
    states = stage_states(plan)
    return sum(state.done for state in states), sum(state.total for state in states)


def finished_shards(plan: Plan) -> Mapping[str, int]:
    """Return the trials of each training job that has nothing left to do."""
    search = SearchPlan(plan)
    return {
        shard: _size(plan, shard)
        for shard in search.all_shards
        if plan.paths.shard_table(shard, "trials").exists()
    }


def _size(plan: Plan, shard: str) -> int:
    if shard in plan.shards:
        return len(plan.shards[shard])
    stage = next(stage for stage in plan.stages if stage.name == stage_of(shard))
    content = _content(plan, stage.name)
    if content is None:
        return 0
    return len(slot_request({"trials_per_job": stage.trials_per_job}, content, shard)["trials"])


def changes(plan: Plan) -> list[str]:
    """Return what of a study has changed since its last run, as people say it."""
    requests = {
        "prepare_data": ("the data", plan.data_request()),
        "make_splits": ("the splits", plan.splits_request()),
        "collect": ("the configurations", SearchPlan(plan).collect_request()),
        "summarise": ("what they are ranked by", plan.summary_request()),
        "fit_final": ("settings, code or versions", plan.final_request()),
    }
    return [
        words
        for rule, (words, request) in requests.items()
        if request_notes.answers(plan.paths.log(rule), request) is False
    ]


def change_notice(plan: Plan) -> str:
    """Return a line about what has changed since the last run; empty where nothing has."""
    changed = changes(plan)
    return f"changed since the last run: {listed(changed)}" if changed else ""


def state(plan: Plan) -> str:
    """Return how far a study is, or its answer when it is finished.

    Raises
    ------
    DamagedRecord
        When the answer can't be read.
    """
    done, total = counts(plan)
    states = stage_states(plan)
    notice = change_notice(plan)
    if done == total and not notice and all(stage.is_finished for stage in states):
        with contextlib.suppress(FileNotFoundError):
            return answer(plan.paths)
    lines = [*status_map(states), *filter(None, [notice])]
    shards = SearchPlan(plan).all_shards
    jobs = [job for job in read_jobs(plan.paths.progress, shards).values() if not job.ended]
    if jobs:
        labels = {c.id: c.label for c in plan.configurations}
        return "\n".join([*lines, progress_line(total, jobs, labels)])
    return "\n".join([*lines, f"trials {done}/{total} done, no job is running"])


def status_map(states: list[StageState]) -> list[str]:
    """Return a line for each stage: a bar of what is done, and what a stage waits for."""
    titles = {state.stage.name: state.stage.title for state in states}
    width = max(map(len, titles.values()), default=0)
    lines = []
    for state in states:
        line = f"{state.stage.title:{width}}  "
        if state.is_decided:
            filled = round(_BAR * state.done / state.total) if state.total else _BAR
            line += f"{'#' * filled:.<{_BAR}}  {state.done}/{state.total}"
        else:
            before = " and ".join(titles[name] for name in state.stage.sources)
            line += f"waits for {before}" if before else "not begun"
        lines.append(line)
    return lines


def answer(paths: StudyPaths) -> str:
    """Return best configuration, mean with interval, test score, and where the report is.

    Raises
    ------
    FileNotFoundError
        When the study is not finished.
    DamagedRecord
        When its records can't be read.
    """
    found = Answer.read(paths)
    best, test = found.best, found.card.test
    count = f"{best.configurations} configurations"
    if best.tried is not None:
        count = f"{best.tried} configurations, {best.configurations} compared in full"
    text = f"Best of {count}: {best.label} ({best.config_id}); {best.measure} {best.mean:.4f}"
    if math.isfinite(best.half_width):
        level = f"{best.confidence:.0%} CI over {best.n_splits} splits"
        text += f" ± {best.half_width:.4f} ({level})"
    if test:
        text += f"; held-out test {test.score:.4f} "
        if test.has_interval:
            text += f"[{test.low:.4f}, {test.high:.4f}] "
        text += f"on {counted(test.samples, 'sample')}"
    return f"{text}\nReport: {paths.report}"
