"""What the report says of baselines and of the chance level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import Page
from synthetic import Finished, finished

from gridfold.baselines.comparison import compare_baselines
from gridfold.report import input
from gridfold.report import page as report
from gridfold.report.sections import baselines as section
from gridfold.report.sections.cautions import cautions
from gridfold.requests import ComparedBaselinesRequest
from gridfold.store.chance import ChanceLevel


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("study"), folds=5)


def table_of(study: Finished, folds: int = 5, fitted: int = 4000, **shifts: Any) -> pd.DataFrame:
    """Return the table of baselines whose scores are those of the winner, shifted."""
    best = study.best
    own = study.trials[study.trials["config_id"] == best.config_id].head(folds)
    fits = [
        own.assign(
            baseline=name,
            reason="",
            n_fitted=fitted,
            status="finished" if np.isfinite(shift).all() else "failed",
            **{best.measure: own[best.measure].to_numpy() + shift},
        )
        for name, shift in shifts.items()
    ]
    joined = pd.concat(fits, ignore_index=True)
    joined.loc[joined["status"] == "failed", "reason"] = "one class"
    request = ComparedBaselinesRequest(best.measure, best.confidence, "multiclass")
    return compare_baselines(request, joined, own, best.config_id)


def input_of(study: Finished, folder: Path, **more: Any) -> input.ReportInput:
    (folder / "x.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>'
    )
    nothing = input.FigureFile(folder / "x.svg", folder / "x.svg", "a caption", "a text")
    names = ("learning_curves", "hyperparameters", "pairs", "parallel", "scores", "errors")
    return input.ReportInput(
        study.request,
        study.tables,
        jobs=study.jobs,
        best=study.best,
        card=study.card,
        manifest=study.manifest,
        data=study.data,
        figures=dict.fromkeys(names, nothing),
        **more,
    )


def sentence(study: Finished, table: pd.DataFrame | None) -> str:
    return " ".join(section.against_the_best(table, study.best))


JITTER = np.array([0.004, -0.004, 0.002, -0.002, 0.0])


def test_a_clear_lead_is_more_than_chance(study: Finished) -> None:
    said = sentence(study, table_of(study, linear=-0.05 + JITTER, constant=-0.5))
    assert "better than the best baseline, logistic regression, by 0.05" in said
    assert "95% interval [0.04" in said
    assert said.endswith("more than chance explains.")


def test_a_lead_within_its_interval_is_not_shown(study: Finished) -> None:
    said = sentence(study, table_of(study, linear=-0.001 + 5 * JITTER))
    assert "better than the best baseline" in said
    assert said.endswith("not shown to be better.")


def test_a_baseline_that_is_better_is_said_to_be(study: Finished, tmp_path: Path) -> None:
    table = table_of(study, gradient_boosting=0.03 + JITTER)
    said = sentence(study, table)
    assert said.startswith("The best baseline, gradient boosting, is better by 0.03")
    assert said.endswith("more than chance explains.")
    found = cautions(input_of(study, tmp_path, baselines=table)).content["cautions"]
    said = next(c.sentence for c in found if "at least as good" in c.sentence)
    assert "gradient boosting" in said


def test_equals_are_not_shown_to_be_better(study: Finished, tmp_path: Path) -> None:
    table = table_of(study, linear=0.0)
    assert "equals the best baseline" in sentence(study, table)
    assert "not shown" in sentence(study, table)
    found = cautions(input_of(study, tmp_path, baselines=table)).content["cautions"]
    assert any("at least as good" in caution.sentence for caution in found)


def test_one_split_has_no_test(study: Finished) -> None:
    said = sentence(study, table_of(study, folds=1, linear=-0.05))
    assert "on 1 split: no test can tell" in said


def test_a_baseline_on_a_part_of_the_samples_is_told(study: Finished) -> None:
    said = sentence(study, table_of(study, fitted=500, linear=-0.05))
    assert "fitted on 500 of 4,000 training samples" in said


def test_baselines_without_a_score_are_told(study: Finished, tmp_path: Path) -> None:
    table = table_of(study, linear=np.nan)
    assert "No baseline has a score" in sentence(study, table)
    page = Page(report.render(input_of(study, tmp_path, baselines=table)))
    assert "one class" in page.section("baselines")


def test_without_baselines_nothing_is_said(study: Finished, tmp_path: Path) -> None:
    assert sentence(study, None) == ""
    assert section.baselines(input_of(study, tmp_path)) is None


def test_the_section_has_a_row_for_each(study: Finished, tmp_path: Path) -> None:
    table = table_of(study, linear=-0.05 + JITTER, constant=-0.5 + JITTER)
    text = Page(report.render(input_of(study, tmp_path, baselines=table))).section("baselines")
    for words in (
        "logistic regression",
        "the majority class",
        "none is ever selected",
        "baseline_fits.csv",
    ):
        assert words in text


LEVEL = ChanceLevel(
    "abc", "accuracy", "r0f0", "samples", 0.33, 0.28, 0.39, 0.5, 199, 4000, 1000, 2.0
)


def test_the_chance_level_stands_in_the_answer(study: Finished, tmp_path: Path) -> None:
    page = Page(report.render(input_of(study, tmp_path, chance=LEVEL)))
    text = page.section("answer")
    assert "Chance level" in text
    assert "0.33" in text
    assert "permuted" not in page.section("cautions")


def test_a_score_above_chance_is_a_warning(study: Finished, tmp_path: Path) -> None:
    level = replace(LEVEL, score=0.6, p_value=0.005)
    found = cautions(input_of(study, tmp_path, chance=level)).content["cautions"]
    assert any("has seen the labels" in caution.sentence for caution in found)


def test_why_there_is_no_chance_level_is_said(study: Finished, tmp_path: Path) -> None:
    level = replace(LEVEL, score=None, low=None, high=None, p_value=None, obstacle="it diverged")
    text = Page(report.render(input_of(study, tmp_path, chance=level))).section("answer")
    assert "could not be measured: it diverged" in text
