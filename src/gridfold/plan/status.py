"""How far a study is, stage by stage where it has stages; read while it runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.asynchronous import decided_so_far
from gridfold.plan.budget_words import budget_lines
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.left_out import left_out_trials, reopened
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import fold_of, stage_of
from gridfold.plan.stages import Stage
from gridfold.plan.stopping import StopDecision, last_decision
from gridfold.requests import ChosenConfiguration, Request
from gridfold.store import request_notes
from gridfold.store.answer import Answer
from gridfold.store.archives import packed_files
from gridfold.store.progress import JobProgress, progress_line, read_jobs
from gridfold.typed_json import DamagedRecord
from gridfold.wording import counted, first_of, listed

_BAR = 30
# Ids that a message names.
_SHOWN = 10


@dataclass(frozen=True)
class StageState:
    """How far a stage is.

    Attributes
    ----------
    stage : Stage
    answered : frozenset of TrialKey
        Trials that have an answer.
    total : int
        Trials of the stage; at most so many while `is_decided` is false.
    is_decided : bool
        Whether it is known which configurations it trains.
    left_out : int
        Trials that the budget has left out; they do not count in `total`.
    decision : StopDecision or None
        Why the search went on to it or stopped before it, where that was asked.
    """

    stage: Stage
    answered: frozenset[TrialKey]
    total: int
    is_decided: bool
    left_out: int = 0
    decision: StopDecision | None = None

    @property
    def done(self) -> int:
        """How many trials have an answer."""
        return len(self.answered)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.is_decided and self.done == self.total


def stage_states(plan: Plan) -> list[StageState]:
    """Return how far each stage of a search is, and after them those of the outer folds."""
    states: list[StageState] = []
    is_other = has_other_data(plan)
    left_out = left_out_trials(plan)
    so_far = decided_so_far(plan)
    packed = packed_files(plan.paths)
    for stage in plan.all_stages:
        file = stage_file(plan, stage)
        if file is None and stage.name in so_far:
            file = so_far[stage.name]
            answered = frozenset() if is_other else _recorded(plan, file, packed)
            total = max(stage.trials, file.size)
            states.append(StageState(stage, answered, total, is_decided=False))
            continue
        if file is None:
            states.append(StageState(stage, frozenset(), stage.trials, is_decided=False))
            continue
        answered = frozenset() if is_other else _recorded(plan, file, packed)
        out = {key for key in file.trials() if (stage.name, key) in left_out} - answered
        total = file.size - len(out)
        states.append(
            StageState(stage, answered, total, True, left_out=len(out), decision=file.decision)
        )
    return states


def stage_file(plan: Plan, stage: Stage) -> StageFile | None:
    """Return which configurations a stage has; None while nobody knows."""
    drawn = None if stage.sources else plan.drawn(stage)
    if drawn is not None:
        return drawn
    try:
        return StageFile.read(plan.paths.stage(stage.name))
    except (FileNotFoundError, DamagedRecord):
        return None


def has_other_data(plan: Plan) -> bool:
    """Return whether the records of all trials are of other data, and will be set aside."""
    request = JobRequests(plan).data().text()
    return request_notes.answers(plan.paths.log("prepare_data"), request) is False


def _recorded(plan: Plan, file: StageFile, packed: Set[str]) -> frozenset[TrialKey]:
    """Return the trials of a stage that have a record, packed or not, of whatever data."""
    recorded: set[TrialKey] = set()
    for configuration in file.configurations:
        for split in file.splits if packed else ():
            folder = plan.paths.trial(configuration.id, split)
            result = result_file(folder, configuration.epochs).relative_to(plan.paths.runs)
            if result.as_posix() in packed:
                recorded.add(TrialKey(configuration.id, split))
        # One look into each configuration's folder: there may be a hundred thousand.
        try:
            with os.scandir(plan.paths.runs / configuration.id) as folders:
                names = {folder.name for folder in folders}
        except FileNotFoundError:
            continue
        for split in names.intersection(file.splits):
            folder = plan.paths.trial(configuration.id, split)
            if result_file(folder, configuration.epochs).exists():
                recorded.add(TrialKey(configuration.id, split))
    return frozenset(recorded)


@dataclass(frozen=True)
class KnownConfiguration:
    """A configuration in a stage that trains it.

    Attributes
    ----------
    chosen : ChosenConfiguration
    splits : tuple of str
        Splits of the stage.
    stage : str
        Name of the stage.
    title : str
        The stage as people write it; empty for a search with one stage.
    """

    chosen: ChosenConfiguration
    splits: tuple[str, ...]
    stage: str
    title: str


def known_configurations(plan: Plan) -> list[KnownConfiguration]:
    """Return what is known of configurations, those found while the search ran included."""
    known = []
    for stage in plan.all_stages:
        file = stage_file(plan, stage)
        title = stage.title if plan.is_staged or plan.outer_folds else ""
        if file is not None:
            known += [
                KnownConfiguration(c, file.splits, stage.name, title) for c in file.configurations
            ]
    return known


def configuration_named(plan: Plan, beginning: str) -> list[KnownConfiguration]:
    """Return what is known of the one configuration whose id begins so, in each of its stages.

    Raises
    ------
    GridfoldError
        When there is none, or several.
    """
    known = known_configurations(plan)
    found = [c for c in known if c.chosen.id.startswith(beginning)]
    count = len({c.chosen.id for c in found})
    if count != 1:
        names = list(dict.fromkeys(c.chosen.id for c in found or known))
        said = f"{count} configurations begin" if count else "no configuration begins"
        raise GridfoldError(
            f"{said} with {beginning}; allowed: the beginning of one id of "
            f"{first_of(names, _SHOWN)}"
        )
    return found


def counts(plan: Plan) -> tuple[int, int]:
    """Return the trials that are done, and those that there are, or will be at most."""
    return totals(stage_states(plan))


def totals(states: Sequence[StageState]) -> tuple[int, int]:
    """Return the trials of all stages that are done, and those that there are at most."""
    return sum(state.done for state in states), sum(state.total for state in states)


def most_trials(plan: Plan) -> int:
    """Return the trials that there are, or will be at most; nothing in the run store is read."""
    files = ((stage, stage_file(plan, stage)) for stage in plan.all_stages)
    return sum(stage.trials if file is None else file.size for stage, file in files)


def finished_shards(plan: Plan) -> Mapping[str, int]:
    """Return the trials of each training job that has nothing left to do."""
    return {
        shard: _size(plan, shard)
        for shard in plan.all_shards
        if plan.paths.shard_tables(shard)[0].exists()
    }


def _size(plan: Plan, shard: str) -> int:
    if shard in plan.ledger.shards:
        return len(plan.ledger.shards[shard])
    stage = plan.stage(stage_of(shard))
    file = stage_file(plan, stage)
    if file is None:
        return 0
    # Such a rung has one slot, and perhaps more configurations than its schedule.
    size = file.size if stage.is_asynchronous else stage.trials_per_job
    return len(file.trials_of_slot(shard, size))


def changes(plan: Plan) -> list[str]:
    """Return what of a study has changed since its last run, as people say it."""
    requests, first = JobRequests(plan), plan.stages[0]
    asked: dict[str, tuple[str, Request]] = {
        plan.paths.log("prepare_data"): ("the data", requests.data()),
        plan.paths.log("make_splits"): ("the splits", requests.splits()),
        plan.paths.log("summarise"): ("what they are ranked by", requests.summary()),
        plan.paths.log("fit_final"): ("settings, code or versions", requests.final()),
    }
    if not plan.is_tuned:
        choice = ("the configurations", requests.choice(first.name))
        asked[plan.paths.log("choose", first.name)] = choice
    return [
        words
        for log, (words, request) in asked.items()
        if request_notes.answers(log, request.text()) is False
    ]


def change_notice(changed: Sequence[str]) -> str:
    """Return a line about :func:`changes` since the last run; empty where there are none."""
    return f"changed since the last run: {listed(changed)}" if changed else ""


def state(plan: Plan) -> str:
    """Return how far a study is, or its answer when it is finished.

    Raises
    ------
    DamagedRecord
        When the answer can't be read.
    """
    states, changed = stage_states(plan), changes(plan)
    stopping = stop_notice(plan)
    if found := answer_of(plan, states, changed):
        lines = [_in_words(found, plan.paths), stopping, *budget_lines(plan)]
        return "\n".join(filter(None, lines))
    done, total = totals(states)
    notices = filter(None, [stopping, change_notice(changed), *budget_lines(plan)])
    has_stages = plan.is_staged or plan.outer_folds
    lines = [*(status_map(states) if has_stages else []), *notices]
    if jobs := running_jobs(plan):
        labels = {c.id: c.label for c in plan.configurations}
        return "\n".join([*lines, progress_line(total, jobs.values(), labels)])
    return "\n".join([*lines, f"trials {done}/{total} done, no job is running"])


def stop_notice(plan: Plan) -> str:
    """Return why a search has stopped, or went on when it last looked; empty where it never did."""
    if plan.study.search.stop is None:
        return ""
    files = (stage_file(plan, stage) for stage in plan.stages)
    decision = last_decision(file.decision for file in files if file is not None)
    return "" if decision is None else f"search {decision.sentence}"


def running_jobs(plan: Plan) -> dict[str, JobProgress]:
    """Return the progress of the training jobs that have begun and not ended."""
    jobs = read_jobs(plan.paths.progress, plan.training_jobs)
    return {name: job for name, job in jobs.items() if not job.ended}


def answer_of(plan: Plan, states: Sequence[StageState], changed: Sequence[str]) -> Answer | None:
    """Return the answer of a study that is finished and has not changed since, else None.

    Parameters
    ----------
    plan : Plan
    states : sequence of StageState
        Those of all its stages.
    changed : sequence of str
        Its :func:`changes`.

    Raises
    ------
    DamagedRecord
        When it can't be read.
    """
    if not all(state.is_finished for state in states) or changed or reopened(plan):
        return None
    try:
        return Answer.read(plan.paths)
    except FileNotFoundError:
        return None


def status_map(states: list[StageState]) -> list[str]:
    """Return a line for each stage: a bar of what is done, and what a stage waits for.

    All stages of an outer fold have one line.
    """
    own = [state for state in states if fold_of(state.stage.name) is None]
    folds: dict[str, list[StageState]] = {}
    for state in states:
        if (fold := fold_of(state.stage.name)) is not None:
            folds.setdefault(f"Outer fold {fold}", []).append(state)
    titles = {state.stage.name: state.stage.title for state in own}
    width = max(map(len, [*titles.values(), *folds]), default=0)
    lines = []
    for state in own:
        line = f"{state.stage.title:{width}}  "
        if state.decision and state.decision.stops and not state.total:
            line += "not needed"
        elif state.is_decided or state.done:
            about = "" if state.is_decided else "about "
            line += f"{_bar(state.done, state.total)}  {state.done}/{about}{state.total}"
            if state.left_out:
                line += f", {state.left_out} left out by the budget"
        elif state.stage.is_asynchronous:
            line += "takes what is promoted"
        else:
            before = " and ".join(titles[name] for name in state.stage.sources)
            line += f"waits for {before}" if before else "not begun"
        lines.append(line)
    if any(state.stage.is_asynchronous for state in states):
        lines.append("asynchronous: no rung waits for the one before")
    for title, inside in folds.items():
        done, total = totals(inside)
        most = "" if all(state.is_decided for state in inside) else " at most"
        lines.append(f"{title:{width}}  {_bar(done, total)}  {done}/{total}{most}")
    return lines


def _bar(done: int, total: int) -> str:
    filled = round(_BAR * done / total) if total else _BAR
    return f"{'#' * filled:.<{_BAR}}"


def answer(paths: StudyPaths) -> str:
    """Return best configuration, mean with interval, test score, and where the report is.

    Raises
    ------
    FileNotFoundError
        When the study is not finished.
    DamagedRecord
        When its records can't be read.
    """
    return _in_words(Answer.read(paths), paths)


def _in_words(found: Answer, paths: StudyPaths) -> str:
    best, test = found.best, found.card.test
    count = f"{best.configurations} configurations"
    if best.tried is not None:
        count = f"{best.tried} configurations, {best.configurations} compared in full"
    if best.allowed is not None:
        count += f", {best.allowed} within the constraints"
    quoted = best.headline
    how = "Best of" if best.rule is None else f"Selected by {best.rule} of"
    text = f"{how} {count}: {best.label} ({best.config_id}); {best.measure} {quoted.score:.4f}"
    remarks = []
    if quoted.low is not None and quoted.high is not None:
        text += f" [{quoted.low:.4f}, {quoted.high:.4f}]"
        remarks.append(f"{best.confidence:.0%} CI over {counted(best.n_splits, 'split')}")
    if quoted.is_corrected:
        remarks.append(f"corrected for the selection; as selected {best.mean:.4f}")
    if remarks:
        text += f" ({', '.join(remarks)})"
    if test:
        score = "not defined" if math.isnan(test.score) else f"{test.score:.4f}"
        text += f"; held-out test {score} "
        if test.has_interval:
            text += f"[{test.low:.4f}, {test.high:.4f}] "
        text += f"on {counted(test.samples, 'sample')}"
    if nested := found.card.nested:
        text += "; search and training, nested "
        text += "not defined " if nested.score is None else f"{nested.score:.4f} "
        if nested.low is not None and nested.high is not None:
            text += f"[{nested.low:.4f}, {nested.high:.4f}] "
        text += f"over {counted(nested.folds, 'outer fold')}"
    return f"{text}\nReport: {paths.report}"
