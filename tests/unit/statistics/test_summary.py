"""The summary: who is best, by how much, how surely, and what is selected."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorded import model_card
from scipy import optimize, stats

from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.plan.status import answer
from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.requests import SummaryRequest
from gridfold.statistics.intervals import mean_interval, paired_p_value
from gridfold.statistics.summary import CONFIGURATION_COLUMNS, select, summarise
from gridfold.store.answer import Answer
from gridfold.store.model_card import HeldOutScore
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection, SelectionFacts
from gridfold.tables.trials import write

FAILED = None
MEASURES = [name for kind in ("regression", "binary") for name in PROBLEM_KINDS[kind].measures]


def trials(
    measure: str = "accuracy",
    *,
    axes: dict[str, dict[str, Any]] | None = None,
    best_epochs: tuple[int, ...] = (10, 10, 10, 10, 10),
    **scores: list[float | None],
) -> pd.DataFrame:
    """Return a trials table with the scores of each configuration on splits r0f0, r0f1, ..."""
    rows = []
    for name, values in scores.items():
        for fold, score in enumerate(values):
            good = score is not FAILED
            row = {
                "config_id": name,
                "split": f"r0f{fold}",
                "label": f"mlp {name}",
                "model": "mlp",
                **(axes or {}).get(name, {}),
                "status": "finished" if good else "failed",
                "failure": "" if good else "diverged",
                "reason": "" if good else "loss is nan in epoch 2",
                "epochs": 20,
                "epochs_trained": 20 if good else 0,
                "best_epoch": best_epochs[fold] if good else 0,
                "resumptions": 0,
                "n_train": 400 if good else 0,
                "n_validation": 100 if good else 0,
                "parameters": 99 if good else 0,
                "fit_seconds": 1.5 if good else 0.0,
                "seconds": 2.5,
            }
            rows.append(row | ({measure: score} if good else {}))
    return pd.DataFrame(rows)


def request(measure: str = "accuracy", confidence: float = 0.95) -> SummaryRequest:
    return SummaryRequest(measure, confidence)


def summary(measure: str = "accuracy", **kwargs: Any) -> pd.DataFrame:
    return summarise(trials(measure, **kwargs), request(measure)).set_index("config_id", drop=False)


LOW = [0.70, 0.72, 0.69, 0.71, 0.73]
MIDDLE = [0.80, 0.83, 0.78, 0.80, 0.81]
HIGH = [0.90, 0.91, 0.88, 0.92, 0.89]


# -- ranking --------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_the_best_is_the_lowest_or_the_highest_as_the_measure_has_it(measure: str) -> None:
    table = summary(measure, b=MIDDLE, c=HIGH, a=LOW)
    expected = ["a", "b", "c"] if Measure.of(measure).lower_is_better else ["c", "b", "a"]
    assert list(table["config_id"]) == expected
    assert list(table["rank"]) == [1, 2, 3]


def test_means_and_intervals_are_those_of_the_statistics() -> None:
    row = summary(a=LOW, b=HIGH).loc["a"]
    expected = mean_interval(LOW, 10 / 40, 0.95)
    found = [row[f"accuracy_{name}"] for name in ("mean", "sd", "low", "high")]
    assert found == pytest.approx([expected.mean, expected.sd, expected.low, expected.high])


def test_every_measure_is_summarised_not_only_the_ranking_one() -> None:
    table = trials("accuracy", a=LOW, b=HIGH).assign(f1=0.5, log_loss=2.0)
    row = summarise(table, request()).iloc[0]
    assert (row["f1_mean"], row["log_loss_mean"]) == (0.5, 2.0)


def test_a_configuration_that_lost_a_trial_ranks_last_however_good_the_rest() -> None:
    table = summary(a=LOW, b=[0.99, 0.99, FAILED, 0.99, 0.99], c=HIGH)
    assert list(table["config_id"]) == ["c", "a", "b"]
    assert table.loc["b", ["n_splits", "n_failed"]].tolist() == [4, 1]


def test_a_configuration_without_any_score_ranks_last_of_all() -> None:
    table = summary(a=[FAILED] * 5, b=[0.1, 0.1, 0.1, 0.1, FAILED], c=LOW)
    assert list(table["config_id"]) == ["c", "b", "a"]
    assert table.loc["a", ["n_splits", "n_failed", "parameters"]].tolist() == [0, 5, 0]
    assert np.isnan(table.loc["a", "accuracy_mean"])


def test_ties_keep_the_order_of_the_study() -> None:
    assert list(summary(b=LOW, a=LOW, c=LOW)["config_id"]) == ["b", "a", "c"]


# -- intervals end at the measure's range ---------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_no_interval_reaches_beyond_the_range_of_its_measure(measure: str) -> None:
    low, high = Measure.of(measure).range
    # So wide that it would pass every finite end.
    row = summary(measure, a=[0.0, 1.0, 0.0, 1.0, 0.5]).loc["a"]
    plain = mean_interval([0.0, 1.0, 0.0, 1.0, 0.5], 10 / 40, 0.95)
    assert plain.low < 0
    assert plain.high > 1
    assert row[f"{measure}_low"] == max(low, plain.low)
    assert row[f"{measure}_high"] == min(high, plain.high)


def test_an_interval_inside_the_range_is_left_alone() -> None:
    row = summary(a=MIDDLE).loc["a"]
    plain = mean_interval(MIDDLE, 10 / 40, 0.95)
    assert (row["accuracy_low"], row["accuracy_high"]) == (plain.low, plain.high)


def test_one_split_has_no_interval() -> None:
    row = summary(a=[0.9], b=[0.8]).loc["a"]
    assert row["accuracy_mean"] == 0.9
    assert row[["accuracy_sd", "accuracy_low", "accuracy_high"]].isna().all()


# -- comparison with the best ---------------------------------------------------------------------


def test_the_best_is_compared_with_nothing() -> None:
    table = summary(a=LOW, b=MIDDLE, c=HIGH)
    assert np.isnan(table.loc["c", "p_value"])
    assert table.loc["c", "difference"] == 0
    assert table.loc[["a", "b"], "p_value"].notna().all()


def test_p_values_hold_whichever_was_best() -> None:
    table = summary(a=LOW, b=MIDDLE, c=HIGH)
    for name in ("a", "b"):
        row = table.loc[name]
        alone = 2 * stats.t.sf(abs(row["difference"] / row["difference_error"]), freedom_of(row))
        assert row["p_value"] == pytest.approx(min(1, 3 * alone))


def freedom_of(row: pd.Series) -> float:
    """Return the degrees of freedom that the interval of a difference has."""
    half = (row["difference_high"] - row["difference_low"]) / 2 / row["difference_error"]
    return float(optimize.brentq(lambda f: stats.t.ppf(0.975, f) - half, 0.5, 1e6))


@pytest.mark.parametrize(("measure", "expected"), [("mse", 0.1), ("accuracy", -0.1)])
def test_differences_are_those_of_the_means(measure: str, expected: float) -> None:
    better = LOW if measure == "mse" else MIDDLE
    worse = [value + expected for value in better]
    table = summary(measure, x=worse, y=better)
    assert table.loc["x", "difference"] == pytest.approx(expected)


def test_no_interval_of_a_difference_reaches_beyond_what_the_measure_allows() -> None:
    scores = {"a": [1.0, 0.9, 1.0], "b": [0.1, 0.9, 0.0]}
    for measure, sign in (("accuracy", -1), ("mse", 1)):
        row = summary(measure, **scores).iloc[1]
        ends = sign * row["difference_low"], sign * row["difference_high"]
        assert min(ends) < 0 < max(ends)
        assert (max(ends) == 1) == (measure == "accuracy")
        assert row["p_value"] > 0.05


def test_scores_are_paired_by_split_whatever_the_order_of_rows() -> None:
    table = trials(a=LOW, b=HIGH)
    shuffled = table.sample(frac=1, random_state=0)
    one, other = (
        summarise(t, request()).set_index("config_id")["p_value"] for t in (table, shuffled)
    )
    assert one["a"] == pytest.approx(other["a"])


def test_those_that_lost_trials_are_not_compared() -> None:
    table = summary(a=[*LOW[:3], FAILED, FAILED], b=HIGH, c=LOW)
    assert np.isnan(table.loc["a", "p_value"])
    assert table.loc["c", "p_value"] == pytest.approx(paired_p_value(LOW, HIGH, 10 / 40))


def test_one_split_or_one_configuration_has_no_p_value() -> None:
    assert summary(a=[0.9], b=[0.8])["p_value"].isna().all()
    assert summary(a=LOW)["p_value"].isna().all()


# -- table ----------------------------------------------------------------------------------------

AXES = {
    "a": {"mlp.units": 4, "training.optimizer": "sgd"},
    "b": {"mlp.units": 8, "training.optimizer": "adam"},
}


def test_documented_columns_are_there_with_their_types(tmp_path: Path) -> None:
    file = tmp_path / "configurations.parquet"
    write(file, summarise(trials(axes=AXES, a=LOW, b=[FAILED] * 5), request()))
    table = pd.read_parquet(file)
    kinds = {"int": "i", "float": "f", "bool": "b"}
    documented = {n: c.type for c in CONFIGURATION_COLUMNS for n in c.name.split(", ")}
    for name, kind in documented.items():
        found = table[name].dtype
        if kind == "string":
            assert pd.api.types.is_string_dtype(found), name
        else:
            assert found.kind == kinds[kind], name
    rest = [c for c in table.columns if c not in documented]
    intervals = [f"accuracy_{name}" for name in ("mean", "sd", "low", "high")]
    assert rest == ["mlp.units", "training.optimizer", *intervals]


def test_axes_keep_their_types() -> None:
    table = trials(axes=AXES, a=LOW, b=HIGH, c=MIDDLE)
    # As `collect` gives them: whole numbers, although configuration c has no such axis.
    table = table.astype({"mlp.units": "Int64"})
    found = summarise(table, request()).set_index("config_id")["mlp.units"]
    assert str(found.dtype) == "Int64"
    assert found["a"] == 4
    assert found["c"] is pd.NA


# -- selection ------------------------------------------------------------------------------------


def test_the_selected_is_the_first_with_its_numbers() -> None:
    table = summarise(trials(a=LOW, b=MIDDLE, c=HIGH), request())
    best = select(table, request())
    assert best.config_id == "c"
    assert best.label == "mlp c"
    assert best.mean == pytest.approx(np.mean(HIGH))
    assert best.low is not None
    assert best.high is not None
    assert best.low < best.mean < best.high
    assert (best.n_splits, best.configurations, best.measure) == (5, 3, "accuracy")


def test_selections_are_json() -> None:
    table = summarise(trials(a=[0.9], b=[0.8]), request())
    best = json.loads(select(table, request()).text())
    assert (best["sd"], best["low"], best["high"]) == (None, None, None)


@pytest.mark.parametrize(
    ("best_epochs", "expected"),
    [((5, 7, 30, 9, 8), 8), ((1, 1, 1, 1, 1), 1), ((4, 5), 4), ((6, 7), 6)],
)
def test_the_final_fit_takes_the_typical_best_epoch(
    best_epochs: tuple[int, ...], expected: int
) -> None:
    scores = HIGH[: len(best_epochs)]
    table = summarise(trials(best_epochs=best_epochs, a=scores), request())
    assert select(table, request()).final_epochs == expected


def test_those_that_cannot_be_told_from_the_best_are_counted() -> None:
    close = [value + 0.01 * (-1) ** i for i, value in enumerate(HIGH)]
    assert np.mean(close) > np.mean(HIGH)
    table = summarise(trials(a=LOW, b=HIGH, c=close), request())
    assert select(table, request()).may_be_best == 2
    assert table.set_index("config_id")["may_be_best"].to_dict() == {
        "a": False,
        "b": True,
        "c": True,
    }


@pytest.mark.parametrize("score", [FAILED, math.nan], ids=["all failed", "measure undefined"])
def test_a_study_without_any_score_selects_nothing(score: float | None) -> None:
    table = summarise(trials("roc_auc", a=[score] * 3, b=[score] * 3), request("roc_auc"))
    with pytest.raises(GridfoldError, match=r"no trial of the study has a score \(roc_auc\)"):
        select(table, request("roc_auc"))


# -- answer ---------------------------------------------------------------------------------------


def answered(folder: Path, scores: list[float], test: HeldOutScore | None = None) -> str:
    paths = StudyPaths.of("demo", folder)
    paths.tables.mkdir(parents=True)
    paths.final.mkdir()
    best = select(summarise(trials(a=scores), request()), request())
    best.write(paths.best)
    model_card(best, {}, "0123", test).write(paths.final_model.card)
    return answer(paths)


def test_the_answer_names_configuration_interval_test_score_and_report(tmp_path: Path) -> None:
    test = HeldOutScore(30, "accuracy", 0.81, 0.7, 0.9)
    text = answered(tmp_path, MIDDLE, test)
    half = mean_interval(MIDDLE, 10 / 40, 0.95)
    assert "Best of 1 configurations: mlp a (a); accuracy 0.8040" in text
    assert f"[{half.low:.4f}, {half.high:.4f}] (95% CI over 5 splits)" in text
    assert "held-out test 0.8100 [0.7000, 0.9000] on 30 samples" in text
    assert text.endswith(str(tmp_path / "demo" / "report.html"))


def test_the_interval_of_the_answer_ends_at_the_range(tmp_path: Path) -> None:
    scores = [1.0, 0.98, 1.0, 0.97, 1.0]
    plain = mean_interval(scores, 10 / 40, 0.95)
    assert plain.high > 1
    assert f"[{plain.low:.4f}, 1.0000]" in answered(tmp_path, scores)


def test_the_answer_is_corrected_for_the_selection_where_that_can_be_done(tmp_path: Path) -> None:
    estimate = SelectionFacts(0.79, 0.014, 0.71, 0.85, 50, 7, 500, "", 0.014, chosen={"a": 0.4})
    paths = StudyPaths.of("demo", tmp_path)
    paths.tables.mkdir(parents=True)
    paths.final.mkdir()
    best = select(summarise(trials(a=MIDDLE), request()), request(), 7)
    best = replace(best, estimate=estimate)
    best.write(paths.best)
    model_card(best, {}, "0123", None).write(paths.final_model.card)
    assert Selection.read(paths.best) == best
    assert best.explored == 7
    assert "Best of 7 configurations, 1 compared in full: mlp a (a); accuracy 0.7900 " in answer(
        paths
    )
    assert (
        "[0.7100, 0.8500] (95% CI over 5 splits, corrected for the selection; as selected 0.8040)"
        in answer(paths)
    )
    facts = Answer.read(paths).facts(paths)
    assert (facts["mean"], facts["corrected"]) == (pytest.approx(0.804), 0.79)
    assert (facts["corrected_low"], facts["corrected_high"]) == (0.71, 0.85)


def test_the_answer_has_the_nested_estimate(tmp_path: Path) -> None:
    text = answered(tmp_path, MIDDLE)
    paths = StudyPaths.of("demo", tmp_path)
    nested = NestedEstimate(
        *("accuracy", 0.95, 0.78, 0.02, 0.7, 0.85, 5, 0, 0.8, 2, 3, 0.5, None, None)
    )
    card = replace(Answer.read(paths).card, nested=nested)
    card.write(paths.final_model.card)
    said = "; search and training, nested 0.7800 [0.7000, 0.8500] over 5 outer folds"
    assert answer(paths) == text.replace("\nReport", f"{said}\nReport")
    facts = Answer.read(paths).facts(paths)
    assert facts["nested"] == {"score": 0.78, "low": 0.7, "high": 0.85, "folds": 5}


def test_one_split_is_answered_without_an_interval(tmp_path: Path) -> None:
    assert "[" not in answered(tmp_path, [0.9])


def test_an_unfinished_study_has_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        answer(StudyPaths.of("demo", tmp_path))


# -- what it cost ---------------------------------------------------------------------------------


def test_costs_are_summed_over_all_trials_and_efficiency_is_weighed_by_time() -> None:
    table = trials(b=LOW[:3], a=HIGH[:3])
    table["core_hours"] = [1.0, 2.0, 3.0, math.nan, math.nan, 0.5]
    table["gpu_hours"] = [math.nan] * 5 + [0.25]
    table["cpu_seconds"] = [10.0, 90.0, 5.0, 8.0, 8.0, math.nan]
    # An hour of a core at 90% and ten seconds at 10% are no 50%.
    table["cpu_efficiency"] = [0.1, 0.9, 0.0, 0.4, 0.8, math.nan]
    table["memory_mb"] = [100.0, 300.0, 200.0, math.nan, 50.0, 40.0]
    table["gpu_busy"] = [math.nan, 0.2, 0.6, math.nan, math.nan, math.nan]
    found = summarise(table, request()).set_index("config_id")
    assert found["core_hours"].to_dict() == {"a": 0.5, "b": 6.0}
    assert found.loc["a", "gpu_hours"] == 0.25
    assert math.isnan(found.loc["b", "gpu_hours"])
    assert found.loc["b", "cpu_efficiency"] == pytest.approx(100 / (10 / 0.1 + 90 / 0.9))
    assert found.loc["a", "cpu_efficiency"] == pytest.approx(16 / (8 / 0.4 + 8 / 0.8))
    assert found["memory_mb"].to_dict() == {"a": 50, "b": 300}
    assert found.loc["b", "gpu_busy"] == pytest.approx(0.4)
    assert math.isnan(found.loc["a", "gpu_busy"])


def test_more_work_than_the_cores_could_give_counts_too() -> None:
    table = trials(a=HIGH[:2], b=LOW[:2])
    table["cpu_seconds"], table["cpu_efficiency"] = 30.0, 1.5
    assert summarise(table, request())["cpu_efficiency"].tolist() == pytest.approx([1.5, 1.5])


def test_tables_without_usage_have_empty_cells() -> None:
    found = summarise(trials(a=HIGH, b=LOW), request())
    for name in ("core_hours", "gpu_hours", "cpu_efficiency", "memory_mb", "gpu_busy"):
        assert found[name].isna().all(), name


def test_epochs_and_times_are_of_finished_trials() -> None:
    table = trials(a=[0.9, FAILED, 0.8, 0.85], b=[0.7] * 4, best_epochs=(3, 9, 8, 1))
    table["epochs_trained"] = [5, 0, 9, 4, 2, 2, 2, 2]
    table["fit_seconds"] = [1.0, 9.0, 2.0, 6.0, 1.0, 1.0, 1.0, 1.0]
    row = summarise(table, request()).set_index("config_id").loc["a"]
    assert (row["n_splits"], row["n_failed"]) == (3, 1)
    assert row["epochs_mean"] == pytest.approx(6)
    assert row["best_epoch_median"] == 3
    assert row["fit_seconds_mean"] == pytest.approx(3)
    assert row["fit_seconds_sum"] == pytest.approx(9)


def test_columns_stand_in_their_order() -> None:
    found = list(summary(a=HIGH, b=LOW, axes={"a": {"x": 1}, "b": {"x": 2}}).columns)
    start = ["rank", "config_id", "label", "model"]
    assert found[:4] == start
    assert found.index("difference") < found.index("difference_error") < found.index("p_value")
    assert found.index("p_value") + 1 == found.index("may_be_best")
    assert [name for name in found if name.startswith("accuracy")] == [
        f"accuracy_{part}" for part in ("mean", "sd", "low", "high")
    ]
