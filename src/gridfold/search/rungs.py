"""What the jobs of an asynchronous Hyperband share: brackets, log of decisions, trials.

The state is derived from files: the log says which configurations each rung was given, and the run
store what came of them. So a job that is killed at any point has lost nothing but the epoch that it
was in, and jobs on several nodes decide together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from gridfold import advice, typed_json
from gridfold.canonical import digest
from gridfold.errors import GridfoldError
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import rung_name
from gridfold.problems import Measure
from gridfold.requests import ChosenConfiguration, RungsRequest, WantedConfiguration
from gridfold.space.hyperband import schedule
from gridfold.space.promotions import Promotions
from gridfold.store.decision_log import Decision, DecisionLog
from gridfold.store.trials import TrialResult, TrialStore


class Unfinished(GridfoldError):
    """Trials of an asynchronous search have no answer though its jobs are over."""


class Rungs:
    """The brackets of an asynchronous Hyperband.

    Parameters
    ----------
    request : RungsRequest
    files : sequence of StageFile
        What each bracket begins with: ``b<bracket>r0``.
    paths : StudyPaths
    inputs : JobInputs
    """

    def __init__(
        self,
        request: RungsRequest,
        files: Sequence[StageFile],
        paths: StudyPaths,
        inputs: JobInputs,
    ) -> None:
        self.paths, self.inputs, self.measure = paths, inputs, request.measure
        self.split_names = files[0].splits
        rungs = schedule(request.epochs, request.factor, request.brackets)
        first = {file.stage: file for file in files}
        own = {r.bracket: first[rung_name(r.bracket, 0)] for r in rungs if not r.rung}
        self._chosen = {c.id: c for file in own.values() for c in file.configurations}
        drawn = {bracket: [c.id for c in file.configurations] for bracket, file in own.items()}
        sign = Measure.of(request.measure).sign
        self.promotions = Promotions(rungs, drawn, request.factor, sign)
        self.log = DecisionLog(paths.decision_log(self._identity(request, drawn)))

    def _identity(self, request: RungsRequest, drawn: Mapping[int, Sequence[str]]) -> str:
        """Return a digest of all that decisions depend on: those of another search do not count."""
        conditions = request.conditions
        own = (conditions.own_measures or {}).get(request.measure)
        parts = {
            "schedule": [request.epochs, request.factor, request.brackets],
            "configurations": [[bracket, *ids] for bracket, ids in drawn.items()],
            "measure": [request.measure, own.code if own else None, conditions.threshold],
            "code": conditions.code,
            "versions": dict(conditions.versions),
            "data": self.inputs.data_digest,
            "splits": {name: self.inputs.splits[name].digest for name in self.split_names},
        }
        return digest(parts)[:12]

    def chosen(self, decision: Decision) -> ChosenConfiguration:
        """Return a configuration with the epochs that it reaches in a rung."""
        configuration = self._chosen[decision.config_id]
        return replace(configuration, epochs=self.promotions.epochs(decision))

    def wanted(self, decision: Decision) -> WantedConfiguration:
        """Return what must be known to train a configuration in a rung."""
        return self.chosen(decision).wanted

    def folder(self, trial: TrialKey) -> Path:
        """Return where the run store keeps a trial."""
        return self.paths.trial(trial.config_id, trial.split)

    def value(self, result: TrialResult) -> float | None:
        """Return what a result is ranked by; None without."""
        value = result.scores.get(self.measure, math.nan)
        return None if result.status != "finished" or math.isnan(value) else value


def mean_score(values: Sequence[float | None]) -> float | None:
    """Return the mean over the splits; None where one has no score, as for any other stage."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


# -- when all has ended ----------------------------------------------------------------------------


@dataclass(frozen=True)
class MadeDecision:
    """A decision as it is shown to people.

    Attributes
    ----------
    bracket, rung : int
    config_id, label : str
    epochs : int
        Epochs to reach in the rung.
    score : float or None
        For which it was promoted; None where it begins.
    """

    bracket: int
    rung: int
    config_id: str
    label: str
    epochs: int
    score: float | None = None


class ClosedRungs:
    """An asynchronous search whose jobs are over, read from the run store.

    Parameters
    ----------
    rungs : Rungs

    Raises
    ------
    Unfinished
        When trials have no answer.
    """

    def __init__(self, rungs: Rungs) -> None:
        self._rungs = rungs
        self.decisions: list[MadeDecision] = []
        self._rows: dict[tuple[int, int], list[tuple[TrialKey, TrialResult, TrialStore]]] = {
            key: [] for key in rungs.promotions.keys
        }
        self._scores: dict[Decision, float | None] = {}
        for decision in rungs.log.news():
            if rungs.promotions.take(decision):
                self._read(decision)
        following = rungs.promotions.next()
        if following is not None:
            raise Unfinished(
                f"the search is not over: configuration {following.config_id} waits for "
                f"{rung_name(following.bracket, following.rung)}, though its jobs have ended. "
                "Was something removed from results? snakemake --forcerun train_rungs goes on"
            )

    def _read(self, decision: Decision) -> None:
        rungs = self._rungs
        chosen = rungs.chosen(decision)
        values = []
        for split in rungs.split_names:
            trial = TrialKey(chosen.id, split)
            store = rungs.inputs.store(trial, chosen.wanted)
            result = store.result(chosen.epochs) or _failed(store, chosen.epochs, trial)
            self._rows[decision.bracket, decision.rung].append((trial, result, store))
            values.append(rungs.value(result))
        score = self._scores[decision] = mean_score(values)
        before = self._scores.get(replace(decision, rung=decision.rung - 1))
        self.decisions.append(
            MadeDecision(
                decision.bracket, decision.rung, chosen.id, chosen.label, chosen.epochs, before
            )
        )
        rungs.promotions.end(decision, score)

    def stage_file(self, bracket: int, rung: int) -> StageFile:
        """Return the configurations of a rung, with the scores that they were promoted for."""
        found = []
        for config_id in self._rungs.promotions.taken(bracket, rung):
            decision = Decision(bracket, rung, config_id)
            before = self._scores.get(replace(decision, rung=rung - 1))
            found.append(replace(self._rungs.chosen(decision), score=before))
        return StageFile(rung_name(bracket, rung), self._rungs.split_names, tuple(found))

    def write(
        self, decisions: Path, stages: Mapping[str, Path], shards: Mapping[str, Sequence[Path]]
    ) -> None:
        """Write what was decided, and for each rung its file and its tables.

        Parameters
        ----------
        decisions : Path
        stages : mapping of str to Path
            Files of stages by their names; those of first rungs are there already.
        shards : mapping of str to sequence of Path
            Tables of trials, epochs and predictions by the name of the stage.
        """
        # Jobs that train need no pandas.
        from gridfold.tables import trials as tables

        splits = self._rungs.inputs.splits
        for bracket, rung in self._rungs.promotions.keys:
            name = rung_name(bracket, rung)
            trials, epochs, predictions = shards[name]
            tables.write_shard(self._rows[bracket, rung], splits, trials, epochs, predictions)
            if rung:
                self.stage_file(bracket, rung).write(stages[name])
        typed_json.write(decisions, self.decisions)


def _failed(store: TrialStore, epochs: int, trial: TrialKey) -> TrialResult:
    """Return the result of a trial that has failed and is reported.

    Raises
    ------
    Unfinished
        When nothing is known of it.
    """
    known = store.failure()
    if known is None:
        raise Unfinished(
            f"trial {trial} has no result for {epochs} epochs, though the jobs of the search have "
            "ended. Was something removed from results? snakemake --forcerun train_rungs goes on"
        )
    failure, usage = known
    return TrialResult(
        "failed", epochs, kind=failure.kind, reason=advice.in_full(failure), usage=usage
    )
