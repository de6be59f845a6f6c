"""The comparison of a whole study: what it puts together, writes, and reads again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from comparing import compared, predicted
from synthetic import Finished

from gridfold.paths import StudyPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.requests import ComparisonRequest
from gridfold.statistics.comparison import compare
from gridfold.statistics.explored import Explored
from gridfold.statistics.finished import StudyResults
from gridfold.statistics.importance import importance
from gridfold.statistics.pairwise import compare_with_selected, wilcoxon_obstacle
from gridfold.statistics.ranks import effective_blocks, rank_test
from gridfold.statistics.result import Comparison
from gridfold.statistics.scientific import scientific_values
from gridfold.statistics.scored import Scored
from gridfold.store.records import Record
from gridfold.store.selection import SelectionFacts
from gridfold.tables.trials import write
from gridfold.typed_json import DamagedRecord

SPACE = {
    "mlp.units": {"grid": [4, 8, 16], "role": "scientific"},
    "training.learning_rate": {"grid": [0.01, 0.1], "role": "scientific"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, ComparisonRequest, Scored]:
    found, plan, _ = predicted(tmp_path_factory.mktemp("study"), folds=6, space=SPACE)
    request = JobRequests(plan).comparison()
    scored = Scored.of(found.trials, found.configurations, "accuracy", 0.95)
    return found, request, scored


def comparison(
    study: tuple[Finished, ComparisonRequest, Scored],
    selection: SelectionFacts | None = None,
    search: Explored | None = None,
) -> Comparison:
    found, request, _ = study
    selection = selection or SelectionFacts.without("Too few.")
    return compare(request, found.trials, found.configurations, selection, search)


def test_its_tables_are_those_of_its_parts(
    study: tuple[Finished, ComparisonRequest, Scored],
) -> None:
    finished, request, scored = study
    found = comparison(study)
    labels = dict(
        zip(finished.configurations["config_id"], finished.configurations["label"], strict=True)
    )
    pairs = compare_with_selected(scored, labels)
    pd.testing.assert_frame_equal(found.comparisons.drop(columns="chosen"), pairs)
    pd.testing.assert_frame_equal(
        found.scientific, scientific_values(scored, finished.configurations, request.space)
    )
    assert set(found.scientific["axis"]) == set(SPACE)
    pd.testing.assert_frame_equal(
        found.importance, importance(finished.configurations, request.space, "accuracy")
    )
    facts = found.facts
    assert (facts.measure, facts.confidence, facts.explored) == ("accuracy", 0.95, None)
    assert facts.blocks == pytest.approx(effective_blocks(6, scored.ratio))
    assert facts.wilcoxon == wilcoxon_obstacle(6, 1, 5, scored.alpha)
    assert facts.wilcoxon


def test_ranks_are_of_all_configurations_and_of_the_best_at_each_value(
    study: tuple[Finished, ComparisonRequest, Scored],
) -> None:
    finished, _, scored = study
    found = comparison(study).rank_tests()
    # Of an axis with two values there is nothing that pairs don't tell.
    assert list(found) == [
        "All 6 configurations",
        "The best configuration at each value of mlp.units",
    ]
    names = finished.configurations.set_index("config_id")["label"]
    every = found["All 6 configurations"]
    assert list(every.ranks) == [
        f"{place + 1}: {names[config]}" for place, config in enumerate(scored.scores.columns)
    ]
    blocks = effective_blocks(6, scored.ratio)
    expected = rank_test(scored.scores, blocks, scored.alpha)
    assert list(every.ranks.values()) == list(expected.ranks.values())
    assert (every.blocks, every.alpha) == (expected.blocks, pytest.approx(0.05))
    assert every.p_value == expected.p_value
    axis = found["The best configuration at each value of mlp.units"]
    assert list(axis.ranks) == ["4", "8", "16"]
    rows = comparison(study).scientific.query("axis == 'mlp.units'")["config_id"]
    best = rank_test(scored.scores[rows.tolist()], blocks, scored.alpha)
    assert list(axis.ranks.values()) == list(best.ranks.values())


def test_how_often_each_is_chosen_stands_in_the_table_alone(
    study: tuple[Finished, ComparisonRequest, Scored],
) -> None:
    first, second, *_ = study[2].scores.columns
    known = SelectionFacts(0.8, 0.1, 0.7, 0.9, 60, 6, 1000, "", chosen={first: 0.7, second: 0.3})
    found = comparison(study, known)
    assert found.comparisons["chosen"].tolist() == [0.7, 0.3, 0, 0, 0, 0]
    assert found.facts.selection == replace(known, chosen={})
    unknown = comparison(study)
    assert unknown.comparisons["chosen"].isna().all()
    assert unknown.facts.selection.obstacle == "Too few."


def test_axes_are_judged_by_what_a_search_has_explored(
    study: tuple[Finished, ComparisonRequest, Scored],
) -> None:
    finished, request, _ = study
    kept = finished.configurations["config_id"].tolist()[:3]
    few = finished.configurations[finished.configurations["config_id"].isin(kept)]
    trials = finished.trials[finished.trials["config_id"].isin(kept)]
    search = Explored(finished.trials, finished.configurations, "all 6 configurations")
    found = compare(request, trials, few, SelectionFacts.without(""), search)
    alone = compare(request, trials, few, SelectionFacts.without(""))
    whole = comparison(study)
    pd.testing.assert_frame_equal(found.importance, whole.importance)
    pd.testing.assert_frame_equal(found.scientific, whole.scientific)
    pd.testing.assert_frame_equal(found.comparisons, alone.comparisons)
    assert found.facts.explored == "all 6 configurations"
    # Values were reached by other splits than those of the finalists: no ranks by value.
    assert list(found.rank_tests()) == ["All 3 configurations"]


def test_at_most_ten_configurations_and_three_axes_are_ranked(tmp_path: Path) -> None:
    names = ("mlp.units", "mlp.layers", "mlp.dropout", "training.learning_rate")
    values = ([4, 8, 16], [1, 2, 3], [0.0, 0.1, 0.2], [0.001, 0.01, 0.1])
    space = {
        name: {"grid": grid, "role": "scientific"} for name, grid in zip(names, values, strict=True)
    }
    _, found = compared(tmp_path, folds=3, space=space, fade=0.01)
    tests = found.rank_tests()
    assert list(tests) == [
        "The best 10 of 81 configurations",
        *(f"The best configuration at each value of {name}" for name in names[:3]),
    ]
    assert len(tests["The best 10 of 81 configurations"].ranks) == 10


def test_errors_are_ranked_from_the_smallest(tmp_path: Path) -> None:
    found, plan, _ = predicted(tmp_path, folds=4, space={"mlp.units": {"grid": [4, 8, 16]}})
    request = replace(JobRequests(plan).comparison(), measure="log_loss")
    ordered = found.configurations.sort_values("log_loss_mean")
    facts = compare(request, found.trials, ordered, SelectionFacts.without("")).facts
    ranks = list(facts.ranks[0].ranks.values())
    assert ranks == sorted(ranks)
    assert ranks[0] < 1.5


@pytest.mark.parametrize(("folds", "grid"), [(1, [4, 8, 16]), (4, [8])])
def test_one_split_or_one_configuration_ranks_nothing(
    folds: int, grid: list[int], tmp_path: Path
) -> None:
    found, plan, _ = predicted(tmp_path, folds=folds, space={"mlp.units": {"grid": grid}})
    facts = compare(
        JobRequests(plan).comparison(),
        found.trials,
        found.configurations,
        SelectionFacts.without(""),
    ).facts
    assert facts.ranks == []
    assert bool(facts.wilcoxon) is (len(grid) > 1)


def test_two_configurations_on_two_splits_are_ranked(tmp_path: Path) -> None:
    _, found = compared(tmp_path, folds=2, space={"mlp.units": {"grid": [4, 8]}})
    assert list(found.rank_tests()) == ["All 2 configurations"]
    assert found.facts.wilcoxon == wilcoxon_obstacle(2, 1, 1, 1 - 0.95)
    assert found.facts.wilcoxon


def test_splits_that_one_configuration_lacks_are_not_ranked(
    study: tuple[Finished, ComparisonRequest, Scored],
) -> None:
    finished, request, scored = study
    worst = scored.scores.columns[-1]
    trials = finished.trials.copy()
    trials.loc[(trials["config_id"] == worst) & (trials["split"] != "r0f0"), "accuracy"] = np.nan
    facts = compare(request, trials, finished.configurations, SelectionFacts.without("")).facts
    assert facts.ranks == []


# -- as it lies on disk ----------------------------------------------------------------------------


def paths_in(folder: Path) -> StudyPaths:
    paths = StudyPaths(folder / "results" / "Größe")
    paths.comparison.parent.mkdir(parents=True, exist_ok=True)
    return paths


def test_what_is_written_is_read(
    study: tuple[Finished, ComparisonRequest, Scored], tmp_path: Path
) -> None:
    found, paths = comparison(study), paths_in(tmp_path)
    found.write(paths)
    again = Comparison.read(paths)
    for name in ("comparisons", "scientific", "importance"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))
        text = pd.read_csv(paths.table_csv(name))
        assert list(text.columns) == list(getattr(found, name).columns)
        assert len(text) == len(getattr(found, name))
    assert again.facts == found.facts
    assert again.rank_tests() == found.rank_tests()


def test_its_record_is_sealed_and_keeps_labels_readable(
    study: tuple[Finished, ComparisonRequest, Scored], tmp_path: Path
) -> None:
    found, paths = comparison(study), paths_in(tmp_path)
    test = replace(found.facts.ranks[0], title="größte Breite")
    facts = replace(found.facts, ranks=[test])
    facts.write(paths.comparison)
    text = paths.comparison.read_text(encoding="utf-8")
    assert "größte Breite" in text
    assert text.endswith("}\n")
    assert text.splitlines()[1].startswith(' "')
    content = json.loads(text)
    content["confidence"] = 0.9
    paths.comparison.write_text(json.dumps(content))
    with pytest.raises(DamagedRecord, match=r"comparison\.json"):
        type(facts).read(paths.comparison)


def test_a_study_is_read_whole(
    study: tuple[Finished, ComparisonRequest, Scored], tmp_path: Path
) -> None:
    finished, paths = study[0], paths_in(tmp_path)
    found = comparison(study)
    found.write(paths)
    records: dict[Path, Record] = {
        paths.best: finished.best,
        paths.final_model.card: finished.card,
        paths.manifest: finished.manifest,
    }
    for file, record in records.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        record.write(file)
    for name in ("trials", "epochs", "configurations"):
        write(paths.table(name), getattr(finished.tables, name))
    again = StudyResults.read(paths)
    assert again.manifest == finished.manifest
    assert (again.answer.best, again.answer.card) == (finished.best, finished.card)
    pd.testing.assert_frame_equal(again.tables.trials, finished.tables.trials)
    pd.testing.assert_frame_equal(again.comparison.comparisons, found.comparisons)
    paths.comparison.unlink()
    with pytest.raises(FileNotFoundError, match=r"comparison\.json"):
        StudyResults.read(paths)
