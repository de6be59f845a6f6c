"""What each kind of job must know, as one frozen dataclass: its request.

The plan makes requests (:class:`gridfold.plan.job_requests.JobRequests`), jobs answer them. In the
rules a request is one canonical JSON text, so that Snakemake, which compares the parameters of its
jobs, sees every change of a request and nothing else. The dataclasses stand here, below the plan,
since reading and splitting the data stand below it, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from gridfold import typed_json
from gridfold.objectives import BEST
from gridfold.problems import depends_on_threshold, positive_from, threshold_in

Settings = Mapping[str, Any]
"""Everything that can change the result of a trial: model, training, problem, preprocessing."""


class Request:
    """What a job must know; written and read as text."""

    def text(self) -> str:
        """Return the request as canonical JSON."""
        return typed_json.text_of(self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the request that :meth:`text` has written."""
        return typed_json.parse(cls, text)


@dataclass(frozen=True)
class OwnMeasure:
    """A measure of the user's own.

    Attributes
    ----------
    function : str
        ``file.py:function``.
    code : str
        Digest of this file and its local modules.
    """

    function: str
    code: str


@dataclass(frozen=True)
class Conditions:
    """What every training depends on besides its configuration.

    Attributes
    ----------
    code : str
        Digest of all code that decides numbers.
    versions : mapping of str to str
        Versions of the packages that decide numbers.
    steps_per_execution : int or {"auto"}
        Batches of each call of the compiled training function.
    checkpoint_every : int or {"auto"}
        Epochs from one checkpoint to the next.
    threads : int
        CPU threads of each trial.
    in_memory_mb : int
        MB of samples that a trial keeps in memory; of more it reads batch by batch.
    loadable : bool
        Whether models must be loadable from their files.
    own_measures : mapping of str to OwnMeasure, or None
        The measures of the user's own by their names; None where there are none.
    threshold : float or None
        ``problem.threshold``, where it is another one than the usual.
    objective_follows_threshold : bool or None
        True where this threshold decides a search by what is followed in training, whatever the
        configuration; then trainings depend on it. Else None.
    costs : tuple of str or None
        Costs that each trial must look for (:data:`gridfold.objectives.COSTS`); None where the
        study asks for none.
    share_process : bool or None
        ``execution.share_process``.
    """

    code: str
    versions: Mapping[str, str]
    steps_per_execution: int | str
    checkpoint_every: int | str
    threads: int
    in_memory_mb: int
    loadable: bool = True
    own_measures: Mapping[str, OwnMeasure] | None = None
    threshold: float | None = None
    objective_follows_threshold: bool | None = None
    costs: tuple[str, ...] | None = None
    share_process: bool | None = None

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return positive_from(self.threshold)

    def trains_by_threshold(self, settings: Settings) -> bool:
        """Tell whether another threshold would train a configuration otherwise.

        Parameters
        ----------
        settings : mapping
            Of the configuration.
        """
        stopping = settings["training"]["early_stopping"]
        problem = settings["problem"]["type"]
        stops = bool(stopping) and depends_on_threshold(problem, stopping["monitor"])
        return stops or bool(self.objective_follows_threshold)

    @property
    def own_functions(self) -> dict[str, str]:
        """The references of the measures of the user's own, by their names."""
        return {name: own.function for name, own in (self.own_measures or {}).items()}


@dataclass(frozen=True)
class Constraint:
    """What the mean over the splits of a measure or a cost must be, for a selection.

    Attributes
    ----------
    name : str
    at_most, at_least : float or None
        Its limits; at least one is given.
    """

    name: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def text(self) -> str:
        """The constraint as people write it."""
        limits = [
            f"{words} {limit:,.10g}"
            for words, limit in (("at least", self.at_least), ("at most", self.at_most))
            if limit is not None
        ]
        return f"{self.name} {' and '.join(limits)}"

    def excess(self, value: float) -> float:
        """Return by how much a value misses the limits; 0 or less where it doesn't, NaN of NaN.

        In parts of the limit, so that misses of several constraints can be added.
        """
        found = []
        for sign, limit in ((1, self.at_most), (-1, self.at_least)):
            if limit is not None:
                found.append(sign * (value - limit) / (abs(limit) or 1.0))
        return max(found)


@dataclass(frozen=True)
class Objectives:
    """What a study wants of a configuration besides the best mean of one measure.

    Attributes
    ----------
    names : tuple of str
        The objectives, measures and costs; the first one is the ranking measure.
    constraints : tuple of Constraint
    rule : str
        One of :data:`gridfold.objectives.RULES`.
    """

    names: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    rule: str = BEST

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Objectives, and what else is limited, each once."""
        return tuple(dict.fromkeys((*self.names, *(c.name for c in self.constraints))))

    def missed(self, values: Mapping[Any, Any]) -> list[Constraint]:
        """Return the constraints that means do not satisfy, or that nothing is known of."""
        return [c for c in self.constraints if not c.excess(values.get(c.name, math.nan)) <= 0]


@dataclass(frozen=True)
class WantedConfiguration:
    """A configuration to train.

    Attributes
    ----------
    settings : mapping
    epochs : int
        Epochs to reach.
    """

    settings: Settings
    epochs: int


@dataclass(frozen=True)
class ChosenConfiguration:
    """A configuration of a stage, as it stands in the file of the stage.

    Attributes
    ----------
    id, label : str
    axes : mapping
        Value of each axis that is active here.
    settings : mapping
    epochs : int
        Epochs to reach in this stage.
    score : float or None
        Mean of the ranking measure in the stages before, where it has one.
    tuner_trial : str or None
        Number of the trial in Keras Tuner or Optuna, where a tuner has chosen it.
    """

    id: str
    label: str
    axes: Mapping[str, Any]
    settings: Settings
    epochs: int
    score: float | None = None
    tuner_trial: str | None = None

    @property
    def wanted(self) -> WantedConfiguration:
        """What a job must know to train it."""
        return WantedConfiguration(self.settings, self.epochs)


@dataclass(frozen=True)
class StudySections:
    """A study as it travels to jobs that find configurations of their own.

    Attributes
    ----------
    sections : mapping
        The sections that configurations follow from, as written: defaults are left out, since an
        axis must meet only what the user has set.
    axes : tuple of str
        Names of the axes in the order of every label; canonical JSON sorts the keys of a section.
    """

    sections: Mapping[str, Any]
    axes: tuple[str, ...]


# -- data ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataRequest(Request):
    """What `prepare_data` depends on.

    Attributes
    ----------
    data : mapping
        The section `data`, without what only splits or trials use.
    problem : str
        ``problem.type``.
    content : str
        Digest of the data files; empty where there are none.
    code : str
        Digest of the user's function that makes the data; empty where there is none.
    positive : str, int, float, bool or None
        ``problem.positive``: which of two classes is the second one.
    measures : tuple of str or None
        Measures that the study names and that not all data have; None where it names none.
    """

    data: Mapping[str, Any]
    problem: str
    content: str = ""
    code: str = ""
    positive: str | int | float | bool | None = None
    measures: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SplitsRequest(Request):
    """What `make_splits` depends on.

    Attributes
    ----------
    resampling : mapping
        The section `resampling`.
    test_fraction : float
        Share of the samples that is held out for the test.
    test_seed : int
    classification : bool
        Whether targets are classes.
    training_fractions : tuple of float
        Shares of the training parts that cheap stages of a search use, 1 left out.
    confirm : mapping or None
        How the splits of `search.confirm` are drawn, in the form of the section `resampling`.
    measure : str or None
        The ranking measure, if it needs samples with different targets. Only then, so that no other
        change of the measure draws splits anew.
    inner_fractions : tuple of float or None
        Shares of the training parts that early stopping looks at; None where it looks at none.
    outer : mapping or None
        Outer folds, as the section `resampling.outer` has them; None without any.
    """

    resampling: Mapping[str, Any]
    test_fraction: float
    test_seed: int
    classification: bool
    training_fractions: tuple[float, ...] = ()
    confirm: Mapping[str, Any] | None = None
    measure: str | None = None
    inner_fractions: tuple[float, ...] | None = None
    outer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class AuditRequest(Request):
    """What `audit_data` depends on, besides data and splits.

    Attributes
    ----------
    method : str
        ``resampling.method``.
    measure : str
        What configurations are ranked by.
    """

    method: str
    measure: str


@dataclass(frozen=True)
class GateRequest(Request):
    """What `require_audit` depends on, besides the findings.

    Attributes
    ----------
    fail_on : {"error", "warning"}
        The least severity of a finding that stops a study.
    accepted : tuple of str
        Codes of accepted findings; not the reasons, so that another wording lets nothing run again.
    """

    fail_on: Literal["error", "warning"]
    accepted: tuple[str, ...]


# -- training and search ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainRequest(Request):
    """What a training job depends on.

    Attributes
    ----------
    conditions : Conditions
    failed_trials : {"stop", "report"}
        ``execution.failed_trials``.
    trials : tuple of str
        Trials to train, as ``config_id/split``; of a slot, once its stage is decided.
    configurations : mapping of str to WantedConfiguration
        The configurations of these trials by id.
    trials_per_job : int or None
        Trials of each slot of a stage; None for trials that are known beforehand.
    """

    conditions: Conditions
    failed_trials: str
    trials: tuple[str, ...] = ()
    configurations: Mapping[str, WantedConfiguration] = field(default_factory=dict)
    trials_per_job: int | None = None


@dataclass(frozen=True)
class RungsRequest(Request):
    """What the jobs of an asynchronous Hyperband depend on, besides what its brackets begin with.

    Attributes
    ----------
    conditions : Conditions
    failed_trials : {"stop", "report"}
        ``execution.failed_trials``.
    measure : str
        What configurations are ranked by.
    epochs : int
        Epochs of a full training.
    factor : int
        Of so many configurations one goes on.
    trials_per_job : int
        Trials after which a job leaves the rest to jobs that have not begun.
    brackets : int or None
        As in ``search.strategy``.
    """

    conditions: Conditions
    failed_trials: str
    measure: str
    epochs: int
    factor: int
    trials_per_job: int
    brackets: int | None = None


@dataclass(frozen=True)
class Refinement:
    """How neighbours of the best configurations are found.

    Attributes
    ----------
    top : int
        Configurations whose neighbours are tried.
    step : float
        Share of an axis' range from a value to its neighbour.
    swap : bool
        Whether choices that are no numbers have neighbours.
    study : StudySections
        What configurations follow from.
    """

    top: int
    step: float
    swap: bool
    study: StudySections


@dataclass(frozen=True)
class RaceRules:
    """How a race is decided.

    Attributes
    ----------
    splits : int
        Splits of the whole race.
    risk : float
        That a configuration is left behind which would have overtaken the leader.
    """

    splits: int
    risk: float


@dataclass(frozen=True)
class StoppingRule:
    """When a search ends before it has tried everything, since the rest promises too little.

    Attributes
    ----------
    after : int
        Configurations before the first look at the scores.
    gain : float
        Improvement that counts, as a share of the noise of the cross-validation.
    risk : float
        Probability of missing such an improvement that is accepted.
    total : int
        Configurations of the search at most.
    """

    after: int
    gain: float
    risk: float
    total: int


@dataclass(frozen=True)
class ChoiceRequest(Request):
    """What `choose` depends on, besides the stages before: which configurations a stage has.

    Attributes
    ----------
    stage : str
    splits : tuple of str
        On which each configuration is trained.
    measure : str
        What configurations are ranked by.
    most : int
        Configurations at most.
    all_epochs : int
        Epochs of a full training, where a configuration does not say its own.
    epochs : int or None
        Epochs of each configuration in this stage; None for a full training.
    drawn : tuple of ChosenConfiguration or None
        The configurations themselves, if the strategy has drawn them.
    refinement : Refinement or None
        How neighbours of the best are found, if the stage has them; otherwise the best go on.
    objectives : Objectives or None
        Where more than the best mean of one measure decides.
    race : RaceRules or None
        How a round of a race is decided, if it is one.
    stopping : StoppingRule or None
        When the drawn configurations are not trained any more, where scores decide about that.
    is_score : bool or None
        True if the stage trains the winner of an outer fold, which is selected as the study's own;
        else None.
    """

    stage: str
    splits: tuple[str, ...]
    measure: str
    most: int
    all_epochs: int
    epochs: int | None = None
    drawn: tuple[ChosenConfiguration, ...] | None = None
    refinement: Refinement | None = None
    objectives: Objectives | None = None
    race: RaceRules | None = None
    stopping: StoppingRule | None = None
    is_score: bool | None = None


@dataclass(frozen=True)
class TuneRequest(Request):
    """What a search with Keras Tuner or Optuna depends on.

    Attributes
    ----------
    conditions : Conditions
    study : StudySections
    splits : tuple of str
        On which each configuration is trained.
    starts : tuple of mapping
        Points of the space to try first.
    stopping : StoppingRule or None
        When the tuner is asked for no more; None where it ends by itself.
    """

    conditions: Conditions
    study: StudySections
    splits: tuple[str, ...]
    starts: tuple[Mapping[str, Any], ...] = ()
    stopping: StoppingRule | None = None


# -- tables and statistics -------------------------------------------------------------------------


@dataclass(frozen=True)
class CollectedStage:
    """The jobs of a stage.

    Attributes
    ----------
    name : str
    answers : bool
        Whether its trials are compared with each other in the end.
    shards : tuple of str
        Names of its training jobs.
    """

    name: str
    answers: bool
    shards: tuple[str, ...]


@dataclass(frozen=True)
class CollectRequest(Request):
    """What `collect` depends on, besides the files of stages and shards.

    Attributes
    ----------
    stages : tuple of CollectedStage
        In their order.
    measure : str
        What configurations are ranked by.
    further_measures : tuple of str or None
        Measures that the study names beside those of its type; None where it names none.
    race : RaceRules or None
        How configurations race; None where they do not.
    budget : str or None
        What the search may take, in words; None without a limit.
    jobs : tuple of str or None
        The jobs that have trained; None where they are the shards themselves.
    """

    stages: tuple[CollectedStage, ...]
    measure: str
    further_measures: tuple[str, ...] | None = None
    race: RaceRules | None = None
    budget: str | None = None
    jobs: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SummaryRequest(Request):
    """What `summarise` depends on.

    Attributes
    ----------
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of all intervals, such as 0.95.
    objectives : Objectives or None
        Where more than the best mean of one measure decides.
    """

    measure: str
    confidence: float
    objectives: Objectives | None = None


@dataclass(frozen=True)
class ComparisonRequest(Request):
    """What `select_best` and `compare_configurations` depend on, besides tables and predictions.

    Attributes
    ----------
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of all intervals, such as 0.95.
    space : mapping
        The section `search.space`.
    function : str or None
        Reference of the measure's function, if it is one of the user's own.
    threshold : float or None
        As in :class:`Conditions`.
    objectives : Objectives or None
        Where more than the best mean of one measure decides.
    """

    measure: str
    confidence: float
    space: Mapping[str, Any]
    function: str | None = None
    threshold: float | None = None
    objectives: Objectives | None = None

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return positive_from(self.threshold)


@dataclass(frozen=True)
class NestedFold:
    """The jobs of an outer fold.

    Attributes
    ----------
    name : str
        As ``o0f1``.
    score : str
        The job that trains the winner and scores it.
    search : tuple of str
        The training jobs of its search.
    """

    name: str
    score: str
    search: tuple[str, ...]


@dataclass(frozen=True)
class NestedRequest(Request):
    """What `estimate_nested` depends on, besides tables and stage files.

    Attributes
    ----------
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of all intervals, such as 0.95.
    folds : tuple of NestedFold
    function : str or None
        Reference of the measure's function, if it is one of the user's own.
    threshold : float or None
        As in :class:`Conditions`.
    further_measures : tuple of str or None
        As in :class:`CollectRequest`.
    """

    measure: str
    confidence: float
    folds: tuple[NestedFold, ...]
    function: str | None = None
    threshold: float | None = None
    further_measures: tuple[str, ...] | None = None

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return positive_from(self.threshold)


@dataclass(frozen=True)
class BaselinesRequest(Request):
    """What `fit_baselines` depends on, besides data and splits.

    Attributes
    ----------
    names : tuple of str
        The baselines that are wanted.
    problem : str
        ``problem.type``.
    splits : tuple of str
        Those on which configurations are compared in the end.
    scale_targets : str
        ``data.scale_targets``: several outputs are scored on the scale of training.
    missing : mapping
        What becomes of missing values, as far as the study says so.
    min_frequency : int
        ``data.min_frequency``.
    seed : int
        Of the draw of samples where all would take too long.
    versions : mapping of str to str
        Versions of the packages that decide numbers.
    own_measures : mapping of str to OwnMeasure, or None
    threshold : float or None
        As in :class:`Conditions`.
    """

    names: tuple[str, ...]
    problem: str
    splits: tuple[str, ...]
    scale_targets: str
    missing: Mapping[str, Any]
    min_frequency: int
    seed: int
    versions: Mapping[str, str]
    own_measures: Mapping[str, OwnMeasure] | None = None
    threshold: float | None = None

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return positive_from(self.threshold)

    @property
    def own_functions(self) -> dict[str, str]:
        """The references of the measures of the user's own, by their names."""
        return {name: own.function for name, own in (self.own_measures or {}).items()}


@dataclass(frozen=True)
class ComparedBaselinesRequest(Request):
    """What `compare_baselines` depends on, besides tables.

    Attributes
    ----------
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of all intervals, such as 0.95.
    problem : str
        ``problem.type``.
    """

    measure: str
    confidence: float
    problem: str


@dataclass(frozen=True)
class ScalingCase:
    """A configuration of a scaling study.

    Attributes
    ----------
    config_id : str
    case : str
        Id of the configuration without its devices; equal ones are compared.
    series : str
        Values of the other axes, in one line.
    backend : str
        ``training.distribution.backend``, or ``single``.
    """

    config_id: str
    case: str
    series: str
    backend: str


@dataclass(frozen=True)
class ScalingRequest(Request):
    """What `measure_scaling` depends on, besides the tables.

    Attributes
    ----------
    configurations : tuple of ScalingCase
    """

    configurations: tuple[ScalingCase, ...]


# -- final model and report ------------------------------------------------------------------------


@dataclass(frozen=True)
class FinalRequest(Request):
    """What `train_final`, `fit_ensemble` and `fit_final` depend on, besides what was selected.

    Attributes
    ----------
    conditions : Conditions
    study : str
        Name of the study.
    measure : str
        What configurations are ranked by.
    confidence : float
        Level of all intervals, such as 0.95.
    splits : tuple of str
        Splits whose models make the ensemble; none without one.
    further_measures : tuple of str or None
        As in :class:`CollectRequest`.
    by_time : bool or None
        True where the test set is the last stretch of time, else None.
    """

    conditions: Conditions
    study: str
    measure: str
    confidence: float
    splits: tuple[str, ...] = ()
    further_measures: tuple[str, ...] | None = None
    by_time: bool | None = None


@dataclass(frozen=True)
class ReportRequest(Request):
    """What the figures and the report depend on, besides the tables.

    Attributes
    ----------
    study : mapping
        The whole study, defaults filled in.
    files : tuple of str
        The study files.
    configurations : int
        Configurations that the strategy has drawn.
    duplicates : tuple of mapping
        Points of the space that are left out, since another one is the same.
    measure : str
        What configurations are ranked by.
    splits : tuple of str
    command : str or None
        What runs the study, if it is more than Snakemake with the files.
    objectives : Objectives or None
        Where more than the best mean of one measure decides.
    """

    study: Mapping[str, Any]
    files: tuple[str, ...]
    configurations: int
    duplicates: tuple[Mapping[str, Any], ...]
    measure: str
    splits: tuple[str, ...]
    command: str | None = None
    objectives: Objectives | None = None

    @property
    def positive_from(self) -> float:
        """From which probability on a sample of a binary problem is predicted as positive."""
        return threshold_in(self.study["problem"])


@dataclass(frozen=True)
class NotebookRequest(Request):
    """What `run_notebook` depends on, besides the tables.

    Attributes
    ----------
    study : str
        Name of the study.
    notebook : str
        File of the notebook.
    code : str
        Digest of its cells.
    """

    study: str
    notebook: str
    code: str
