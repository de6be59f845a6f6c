"""The report's section on the comparison, and what the rule writes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from comparing import compared
from pages import EVIL, Page
from synthetic import Finished

from gridfold.figures import comparison as comparisonfigures
from gridfold.figures import study as figures
from gridfold.figures.comparison import FIGURES, groups_of_equals
from gridfold.paths import StudyPaths
from gridfold.report import input
from gridfold.report import page as report
from gridfold.report.sections import comparison as reportcomparison
from gridfold.statistics.pairwise import COMPARISON_COLUMNS
from gridfold.statistics.ranks import RankTest
from gridfold.statistics.result import Comparison
from gridfold.statistics.scientific import SCIENTIFIC_COLUMNS
from gridfold.store.selection import SelectionFacts

SPACE = {
    "mlp.units": [4, 8, 16],
    "training.learning_rate": {"grid": [0.001, 0.01], "role": "nuisance"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Comparison]:
    return compared(tmp_path_factory.mktemp("study"), space=SPACE, folds=10)


def input_of(study: Finished, comparison: Comparison, folder: Path) -> input.ReportInput:
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>'
    (folder / "x.svg").write_text(empty)
    nothing = input.FigureFile(folder / "x.svg", folder / "x.svg", "a caption", "a text")
    return input.ReportInput(
        study.request,
        study.tables,
        jobs=study.jobs,
        best=study.best,
        card=study.card,
        manifest=study.manifest,
        data=study.data,
        figures=dict.fromkeys((*figures.FIGURES, *FIGURES), nothing),
        comparison=comparison,
    )


def page_of(study: Finished, comparison: Comparison, folder: Path) -> Page:
    return Page(report.render(input_of(study, comparison, folder)))


def words(study: Finished, comparison: Comparison, folder: Path) -> str:
    section = reportcomparison.comparison(input_of(study, comparison, folder))
    assert section is not None
    return " ".join(section.content["sentences"])


def test_three_estimates_stand_side_by_side(
    study: tuple[Finished, Comparison], tmp_path: Path
) -> None:
    finished, comparison = study
    text = page_of(finished, comparison, tmp_path).section("comparison")
    for estimate in ("As selected", "Corrected for the selection", "Held-out test set"):
        assert estimate in text
    assert "mean over 10 splits" in text
    assert "6 configurations, 500 bootstrap samples of 60 samples" in text
    assert "12 samples, scored once" in text


def test_a_score_that_is_quoted_as_selected_has_the_interval_that_is_quoted(
    study: tuple[Finished, Comparison], tmp_path: Path
) -> None:
    finished, comparison = study
    facts = SelectionFacts.without("The rule is not repeated.", 0.1125, 0.9575)
    uncorrected = replace(comparison, facts=replace(comparison.facts, selection=facts))
    best = replace(finished.best, estimate=facts)
    page = page_of(replace(finished, best=best), uncorrected, tmp_path)
    assert "The rule is not repeated." in page.section("comparison")
    assert re.search(r"As selected \S+ 0\.11\S* to 0\.9[56]\S* mean", page.section("comparison"))


def test_every_comparison_is_in_the_table_with_its_interval(
    study: tuple[Finished, Comparison], tmp_path: Path
) -> None:
    finished, comparison = study
    page = page_of(finished, comparison, tmp_path)
    text = page.section("comparison")
    for label in comparison.comparisons["label"].iloc[1:]:
        assert label in text
    names = {e.attributes.get("href") for e in page.all("a")}
    assert {f"tables/{n}.csv" for n in ("comparisons", "scientific", "importance")} <= names


def test_with_five_splits_the_report_says_what_no_test_can_find(tmp_path: Path) -> None:
    text = words(*compared(tmp_path, space=SPACE, folds=5), tmp_path)
    assert "Wilcoxon’s signed-rank test can’t reach significance" in text
    assert "smallest p-value is 0.0625, above 0.05" in text
    assert "Friedman’s test can’t find differences here, however large" in text


def test_clear_differences_are_significant_by_the_strictest_count(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, space={"mlp.units": [4, 8]}, folds=10, fade=2.5)
    assert "1 of 1 comparison with the selected configuration is significant" in words(
        study, comparison, tmp_path
    )


def test_one_configuration_has_nothing_to_compare(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, space={"mlp.units": [4]})
    text = page_of(study, comparison, tmp_path).section("comparison")
    assert "nothing was selected" in text
    assert "Compared with" not in text


def test_one_split_has_no_test(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, folds=1)
    text = page_of(study, comparison, tmp_path).section("comparison")
    assert "No test can tell the configurations apart: that takes two splits" in text
    assert comparison.facts.ranks == []


def test_a_study_that_lost_a_trial_of_every_configuration_still_has_a_report(
    tmp_path: Path,
) -> None:
    failed = dict.fromkeys(range(0, 20, 5), "loss is nan")
    study, comparison = compared(tmp_path, failed=failed)
    text = page_of(study, comparison, tmp_path).section("comparison")
    assert "No configuration finished all its trials" in text
    assert comparison.comparisons.empty


def test_what_stands_in_labels_is_text(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, labels=EVIL, space={"mlp.units": [4, 8, 16, 32]})
    page = page_of(study, comparison, tmp_path)
    assert all(label in page.by_id("comparison").text for label in EVIL[1:])
    assert not [e for e in page.all("script") if "section" in e.inside]


def test_tables_have_the_columns_that_are_documented(
    study: tuple[Finished, Comparison], tmp_path: Path
) -> None:
    _, comparison = study
    paths = StudyPaths(tmp_path)
    comparison.write(paths)
    for name, columns in (("comparisons", COMPARISON_COLUMNS), ("scientific", SCIENTIFIC_COLUMNS)):
        documented = [part for column in columns for part in column.name.split(", ")]
        assert list(pd.read_csv(paths.table_csv(name)).columns) == documented
    again = Comparison.read(paths)
    assert again.facts == comparison.facts
    pd.testing.assert_frame_equal(again.comparisons, comparison.comparisons)


def test_bars_join_ranks_that_do_not_differ_and_no_others() -> None:
    ranks = {"a": 1.0, "b": 1.5, "c": 2.6, "d": 4.0}
    test = RankTest(ranks, 10, 1.0, 0.5, 1.0, critical_difference=1.3, alpha=0.05)
    assert groups_of_equals(test) == [(1.0, 1.5), (1.5, 2.6)]
    assert groups_of_equals(replace(test, critical_difference=4.0)) == [(1.0, 4.0)]
    assert groups_of_equals(replace(test, critical_difference=0.1)) == []


def test_figures_say_what_there_is_to_see(
    study: tuple[Finished, Comparison], tmp_path: Path
) -> None:
    drawings = comparisonfigures.draw_comparison(study[1])
    ranks, importance = drawings["critical_difference"], drawings["importance"]
    assert "All 6 configurations: mean ranks from" in ranks.alt
    assert "The best configuration at each value of mlp.units" in ranks.alt
    assert "all configurations:" in importance.alt
    figures.save_all(drawings, tmp_path)
    assert set(input.read_figures(tmp_path.glob("*.json"))) == set(FIGURES)
