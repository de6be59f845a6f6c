"""What each job of a plan must know; asked by the rules."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from gridfold.canonical import case_id
from gridfold.plan.budget import Limit
from gridfold.plan.fingerprint import own_measures, training_code_digest
from gridfold.plan.plan import Plan
from gridfold.plan.stage_names import SCORE, stage_of, step_of
from gridfold.plan.stages import confirming_plan, stopping_rule, training_fractions
from gridfold.problems import Measure, asks_for_data, depends_on_threshold
from gridfold.requests import (
    AuditRequest,
    BaselinesRequest,
    ChoiceRequest,
    CollectedStage,
    CollectRequest,
    ComparedBaselinesRequest,
    ComparisonRequest,
    Conditions,
    DataRequest,
    FinalRequest,
    GateRequest,
    NestedFold,
    NestedRequest,
    NotebookRequest,
    Objectives,
    RaceRules,
    Refinement,
    ReportRequest,
    RungsRequest,
    ScalingCase,
    ScalingRequest,
    SplitsRequest,
    SummaryRequest,
    TrainRequest,
    TuneRequest,
    WantedConfiguration,
)
from gridfold.space.space import Space, shown_value
from gridfold.space.starting_points import start_points
from gridfold.study.command import run_command
from gridfold.study.monitors import inner_fractions, monitors
from gridfold.study.objectives import measured_costs, named_measures, objectives_of
from gridfold.study.request import sections_of
from gridfold.study.sections.resampling import ORDERED_METHODS, split_names
from gridfold.study.sections.search import HyperbandStrategy
from gridfold.study.sections.tuner import KerasTunerStrategy
from gridfold.usercode import notebooks
from gridfold.usercode.digests import code_digest
from gridfold.usercode.functions import split_reference


class JobRequests:
    """What the jobs of a plan must know, one method for each kind of job.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._study = plan, plan.study

    def data(self) -> DataRequest:
        """Return what `prepare_data` depends on."""
        data = self._study.data
        own = code_digest(split_reference(data.function)[0]) if data.source == "python" else ""
        problem = self._study.problem
        stopping = (name for _, name in monitors(self._study.training, self._study.search))
        named = dict.fromkeys((*named_measures(problem, self._study.search), *stopping))
        return DataRequest(
            data.model_dump(exclude={"test_fraction", "normalise"}),
            problem.type,
            self._plan.content,
            own,
            problem.positive,
            tuple(name for name in named if asks_for_data(name)) or None,
        )

    def splits(self) -> SplitsRequest:
        """Return what `make_splits` depends on."""
        study = self._study
        measure = study.problem.ranking_measure
        outer = study.resampling.outer
        return SplitsRequest(
            study.resampling.model_dump(exclude={"outer"}),
            study.data.test_fraction,
            study.data.test_seed,
            study.problem.is_classification,
            tuple(training_fractions(study)),
            confirming_plan(study),
            measure if Measure.of(measure).needs_two_values else None,
            tuple(inner_fractions(study.training, study.search)) or None,
            None if outer is None else outer.model_dump(),
        )

    def audit(self) -> AuditRequest:
        """Return what `audit_data` depends on, besides data and splits."""
        study = self._study
        return AuditRequest(study.resampling.method, study.problem.ranking_measure)

    def gate(self) -> GateRequest:
        """Return what `require_audit` depends on, besides the findings."""
        asked = self._study.audit
        return GateRequest(asked.fail_on or "error", tuple(sorted(asked.accept)))

    @cached_property
    def conditions(self) -> Conditions:
        """What every training depends on, whatever its trials."""
        training, execution = self._study.training, self._study.execution
        threshold = self._study.problem.other_threshold
        return Conditions(
            training_code_digest(self._study),
            self._plan.versions,
            training.steps_per_execution,
            training.checkpoint_every,
            execution.threads_per_worker,
            execution.in_memory_mb,
            self._study.final.loadable,
            own_measures(self._study) or None,
            threshold,
            (threshold is not None and self._objective_follows_threshold()) or None,
            measured_costs(self._study.problem, self._study.search) or None,
            execution.share_process,
        )

    def _objective_follows_threshold(self) -> bool:
        """Tell whether a tuner is told what is followed in training and depends on the threshold.

        What it is told of measures is scored anew.
        """
        study = self._study
        strategy = study.search.strategy
        return isinstance(strategy, KerasTunerStrategy) and any(
            name.startswith("val_") and depends_on_threshold(study.problem.type, name)
            for name in strategy.objectives
        )

    def train(self, shard: str) -> TrainRequest:
        """Return what the training job of a shard depends on; of a slot, besides its stage."""
        failed_trials = self._study.execution.failed_trials
        if shard not in self._plan.ledger.shards:
            size = self._plan.stage(stage_of(shard)).trials_per_job
            return TrainRequest(self.conditions, failed_trials, trials_per_job=size)
        members = self._plan.members(shard)
        return TrainRequest(
            self.conditions,
            failed_trials,
            tuple(str(trial) for trial, _ in members),
            {c.id: WantedConfiguration(c.settings, c.epochs) for _, c in members},
        )

    def choice(self, name: str) -> ChoiceRequest:
        """Return what `choose` depends on, besides the stages before."""
        stage, study = self._plan.stage(name), self._study
        base = step_of(name)
        if base not in (name, SCORE):
            # As in the study's own search, on the splits of an outer fold.
            return replace(self.choice(base), stage=name, splits=stage.splits)
        drawn, refinement = self._plan.drawn(stage), None
        if name.startswith("refine"):
            refine = study.search.refine
            assert refine is not None
            # Each round looks nearer.
            step = refine.step * refine.shrink ** (int(name.removeprefix("refine")) - 1)
            refinement = Refinement(refine.top, step, refine.swap, sections_of(study))
        return ChoiceRequest(
            name,
            stage.splits,
            study.problem.ranking_measure,
            stage.max_configurations,
            study.training.epochs,
            stage.epochs,
            None if drawn is None else drawn.configurations,
            refinement,
            # What is drawn depends on no score.
            self._objectives if drawn is None else None,
            self._race_rules if stage.continues else None,
            stopping_rule(study) if stage.is_drawn and stage.sources else None,
            (base == SCORE) or None,
        )

    def rungs(self) -> RungsRequest:
        """Return what the jobs of an asynchronous Hyperband depend on."""
        study, strategy = self._study, self._study.search.strategy
        assert isinstance(strategy, HyperbandStrategy), "others have no rungs"
        return RungsRequest(
            self.conditions,
            study.execution.failed_trials,
            study.problem.ranking_measure,
            study.training.epochs,
            strategy.factor,
            self._plan.rungs_jobs.trials,
            strategy.brackets,
        )

    @property
    def _race_rules(self) -> RaceRules | None:
        race = self._study.search.race
        if race is None:
            return None
        return RaceRules(len(split_names(self._study.resampling)), race.risk)

    def tune(self) -> TuneRequest:
        """Return what a search with Keras Tuner or Optuna depends on."""
        return TuneRequest(
            self.conditions,
            sections_of(self._study),
            tuple(self._plan.splits),
            tuple(start_points(Space.of(self._study))),
            stopping_rule(self._study),
        )

    def collect(self) -> CollectRequest:
        """Return what `collect` depends on, besides the files of stages and shards."""
        plan = self._plan
        stages = (
            CollectedStage(s.name, s in plan.answering_stages, tuple(plan.shards_of(s)))
            for s in plan.stages
        )
        problem, budget = self._study.problem, self._study.search.budget
        return CollectRequest(
            tuple(stages),
            problem.ranking_measure,
            named_measures(problem, self._study.search) or None,
            self._race_rules,
            None if budget is None else str(Limit.of(budget)),
            tuple(plan.training_jobs) if plan.is_asynchronous else None,
        )

    def nested(self) -> NestedRequest:
        """Return what `estimate_nested` depends on, besides tables and files of stages."""
        plan, problem = self._plan, self._study.problem
        return NestedRequest(
            problem.ranking_measure,
            self._study.report.confidence,
            tuple(
                NestedFold(
                    fold.name,
                    fold.score.slots[0],
                    tuple(shard for stage in fold.search for shard in plan.shards_of(stage)),
                )
                for fold in plan.outer_folds
            ),
            problem.own_measures.get(problem.ranking_measure),
            problem.other_threshold,
            problem.further_measures or None,
        )

    def summary(self) -> SummaryRequest:
        """Return what `summarise` depends on."""
        study = self._study
        return SummaryRequest(
            study.problem.ranking_measure, study.report.confidence, self._objectives
        )

    @cached_property
    def _objectives(self) -> Objectives | None:
        """What is wanted of a configuration besides the best mean of one measure, if anything."""
        return objectives_of(self._study.problem, self._study.search)

    def comparison(self) -> ComparisonRequest:
        """Return what `select_best` and `compare_configurations` depend on, besides tables."""
        study = self._study
        return ComparisonRequest(
            study.problem.ranking_measure,
            study.report.confidence,
            {
                name: axis.model_dump(mode="json", by_alias=True)
                for name, axis in study.search.space.items()
            },
            study.problem.own_measures.get(study.problem.ranking_measure),
            study.problem.other_threshold,
            self._objectives,
        )

    def baselines(self) -> BaselinesRequest:
        """Return what `fit_baselines` depends on, besides data and splits."""
        study = self._study
        fitted = study.data.preprocessing()
        return BaselinesRequest(
            study.report.wanted_baselines,
            study.problem.type,
            tuple(self._plan.answering_splits),
            study.data.scale_targets,
            fitted.get("missing", {}),
            fitted.get("min_frequency", 1),
            study.data.test_seed,
            self._plan.versions,
            own_measures(study) or None,
            study.problem.other_threshold,
        )

    def compared_baselines(self) -> ComparedBaselinesRequest:
        """Return what `compare_baselines` depends on, besides tables."""
        problem = self._study.problem
        return ComparedBaselinesRequest(
            problem.ranking_measure, self._study.report.confidence, problem.type
        )

    def scaling(self) -> ScalingRequest:
        """Return what `measure_scaling` depends on, besides the tables."""
        cases = []
        for configuration in self._plan.configurations:
            parallel = configuration.settings["training"].get("distribution")
            values = (
                f"{name.rpartition('.')[2]}={shown_value(value)}"
                for name, value in configuration.axes.items()
                if name != "model" and not name.startswith("training.distribution.")
            )
            cases.append(
                ScalingCase(
                    configuration.id,
                    case_id(configuration.settings),
                    " ".join(values),
                    parallel["backend"] if parallel else "single",
                )
            )
        return ScalingRequest(tuple(cases))

    def final(self) -> FinalRequest:
        """Return what `train_final` and `fit_final` depend on, besides what was selected."""
        study = self._study
        return FinalRequest(
            self.conditions,
            study.study,
            study.problem.ranking_measure,
            study.report.confidence,
            further_measures=named_measures(study.problem, study.search) or None,
            by_time=study.resampling.method in ORDERED_METHODS or None,
        )

    def ensemble(self) -> FinalRequest:
        """Return what `fit_ensemble` depends on, besides what was selected."""
        return replace(self.final(), splits=tuple(self._plan.answering_splits))

    def permuted(self) -> FinalRequest:
        """Return what `train_permuted` depends on, besides what was selected."""
        return replace(self.final(), splits=tuple(self._plan.answering_splits[:1]))

    def report(self) -> ReportRequest:
        """Return what the figures and the report depend on, besides the tables."""
        plan = self._plan
        files = tuple(map(str, plan.files))
        return ReportRequest(
            self._study.model_dump(mode="json", by_alias=True),
            files,
            len(plan.configurations),
            tuple(plan.expansion.duplicates),
            self._study.problem.ranking_measure,
            tuple(plan.splits),
            None if plan.command == run_command(files) else plan.command,
            self._objectives,
        )

    def notebook(self, file: str) -> NotebookRequest:
        """Return what running the notebook `file` depends on, besides the tables."""
        return NotebookRequest(self._study.study, file, notebooks.source_digest(file))
