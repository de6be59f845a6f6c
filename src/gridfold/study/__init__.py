"""Defines what a study file may say, as one typed, closed model; nothing else defines it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from gridfold.problems import PROBLEM_KINDS, is_own_measure
from gridfold.study.sections.audit import Audit
from gridfold.study.sections.base import Section, StudyName
from gridfold.study.sections.data import Data
from gridfold.study.sections.execution import Execution
from gridfold.study.sections.final import Final
from gridfold.study.sections.model import Model
from gridfold.study.sections.problem import ProblemSection
from gridfold.study.sections.report import Report
from gridfold.study.sections.resampling import Resampling
from gridfold.study.sections.search import Search
from gridfold.study.sections.training import Training

__all__ = ["Study"]


class Study(Section):
    """One study: data, problem, models, search space, resampling, training and report."""

    study: StudyName = Field(
        description="Name of the study; its results live in `results/<study>/`."
    )
    data: Data = Field(description="Where samples come from and what is held out.")
    problem: ProblemSection = Field(description=ProblemSection.__doc__)
    model: Model = Field(description=Model.__doc__)
    training: Training = Field(default_factory=Training, description=Training.__doc__)
    search: Search = Field(default_factory=Search, description=Search.__doc__)
    resampling: Resampling = Field(
        description="How the non-test samples are split into training and validation."
    )
    execution: Execution = Field(default_factory=Execution, description=Execution.__doc__)
    final: Final = Field(default_factory=Final, description=Final.__doc__)
    audit: Audit = Field(default_factory=Audit, description=Audit.__doc__)
    report: Report = Field(default_factory=Report, description=Report.__doc__)

    @model_validator(mode="before")
    @classmethod
    def _first_objective_ranks(cls, data: Any) -> Any:
        """Let the first objective be the measure that ranks, where the study names no other."""
        if not isinstance(data, dict):
            return data
        search, problem = data.get("search"), data.get("problem")
        if not isinstance(search, dict) or not isinstance(problem, dict):
            return data
        named = search.get("objectives")
        first = named[0] if isinstance(named, list) and named else None
        kind = PROBLEM_KINDS.get(str(problem.get("type")))
        if not isinstance(first, str) or kind is None or problem.get("measure") is not None:
            return data
        if first not in kind.all_measures and not is_own_measure(first):
            return data
        return {**data, "problem": {**problem, "measure": first}}
