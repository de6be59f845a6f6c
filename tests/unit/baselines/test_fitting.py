"""Baselines: scikit-learn's own numbers, on every kind of problem and data, within their costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from studies import tiny_study
from workbench import Bench, prepare_bench

from gridfold.baselines.costs import LEAST_SAMPLES, Task
from gridfold.baselines.fitting import TEST, fit_baselines
from gridfold.data.dataset import Dataset
from gridfold.plan.cost import SECONDS_PER_BASELINE
from gridfold.plan.job_requests import JobRequests

TABLE = ["constant", "linear", "gradient_boosting"]


def fitted(folder: Path, **sections: Any) -> tuple[pd.DataFrame, Bench, Dataset]:
    """Return the fits of all suitable baselines of a study, beside its splits and data."""
    bench = prepare_bench(folder, tiny_study(**sections))
    dataset = Dataset.load(bench.plan.paths.data)
    table = fit_baselines(JobRequests(bench.plan).baselines(), dataset, bench.splits)
    return table, bench, dataset


def score(table: pd.DataFrame, baseline: str, split: str, measure: str) -> float:
    row = table[(table["baseline"] == baseline) & (table["split"] == split)]
    return float(row[measure].iloc[0])


def parts(bench: Bench, dataset: Dataset, name: str = "r0f0") -> tuple[Any, ...]:
    split = bench.splits.by_name[name]
    features = np.asarray(dataset.features).reshape(len(dataset.features), -1)
    targets = np.asarray(dataset.targets)
    return (
        features[split.training],
        targets[split.training],
        features[split.validation],
        targets[split.validation],
    )


@pytest.mark.parametrize("source", ["iris", "breast_cancer"])
def test_classes_of_a_table_get_the_scores_of_scikit_learn(tmp_path: Path, source: str) -> None:
    problem = {"type": "multiclass" if source == "iris" else "binary"}
    table, bench, dataset = fitted(tmp_path, data={"source": source}, problem=problem)
    assert list(dict.fromkeys(table["baseline"])) == TABLE
    assert list(dict.fromkeys(table["split"])) == ["r0f0", "r0f1", TEST]
    assert set(table["status"]) == {"finished"}
    x, y, x_val, y_val = parts(bench, dataset)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100)).fit(x, y)
    boosted = HistGradientBoostingClassifier(early_stopping=False, random_state=0).fit(x, y)
    prior = DummyClassifier(strategy="prior").fit(x, y)
    for name, model in zip(TABLE, (prior, linear, boosted), strict=True):
        expected = accuracy_score(y_val, model.predict(x_val))
        assert score(table, name, "r0f0", "accuracy") == pytest.approx(expected)
        # Other implementations of the scaling, and 32 bit.
        expected = log_loss(y_val, model.predict_proba(x_val))
        assert score(table, name, "r0f0", "log_loss") == pytest.approx(expected, rel=2e-3)


def test_the_test_set_is_scored_by_what_is_fitted_on_all_other_samples(tmp_path: Path) -> None:
    table, bench, dataset = fitted(tmp_path)
    x, y, _, _ = parts(bench, dataset, "final")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100)).fit(x, y)
    test = bench.splits.test
    expected = model.score(np.asarray(dataset.features)[test], np.asarray(dataset.targets)[test])
    assert score(table, "linear", TEST, "accuracy") == pytest.approx(expected)


def test_without_a_test_set_nothing_is_scored_on_it(tmp_path: Path) -> None:
    table, _, _ = fitted(tmp_path, data={"source": "iris", "test_fraction": 0.0})
    assert TEST not in set(table["split"])


def test_numbers_get_the_scores_of_scikit_learn(tmp_path: Path) -> None:
    table, bench, dataset = fitted(
        tmp_path, data={"source": "diabetes"}, problem={"type": "regression"}
    )
    assert list(dict.fromkeys(table["baseline"])) == TABLE
    x, y, x_val, y_val = parts(bench, dataset)
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(x, y)
    mean = DummyRegressor().fit(x, y)
    for name, model in (("constant", mean), ("linear", ridge)):
        expected = mean_squared_error(y_val, model.predict(x_val))
        assert score(table, name, "r0f0", "mse") == pytest.approx(expected, rel=1e-3)


def test_several_outputs_are_scored_on_the_scale_of_training(tmp_path: Path) -> None:
    table, bench, dataset = fitted(
        tmp_path,
        data={"source": "linnerud", "scale_targets": "minmax"},
        problem={"type": "multi_output"},
    )
    _, y, _, y_val = parts(bench, dataset)
    low, high = y.min(axis=0), y.max(axis=0)
    scaled = (y - low) / (high - low)
    expected = np.mean(np.square((y_val - low) / (high - low) - scaled.mean(axis=0)))
    assert score(table, "constant", "r0f0", "mse") == pytest.approx(expected, rel=1e-4)
    assert set(table["status"]) == {"finished"}


def test_images_have_their_nearest_neighbours(tmp_path: Path) -> None:
    table, bench, dataset = fitted(tmp_path, data={"source": "digits", "subset": 300})
    assert list(dict.fromkeys(table["baseline"])) == ["constant", "linear", "nearest_neighbours"]
    x, y, x_val, y_val = parts(bench, dataset)
    expected = KNeighborsClassifier(5).fit(x, y).score(x_val, y_val)
    assert score(table, "nearest_neighbours", "r0f0", "accuracy") == pytest.approx(expected)


def test_windows_are_predicted_by_their_last_value(tmp_path: Path) -> None:
    steps = np.arange(120)
    series = pd.DataFrame({"t": steps, "load": np.sin(steps / 5) + steps, "heat": steps % 7})
    series.to_csv(tmp_path / "series.csv", index=False)
    table, bench, dataset = fitted(
        tmp_path,
        data={
            "source": "csv",
            "path": str(tmp_path / "series.csv"),
            "targets": ["load"],
            "time": "t",
            "sequence": {"length": 6, "horizon": 2},
        },
        problem={"type": "regression"},
        resampling={"method": "forward", "folds": 3},
    )
    assert list(dict.fromkeys(table["baseline"])) == ["constant", "last_value", *TABLE[1:]]
    split = bench.splits.by_name["r0f2"]
    truth = np.asarray(dataset.targets)[split.validation, 0]
    # A window's target stands two rows after its last one.
    last = series["load"].to_numpy()[np.searchsorted(series["load"], truth - 1e-4) - 2]
    expected = np.mean(np.square(last - truth))
    assert score(table, "last_value", "r0f2", "mse") == pytest.approx(expected, rel=1e-3)
    assert score(table, "last_value", "r0f2", "mse") < score(table, "constant", "r0f2", "mse")


def test_categories_and_missing_values_are_taken_as_they_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    colours = random.choice(["red", "green", "blue"], 300)
    size = random.normal(size=300)
    frame = pd.DataFrame({"colour": colours, "size": size, "kind": (colours == "red") * 1})
    frame.loc[::7, "size"] = np.nan
    frame.loc[::11, "colour"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    table, _, _ = fitted(
        tmp_path,
        data={
            "source": "csv",
            "path": str(tmp_path / "t.csv"),
            "targets": ["kind"],
            "missing": {"numbers": "mean"},
        },
        problem={"type": "binary"},
    )
    assert set(table["status"]) == {"finished"}
    # All but what has no colour can be told.
    for name in ("linear", "gradient_boosting"):
        assert score(table, name, "r0f0", "accuracy") > 0.9


def test_groups_stay_together_as_in_all_trials(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 4)
    frame = pd.DataFrame({"x": random.normal(size=120), "y": patients % 2, "patient": patients})
    frame.to_csv(tmp_path / "t.csv", index=False)
    table, bench, _ = fitted(
        tmp_path,
        data={
            "source": "csv",
            "path": str(tmp_path / "t.csv"),
            "targets": ["y"],
            "groups": "patient",
        },
        problem={"type": "binary"},
        resampling={"method": "group", "folds": 3},
    )
    sizes = table[table["baseline"] == "linear"].set_index("split")
    for name, split in bench.splits.by_name.items():
        if name != "final":
            assert sizes.loc[name, "n_train"] == len(split.training)
            assert sizes.loc[name, "n_validation"] == len(split.validation)


def test_a_class_that_a_training_part_lacks_has_no_probability(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"t": range(40), "x": np.arange(40.0), "kind": ["a", "b"] * 18 + ["c"] * 4}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    table, _, _ = fitted(
        tmp_path,
        data={
            "source": "csv",
            "path": str(tmp_path / "t.csv"),
            "targets": ["kind"],
            "test_fraction": 0.0,
            "time": "t",
        },
        resampling={"method": "forward", "folds": 3},
    )
    assert set(table["status"]) == {"finished"}
    assert table["accuracy"].between(0, 1).all()


def test_a_training_part_of_one_class_is_told_and_ends_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"t": range(60), "x": np.arange(60.0), "kind": ["a"] * 40 + ["b", "a"] * 10}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    table, _, _ = fitted(
        tmp_path,
        data={
            "source": "csv",
            "path": str(tmp_path / "t.csv"),
            "targets": ["kind"],
            "test_fraction": 0.0,
            "time": "t",
        },
        problem={"type": "binary", "measure": "accuracy"},
        resampling={"method": "forward", "folds": 3},
    )
    lost = table[(table["split"] == "r0f0") & (table["baseline"] == "linear")].iloc[0]
    assert lost["status"] == "failed"
    assert "class" in lost["reason"]
    assert (table.loc[table["baseline"] == "constant", "status"] == "finished").all()


def test_measures_of_the_user_are_scored_and_their_failure_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "def right_score(truth, chances):\n"
        "    return float(((chances >= 0.5) == truth).mean())\n"
        "def broken_score(truth, chances):\n    raise RuntimeError('no')\n"
    )
    for name in ("right_score", "broken_score"):
        table, _, _ = fitted(
            tmp_path / name,
            data={"source": "breast_cancer"},
            problem={"type": "binary", "measures": [f"{own}:{name}"]},
        )
        if name == "right_score":
            assert table[name].to_numpy() == pytest.approx(table["accuracy"].to_numpy())
        else:
            assert set(table["status"]) == {"failed"}
            assert table["reason"].str.contains("RuntimeError: no").all()


def test_only_what_is_asked_for_is_fitted(tmp_path: Path) -> None:
    asked = {"baselines": ["linear", "nearest_neighbours"]}
    table, _, _ = fitted(tmp_path, report=asked)
    # Nearest neighbours are for images.
    assert set(table["baseline"]) == {"linear"}


@pytest.mark.parametrize(
    "baseline", ["constant", "linear", "gradient_boosting", "nearest_neighbours"]
)
@pytest.mark.parametrize("classes", [True, False])
def test_costs_are_bounded_by_sizes(baseline: str, classes: bool) -> None:
    small = Task(1000, 250, 20, 1, classes, fits=6)
    assert small.samples(baseline) == 1000
    huge = Task(5_000_000, 1_000_000, 3000, 100, classes, fits=100)
    assert huge.samples(baseline) in (huge.training if baseline == "constant" else 0, 0)
    large = Task(50_000, 10_000, 800, 10, classes, fits=6)
    assert large.samples(baseline) <= 50_000
    if baseline != "constant":
        assert large.samples(baseline) < 50_000 or not classes
        more = Task(50_000, 10_000, 800, 10, classes, fits=60)
        assert more.samples(baseline) <= large.samples(baseline)


def test_iterations_follow_the_number_of_trees() -> None:
    few, many = (Task(5000, 500, 10, outputs, True, fits=6) for outputs in (1, 500))
    assert few.iterations == 100
    assert many.iterations == 20
    assert many.iterations * 500 * 2e-3 > SECONDS_PER_BASELINE / 6
    assert many.samples("gradient_boosting") == 0
    assert LEAST_SAMPLES == 200


def test_many_splits_are_not_all_fitted(tmp_path: Path) -> None:
    asked = {"baselines": ["constant"]}
    folds = {"method": "kfold", "folds": 3, "repeats": 100}
    table, _, _ = fitted(tmp_path, report=asked, resampling=folds)
    names = [name for name in table["split"] if name != TEST]
    assert len(set(names)) == len(names) == 200
    assert {"r0f0", "r99f1"} <= set(names)
