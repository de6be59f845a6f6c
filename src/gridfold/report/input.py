"""What the report is made of: the results of a study, its figures, and the sections of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold.audit.finding import Audit
from gridfold.data.description import DataDescription
from gridfold.data.manifest import Manifest
from gridfold.paths import StudyPaths
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stopping import StopDecision, last_decision
from gridfold.requests import ReportRequest, SummaryRequest
from gridfold.search.budget import BudgetOutcome
from gridfold.statistics.explored import Explored, explored
from gridfold.statistics.finished import StudyResults
from gridfold.statistics.result import Comparison
from gridfold.store.chance import ChanceLevel
from gridfold.store.model_card import ModelCard
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection
from gridfold.tables.trials import StudyTables, read_table

BESIDE = StudyPaths(Path())
"""Links in the report are relative to it, so that the folder can be moved or published."""


@dataclass(frozen=True)
class FigureFile:
    """A figure as it lies on disk.

    Attributes
    ----------
    svg, png : Path
    caption, alt : str
    """

    svg: Path
    png: Path
    caption: str
    alt: str


def read_figures(words: Iterable[Path]) -> dict[str, FigureFile]:
    """Return the figures that lie beside their words, ``<name>.json``."""
    return {
        file.stem: FigureFile(
            file.with_suffix(".svg"),
            file.with_suffix(".png"),
            **json.loads(file.read_text(encoding="utf-8")),
        )
        for file in words
    }


@dataclass(frozen=True)
class ReportInput:
    """What sections of the report are written from.

    Attributes
    ----------
    request : ReportRequest
    tables : StudyTables
    jobs : DataFrame
        :func:`gridfold.tables.jobs.job_table`.
    best : Selection
    card : ModelCard
    manifest : Manifest
    data : DataDescription
    figures : mapping of str to FigureFile
        By the names in :data:`gridfold.figures.study.FIGURES`.
    scaling : DataFrame, optional
        The scaling table, of a study that compares world sizes.
    classes : DataFrame, optional
        Scores of each class, of a study that predicts classes.
    search, search_trials : DataFrame, optional
        The path of a search in stages, :func:`gridfold.search.tables.collect_search`.
    race : DataFrame, optional
        What a race over the splits has left behind, where there was one.
    feature_importance : DataFrame, optional
        What each feature is worth to the final model; without rows where that was not measured.
    comparison : Comparison, optional
        Without it, the page has no section on it.
    audit : Audit, optional
        What was found about data and splits; without it, the page has no section on it.
    baselines : DataFrame, optional
        As of :func:`gridfold.baselines.comparison.compare_baselines`, where the study wants some.
    chance : ChanceLevel, optional
        Where the study measures it.
    budget : BudgetOutcome, optional
        Of a search with a budget.
    left_out : DataFrame, optional
        :func:`gridfold.search.budget.left_out_table`, likewise.
    stopping : StopDecision, optional
        Why the search stopped or not, where the study lets it.
    nested : NestedEstimate, optional
        Where the study has outer folds.
    outer_folds : DataFrame, optional
        As of :func:`gridfold.search.nested.nested_table`, with `nested`.
    pareto : DataFrame, optional
        As of :func:`gridfold.statistics.front.pareto_table`, of a study with several objectives,
        constraints, or a rule that selects.
    """

    request: ReportRequest
    tables: StudyTables
    jobs: pd.DataFrame
    best: Selection
    card: ModelCard
    manifest: Manifest
    data: DataDescription
    figures: Mapping[str, FigureFile]
    scaling: pd.DataFrame | None = None
    classes: pd.DataFrame | None = None
    search: pd.DataFrame | None = None
    search_trials: pd.DataFrame | None = None
    race: pd.DataFrame | None = None
    feature_importance: pd.DataFrame | None = None
    comparison: Comparison | None = None
    audit: Audit | None = None
    baselines: pd.DataFrame | None = None
    chance: ChanceLevel | None = None
    budget: BudgetOutcome | None = None
    left_out: pd.DataFrame | None = None
    stopping: StopDecision | None = None
    nested: NestedEstimate | None = None
    outer_folds: pd.DataFrame | None = None
    pareto: pd.DataFrame | None = None

    @classmethod
    def read(
        cls,
        request: ReportRequest,
        paths: StudyPaths,
        words: Iterable[Path],
        stages: Iterable[Path] = (),
        *,
        with_scaling: bool,
        with_classes: bool,
        with_baselines: bool,
        with_chance: bool,
        with_race: bool,
        with_nested: bool,
    ) -> ReportInput:
        """Read what the report is written from.

        Parameters
        ----------
        request : ReportRequest
        paths : StudyPaths
        words : iterable of Path
            Of the figures that are shown.
        stages : iterable of Path
            Files of all stages, of a search that may stop.
        with_scaling : bool
            Whether the study compares world sizes; one that did so before may have left the table.
        with_classes : bool
            Whether the study predicts classes.
        with_baselines : bool
            Whether the study wants baselines.
        with_chance : bool
            Whether it measures the chance level.
        with_race : bool
            Whether configurations race over the splits.
        with_nested : bool
            Whether it has outer folds.
        """
        found = StudyResults.read(paths)
        has_budget = request.study["search"].get("budget") is not None
        return cls(
            request,
            found.tables,
            jobs=read_table(paths.table("jobs")),
            best=found.answer.best,
            card=found.answer.card,
            manifest=found.manifest,
            data=DataDescription.read(paths.description),
            figures=read_figures(words),
            scaling=read_table(paths.table("scaling")) if with_scaling else None,
            classes=read_table(paths.table("classes")) if with_classes else None,
            search=read_table(paths.table("search")),
            search_trials=read_table(paths.table("search_trials")),
            race=read_table(paths.table("race")) if with_race else None,
            feature_importance=read_table(paths.final_model.importance),
            comparison=found.comparison,
            audit=Audit.read(paths.audit),
            baselines=read_table(paths.table("baselines")) if with_baselines else None,
            chance=ChanceLevel.read(paths.chance) if with_chance else None,
            budget=BudgetOutcome.read(paths) if has_budget else None,
            left_out=read_table(paths.table("left_out")) if has_budget else None,
            stopping=last_decision(StageFile.read(file).decision for file in stages),
            nested=NestedEstimate.read(paths.nested) if with_nested else None,
            outer_folds=read_table(paths.table("nested")) if with_nested else None,
            pareto=None if request.objectives is None else read_table(paths.table("pareto")),
        )

    @property
    def all_trials(self) -> pd.DataFrame:
        """What was trained: also what a search in stages has left behind, each trial once."""
        if self.search_trials is None:
            return self.tables.trials
        return self.search_trials.drop_duplicates(["config_id", "split"], keep="last")

    @cached_property
    def explored(self) -> Explored | None:
        """What axes are judged by, where a search left most configurations behind."""
        if self.search_trials is None:
            return None
        summary = SummaryRequest(self.request.measure, self.study["report"]["confidence"])
        return explored(self.tables.trials, self.search_trials, summary)

    @property
    def study(self) -> Mapping[str, Any]:
        """The resolved study."""
        return self.request.study


@dataclass(frozen=True)
class ReportSection:
    """One section of the page.

    Attributes
    ----------
    name : str
        Its id in the page, and its files in ``report/sections``: ``<name>.py``,
        ``<name>.html.j2`` and, where it needs them, ``<name>.css`` and ``<name>.js``.
    title : str
        In the list of sections: a word or two.
    heading : str
    content : mapping
        What its template is rendered with, beside `figures` and the macros.
    """

    name: str
    title: str
    heading: str
    content: Mapping[str, Any]


WriteSection = Callable[[ReportInput], ReportSection | None]
"""Returns a section, or None for a study that has nothing to say in it."""
