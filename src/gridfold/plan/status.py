"""How far a study is, stage by stage where it has stages; read while it runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import stage_of
from gridfold.plan.stages import Stage
from gridfold.requests import ChosenConfiguration, Request
from gridfold.store import request_notes
from gridfold.store.answer import Answer
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
    """

    stage: Stage
    answered: frozenset[TrialKey]
    total: int
    is_decided: bool

    @property
    def done(self) -> int:
        """How many trials have an answer."""
        return len(self.answered)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.is_decided and self.done == self.total


def stage_states(plan: Plan) -> list[StageState]:
    """Return how far each stage of a search is."""
    states: list[StageState] = []
    is_other = has_other_data(plan)
    for stage in plan.stages:
        file = stage_file(plan, stage)
        if file is None:
            states.append(StageState(stage, frozenset(), stage.trials, is_decided=False))
            continue
        answered = frozenset() if is_other else _recorded(plan, file)
        states.append(StageState(stage, answered, file.size, is_decided=True))
    return states


def stage_file(plan: Plan, stage: Stage) -> StageFile | None:
    """Return which configurations a stage has; None while nobody knows."""
    drawn = plan.drawn(stage)
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


def _recorded(plan: Plan, file: StageFile) -> frozenset[TrialKey]:
    """Return the trials of a stage that have a record in the run store, of whatever data."""
    recorded: set[TrialKey] = set()
    for configuration in file.configurations:
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
    for stage in plan.stages:
        file = stage_file(plan, stage)
        title = stage.title if plan.is_staged else ""
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
    files = ((stage, stage_file(plan, stage)) for stage in plan.stages)
    return sum(stage.trials if file is None else file.size for stage, file in files)


def finished_shards(plan: Plan) -> Mapping[str, int]:
    """Return the trials of each training job that has nothing left to do."""
    return {
        shard: _size(plan, shard)
        for shard in plan.all_shards
        if plan.paths.shard_tables(shard)[0].exists()
    }


def _size(plan: Plan, shard: str) -> int:
    if shard in plan.shards:
        return len(plan.shards[shard])
    stage = plan.stage(stage_of(shard))
    file = stage_file(plan, stage)
    return 0 if file is None else len(file.trials_of_slot(shard, stage.trials_per_job))


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
    if found := answer_of(plan, states, changed):
        return _in_words(found, plan.paths)
    done, total = totals(states)
    notice = change_notice(changed)
    lines = [*(status_map(states) if plan.is_staged else []), *filter(None, [notice])]
    if jobs := running_jobs(plan):
        labels = {c.id: c.label for c in plan.configurations}
        return "\n".join([*lines, progress_line(total, jobs.values(), labels)])
    return "\n".join([*lines, f"trials {done}/{total} done, no job is running"])


def running_jobs(plan: Plan) -> dict[str, JobProgress]:
    """Return the progress of the training jobs that have begun and not ended."""
    jobs = read_jobs(plan.paths.progress, plan.all_shards)
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
    if not all(state.is_finished for state in states) or changed:
        return None
    try:
        return Answer.read(plan.paths)
    except FileNotFoundError:
        return None


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
    return f"{text}\nReport: {paths.report}"
