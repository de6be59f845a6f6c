"""The best configuration at each value of an axis: row by row, for each kind of axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.statistics.pairwise import column_names
from gridfold.statistics.scientific import SCIENTIFIC_COLUMNS, scientific_values
from gridfold.statistics.scored import Scored

SCORES = np.array(
    [
        [0.90, 0.85, 0.80, 0.70],
        [0.92, 0.84, 0.83, 0.71],
        [0.91, 0.86, 0.79, 0.75],
        [0.93, 0.87, 0.84, 0.72],
    ]
)
GRID = {"grid": [], "role": "scientific"}


def study(
    axes: dict[str, list[Any]], space: dict[str, Any], *, measure: str = "accuracy"
) -> tuple[Scored, pd.DataFrame]:
    """Return the values of each axis in four configurations `a` to `d`, and what they reach."""
    scores = SCORES if measure == "accuracy" else 1 - SCORES
    ids = list("abcd")
    wide = pd.DataFrame(scores, index=[f"r0f{i}" for i in range(4)], columns=ids)
    scored = Scored(wide, 1 / 3, measure, 0.95, 1)
    table = pd.DataFrame(
        {
            "config_id": ids,
            "label": [f"label {name}" for name in ids],
            "model": "mlp",
            f"{measure}_mean": scores.mean(axis=0),
            f"{measure}_low": scores.mean(axis=0) - 0.1,
            f"{measure}_high": scores.mean(axis=0) + 0.1,
        }
        | axes
    )
    return scored, scientific_values(scored, table, space)


def test_a_row_says_what_the_best_at_a_value_reaches() -> None:
    _, found = study({"mlp.units": [8, 4, 8, 4]}, {"mlp.units": GRID})
    assert list(found.columns) == list(column_names(SCIENTIFIC_COLUMNS))
    assert found["axis"].tolist() == ["mlp.units"] * 2
    assert found["value"].tolist() == ["4", "8"]
    assert found["config_id"].tolist() == ["b", "a"]
    assert found["label"].tolist() == ["label b", "label a"]
    assert found["n_configurations"].tolist() == [2, 2]
    means = SCORES.mean(axis=0)
    assert found["mean"].tolist() == pytest.approx([means[1], means[0]])
    assert found["low"].tolist() == pytest.approx([means[1] - 0.1, means[0] - 0.1])
    assert found["high"].tolist() == pytest.approx([means[1] + 0.1, means[0] + 0.1])


def test_a_value_is_compared_with_the_best_value_by_the_test_of_the_study() -> None:
    scored, found = study({"mlp.units": [8, 4, 8, 2]}, {"mlp.units": GRID})
    assert found["config_id"].tolist() == ["d", "b", "a"]
    differences = scored.differences(["d", "b", "a"], "a")
    expected = scored.columns_of(differences)
    for name in ("difference_error", "difference_low", "difference_high"):
        np.testing.assert_allclose(found[name][:2], expected[name][:2])
    means = SCORES.mean(axis=0)
    assert found["difference"].tolist() == pytest.approx(
        [means[3] - means[0], means[1] - means[0], 0]
    )
    np.testing.assert_allclose(
        found["p_any_pair"][:2], scored.test.of_any_pair(differences.p_values)[:2]
    )
    # The best value is not compared with itself.
    best = found.loc[2, ["difference_error", "difference_low", "difference_high", "p_any_pair"]]
    assert best.isna().all()


def test_smaller_is_better_where_the_measure_is_an_error() -> None:
    _, found = study({"mlp.units": [8, 4, 8, 4]}, {"mlp.units": GRID}, measure="mse")
    assert found["config_id"].tolist() == ["b", "a"]
    assert found["difference"].tolist()[1] == 0
    assert found["difference"].tolist()[0] > 0
    assert found["p_any_pair"].isna().tolist() == [False, True]


def test_numbers_are_in_order_and_words_as_the_study_lists_them() -> None:
    axis = {"grid": ["tanh", "relu", "elu"], "role": "scientific"}
    _, found = study({"mlp.activation": ["relu", "elu", "tanh", "relu"]}, {"mlp.activation": axis})
    assert found["value"].tolist() == ["tanh", "relu", "elu"]
    assert found["config_id"].tolist() == ["c", "a", "b"]
    _, found = study(
        {"training.learning_rate": [0.1, 1e-5, 0.01, 0.1]}, {"training.learning_rate": GRID}
    )
    assert found["value"].tolist() == ["1e-05", "0.01", "0.1"]


def test_whole_numbers_of_a_column_with_fractions_have_none() -> None:
    _, found = study({"mlp.dropout": [0.0, 0.5, 1.0, 0.5]}, {"mlp.dropout": GRID})
    assert found["value"].tolist() == ["0", "0.5", "1"]


def test_switches_are_words() -> None:
    _, found = study({"mlp.batch_norm": [True, False, True, False]}, {"mlp.batch_norm": GRID})
    assert found["value"].tolist() == ["False", "True"]


def test_model_families_are_an_axis_where_there_are_several() -> None:
    space = {"mlp.units": GRID}
    axes = {"model": ["mlp", "cnn", "cnn", "mlp"], "mlp.units": [8, 4, 8, 4]}
    _, found = study(axes, space)
    assert found["axis"].tolist() == ["model", "model", "mlp.units", "mlp.units"]
    assert found["config_id"].tolist()[:2] == ["a", "b"]
    # Named by the study, it is an axis once.
    _, found = study(axes, {**space, "model": {"grid": ["cnn", "mlp"], "role": "scientific"}})
    assert found["axis"].tolist() == ["mlp.units", "mlp.units", "model", "model"]
    assert found["value"].tolist()[2:] == ["cnn", "mlp"]


def test_axes_with_one_value_or_another_role_or_no_column_are_left_out() -> None:
    axes = {"a": [1, 2, 1, 2], "b": [1, 1, 1, 1], "c": [1, 2, 1, 2]}
    space = {"a": {**GRID, "role": "nuisance"}, "b": GRID, "other": GRID}
    _, found = study(axes, space)
    assert found.empty
    assert list(found.columns) == list(column_names(SCIENTIFIC_COLUMNS))
    _, found = study(axes, {**space, "c": GRID})
    assert set(found["axis"]) == {"c"}
    assert found.index.tolist() == [0, 1]


@pytest.mark.parametrize(("values", "rows"), [(50, 50), (51, 0)])
def test_an_axis_has_at_most_fifty_values(values: int, rows: int) -> None:
    random = np.random.default_rng(0)
    ids = [f"{i:02}" for i in range(values)]
    scores = pd.DataFrame(random.random((3, values)), columns=ids)
    table = pd.DataFrame(
        {"config_id": ids, "label": ids, "model": "mlp", "units": range(values)}
        | {f"accuracy_{name}": scores.mean().to_numpy() for name in ("mean", "low", "high")}
    )
    found = scientific_values(Scored(scores, 0.5, "accuracy", 0.95, 1), table, {"units": GRID})
    assert len(found) == rows


def table_of(ids: str, units: list[int], means: list[float]) -> pd.DataFrame:
    """Return configurations in the order of `ids`."""
    return pd.DataFrame(
        {
            "config_id": list(ids),
            "label": list(ids),
            "model": "mlp",
            "units": units,
            "accuracy_mean": means,
            "accuracy_low": 0.0,
            "accuracy_high": 1.0,
        }
    )


def test_configurations_that_lost_trials_are_in_no_row() -> None:
    scored, _ = study({"units": [8, 4, 8, 4]}, {"units": GRID})
    table = table_of("xabcd", [4, 8, 4, 8, 4], [1.0, *SCORES.mean(axis=0)])
    found = scientific_values(scored, table, {"units": GRID})
    assert found["config_id"].tolist() == ["b", "a"]
    assert found["n_configurations"].tolist() == [2, 2]


def test_the_best_at_a_value_is_that_with_the_best_mean_whatever_stands_first() -> None:
    scored, _ = study({"units": [8, 4, 8, 4]}, {"units": GRID})
    table = table_of("dcba", [4, 8, 4, 8], [*SCORES.mean(axis=0)[::-1]])
    assert scientific_values(scored, table, {"units": GRID})["config_id"].tolist() == ["b", "a"]
