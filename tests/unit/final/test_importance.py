"""Permutation importance: what decides comes first, what tells nothing is about zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorded import selected
from workbench import Bench, prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Splits
from gridfold.final.importance import feature_importance
from gridfold.jobs.work import final_work
from gridfold.plan.job_requests import JobRequests
from gridfold.training.measures import Scorer
from gridfold.training.trial import Fitted, fit

ROWS = 300


def trained(
    folder: Path,
    data: dict[str, Any],
    problem: str,
    resampling: dict[str, Any] | None = None,
) -> tuple[Fitted, Dataset, Splits]:
    """Train a small network on the data of a study."""
    bench: Bench = prepare_bench(
        folder,
        {
            "study": "features",
            "data": {"normalise": "standard", "test_fraction": 0.3, **data},
            "problem": {"type": problem},
            "model": {"mlp": {"units": 16}},
            "training": {"epochs": 12, "learning_rate": 0.02, "batch_size": 16},
            "resampling": resampling or {"method": "kfold", "folds": 2},
        },
    )
    request = JobRequests(bench.plan).final()
    selection = selected(bench.plan.configurations[0].id, final_epochs=12)
    task = final_work(request, selection, bench.plan.paths, 0).task
    dataset = Dataset.load(bench.plan.paths.data)
    splits = Splits.load(bench.plan.paths.splits, FINAL)
    final = splits.by_name[FINAL]
    return fit(task, dataset, final.training, final.validation, lambda row: None), dataset, splits


def table(folder: Path) -> Path:
    """Write a table in which a number and a category decide, and another number says nothing."""
    draws = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "noise": draws.normal(size=ROWS),
            "number": draws.normal(size=ROWS).round(3),
            "colour": draws.choice(["red", "green", "blue", "grey"], ROWS),
        }
    )
    frame["y"] = frame["number"] + 3.0 * (frame["colour"] == "red")
    # A missing value is moved with the others.
    frame.loc[::50, "number"] = np.nan
    file = folder / "table.csv"
    frame.to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Dataset, Splits]:
    folder = tmp_path_factory.mktemp("regression")
    data: dict[str, Any] = {"source": "csv", "path": str(table(folder)), "targets": ["y"]}
    data |= {"missing": {"numbers": "median"}}
    return trained(folder, data, "regression")


def test_what_decides_comes_before_what_says_nothing(
    regression: tuple[Fitted, Dataset, Splits],
) -> None:
    fitted, dataset, splits = regression
    found = feature_importance(fitted, dataset, splits.test, Scorer("mse"), 0)
    # All features of 0 and 1 of the category are shuffled together: 9 times its variance, twice.
    assert found["feature"].tolist() == ["colour", "number", "noise"]
    assert found["kind"].tolist() == ["category", "number", "number"]
    expected = 2 * 9 * 0.25 * 0.75
    assert found["importance"][0] == pytest.approx(expected, rel=0.35)
    assert abs(found["importance"][2]) < 0.1 < found["importance"][1]
    assert (found["samples"] == len(splits.test)).all()
    assert (found["sd"] >= 0).all()


def test_the_importance_is_the_loss_of_the_score(
    regression: tuple[Fitted, Dataset, Splits],
) -> None:
    fitted, dataset, splits = regression
    found = feature_importance(fitted, dataset, splits.test, Scorer("r2"), 3).set_index("feature")
    rows, truth = np.arange(len(splits.test)), dataset.targets[splits.test]
    samples = np.array(dataset.features[splits.test])
    whole = Scorer("r2").score(truth, fitted.predict(samples, rows))
    place = dataset.feature_names.index("colour") if dataset.feature_names else -1
    draws, losses = np.random.default_rng(7), []
    for _ in range(30):
        mixed = samples.copy()
        mixed[:, place] = draws.permutation(mixed[:, place])
        losses.append(whole - Scorer("r2").score(truth, fitted.predict(mixed, rows)))
    deviation = np.std(losses) / np.sqrt(10)
    assert found["importance"]["colour"] == pytest.approx(np.mean(losses), abs=4 * deviation)


def test_the_same_seed_gives_the_same_table(regression: tuple[Fitted, Dataset, Splits]) -> None:
    fitted, dataset, splits = regression
    first, again, other = (
        feature_importance(fitted, dataset, splits.test, Scorer("mae"), seed) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["importance"].equals(other["importance"])


@pytest.mark.parametrize("samples", [0, 1])
def test_without_a_test_set_there_is_no_importance(
    regression: tuple[Fitted, Dataset, Splits], samples: int
) -> None:
    fitted, dataset, splits = regression
    assert not len(feature_importance(fitted, dataset, splits.test[:samples], Scorer("mse"), 0))


def test_a_measure_that_is_not_defined_gives_no_importance(tmp_path: Path) -> None:
    fitted, dataset, splits = trained(tmp_path, {"source": "breast_cancer"}, "binary")
    one_class = splits.test[np.asarray(dataset.targets[splits.test]) == 1]
    assert not len(feature_importance(fitted, dataset, one_class, Scorer("roc_auc"), 0))
    found = feature_importance(fitted, dataset, splits.test, Scorer("roc_auc"), 0)
    assert len(found) == 30
    assert "worst concave points" in set(found["feature"])


def test_in_windows_a_column_is_shuffled_with_all_its_steps(tmp_path: Path) -> None:
    draws = np.random.default_rng(4)
    cause = draws.normal(size=ROWS)
    frame = pd.DataFrame({"t": range(ROWS), "cause": cause, "other": draws.normal(size=ROWS)})
    # The target is the cause two steps before.
    frame["y"] = np.r_[0, 0, cause[:-2]]
    file = tmp_path / "series.csv"
    frame.to_csv(file, index=False)
    fitted, dataset, splits = trained(
        tmp_path,
        {
            "source": "csv",
            "path": str(file),
            "targets": ["y"],
            "time": "t",
            "features": ["cause", "other"],
            "sequence": {"length": 3},
        },
        "regression",
        {"method": "forward", "folds": 2},
    )
    found = feature_importance(fitted, dataset, splits.test, Scorer("mse"), 0).set_index("feature")
    assert found["importance"]["cause"] > 1
    assert abs(found["importance"]["other"]) < 0.3


def test_images_have_none(tmp_path: Path) -> None:
    fitted, dataset, splits = trained(
        tmp_path, {"source": "digits", "subset": 100, "normalise": "global"}, "multiclass"
    )
    assert not len(feature_importance(fitted, dataset, splits.test, Scorer("accuracy"), 0))


def test_of_many_columns_fewer_samples_are_shuffled(tmp_path: Path) -> None:
    draws = np.random.default_rng(5)
    features = draws.normal(size=(2500, 400)).astype(np.float32)
    np.savez(tmp_path / "wide.npz", x=features, y=(features[:, 7] > 0).astype(int))
    data = {"source": "npz", "path": str(tmp_path / "wide.npz"), "features": "x", "targets": "y"}
    fitted, dataset, splits = trained(tmp_path, data, "binary")
    found = feature_importance(fitted, dataset, splits.test, Scorer("accuracy"), 0)
    assert len(splits.test) == 750
    assert len(found) == 400
    assert found["feature"][0] == "feature_7"
    assert (found["shuffles"] == 5).all()
    # 400 columns of as many numbers, five times: 500 million are enough for 625 samples.
    assert (found["samples"] == 625).all()


def test_a_measure_of_the_user_that_fails_on_shuffled_samples_is_left_out_there(
    regression: tuple[Fitted, Dataset, Splits], tmp_path: Path
) -> None:
    fitted, dataset, splits = regression
    truth = dataset.targets[splits.test]
    error = Scorer("mse").score(truth, fitted.predict(dataset.features, splits.test))
    (tmp_path / "mine.py").write_text(
        "def strict_error(targets, predictions):\n"
        "    error = ((targets - predictions) ** 2).mean()\n"
        f"    assert error < {error + 0.5}, 'too bad'\n"
        "    return error\n"
    )
    function = f"{tmp_path / 'mine.py'}:strict_error"
    found = feature_importance(fitted, dataset, splits.test, Scorer("strict_error", function), 0)
    table = found.set_index("feature")
    # Without the category, which decides, the measure fails in each shuffle.
    assert table["shuffles"]["colour"] == 0
    assert np.isnan(table["importance"]["colour"])
    assert table["shuffles"]["noise"] == 10
    assert abs(table["importance"]["noise"]) < 0.1
