"""What the report says of outer folds."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from comparing import compared
from synthetic import Finished, finished

from gridfold.report import input
from gridfold.report import page as report
from gridfold.report.sections.comparison import comparison
from gridfold.report.sections.nested import nested
from gridfold.requests import NestedRequest
from gridfold.statistics.nested import nested_estimate
from gridfold.store.nested import NestedEstimate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("study"), folds=5)


def folds_of(study: Finished, *scores: float | None, units: str = "8888", **columns: Any) -> Any:
    """Return the table of outer folds; `units` has a digit for what each fold has selected."""
    own = study.best.config_id
    rows = [
        {
            "outer_fold": f"o0f{fold}",
            "config_id": own if unit == "8" else f"c{unit}",
            "label": f"mlp units={unit}",
            "as_study": unit == "8",
            "search_mean": 0.9,
            "epochs": 7,
            "n_train": 80,
            "n_validation": 20,
            "status": "failed" if score is None else "finished",
            "reason": "it <diverged>" if score is None else "",
            "trials": 11,
            "core_hours": 0.5,
            "gpu_hours": 0.0,
            "mlp.units": int(unit),
            study.best.measure: math.nan if score is None else score,
        }
        for fold, (score, unit) in enumerate(zip(scores, units, strict=False))
    ]
    return pd.DataFrame(rows).assign(**columns)


def estimate_of(study: Finished, folds: pd.DataFrame) -> NestedEstimate:
    request = NestedRequest(study.best.measure, study.best.confidence, ())
    targets = pd.Series(range(100)).to_numpy() % 2
    return nested_estimate(request, folds, targets)


def input_of(study: Finished, folder: Path, folds: pd.DataFrame | None) -> input.ReportInput:
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
        nested=None if folds is None else estimate_of(study, folds),
        outer_folds=folds,
    )


def said(study: Finished, folder: Path, folds: pd.DataFrame) -> str:
    section = nested(input_of(study, folder, folds))
    assert section is not None
    return " ".join(section.content["sentences"])


def test_a_study_without_outer_folds_has_no_section(study: Finished, tmp_path: Path) -> None:
    assert nested(input_of(study, tmp_path, None)) is None


def test_it_says_what_each_number_is_an_estimate_of(study: Finished, tmp_path: Path) -> None:
    text = said(study, tmp_path, folds_of(study, 0.80, 0.84, 0.76, 0.80))
    assert "Nested cross-validation gives accuracy 0.800 (95% interval 0.7" in text
    assert "search and training together" in text
    assert "no estimate of the one final model" in text
    assert "gave their winners 0.900 on average: 0.100 too optimistic" in text
    assert "44 trials and 2 core-hours beside those of the study's own search" in text
    corrected = "The corrected estimate above"
    assert (corrected in text) == study.best.headline.is_corrected


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("8888", "All of 4 outer folds selected the same configuration; 4 of 4 selected the one"),
        ("8844", "4 outer folds selected 2 different configurations; 2 of 4 selected the one"),
        ("4444", "selected the same configuration; 0 of 4 selected the one"),
    ],
)
def test_it_says_how_stable_the_choice_was(
    study: Finished, tmp_path: Path, units: str, expected: str
) -> None:
    text = said(study, tmp_path, folds_of(study, 0.8, 0.8, 0.8, 0.7, units=units))
    assert expected in text
    assert ("The folds differ in mlp.units (2 times 8)" in text) == (units == "8844")
    assert ("Two folds agree in 33% of all pairs" in text) == (units == "8844")


def test_folds_without_a_score_are_told_with_their_reason(study: Finished, tmp_path: Path) -> None:
    text = said(study, tmp_path, folds_of(study, 0.8, None, 0.7, math.nan))
    assert "2 outer folds of 4 without a score, left out of the estimate" in text
    assert "(o0f1: it <diverged>; on 1 the measure is not defined)" in text
    assert "over 2 outer folds" in text
    nothing = said(study, tmp_path, folds_of(study, None, None))
    assert "No outer fold has a score, so there is no nested estimate." in nothing


def test_the_page_has_the_table_and_escapes_it(study: Finished, tmp_path: Path) -> None:
    folds = folds_of(study, 0.8, None, 0.7, units="848")
    page = report.render(input_of(study, tmp_path, folds))
    assert 'id="nested"' in page
    assert "How good is the whole procedure?" in page
    assert 'href="tables/nested.csv"' in page
    assert "it &lt;diverged&gt;" in page
    assert "it <diverged>" not in page
    assert re.search(r"Outer folds, beside these.*?33 trials, 1.5 core-hours", page, re.S)
    for fold in folds["outer_fold"]:
        assert f">{fold}<" in page


def test_the_estimates_of_the_score_stand_beside_each_other(tmp_path: Path) -> None:
    study, found = compared(tmp_path, folds=4)
    folds = folds_of(study, 0.80, 0.84, 0.76, 0.80)
    rows = {}
    for with_folds in (False, True):
        given = input_of(study, tmp_path, folds if with_folds else None)
        section = comparison(replace(given, comparison=found))
        assert section is not None
        rows[with_folds] = [row[0].text for row in section.content["estimates"].rows]
    assert "Search and training, nested" in rows[True]
    assert [name for name in rows[True] if "nested" not in name] == rows[False]
