"""Importance of the axes: the one that matters is found, where it is defined."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.statistics.importance import IMPORTANCE_COLUMNS, importance

RATE = {"logspace": {"start": 1e-3, "stop": 1e-1, "num": 3}}
SPACE: dict[str, dict[str, Any]] = {
    "mlp.units": {"grid": [8, 16, 32]},
    "cnn.filters": {"grid": [4, 8]},
    "training.learning_rate": RATE,
}


def study() -> pd.DataFrame:
    """Return configurations whose score depends on the rate, and for the MLP on its units."""
    rates = [1e-3, 1e-2, 1e-1]
    rows: list[dict[str, Any]] = [
        {"model": "mlp", "mlp.units": units, "training.learning_rate": rate}
        for units, rate in itertools.product([8, 16, 32], rates)
    ]
    rows += [
        {"model": "cnn", "cnn.filters": filters, "training.learning_rate": rate}
        for filters, rate in itertools.product([4, 8], rates)
    ]
    table = pd.DataFrame(rows).astype({"mlp.units": "Int64", "cnn.filters": "Int64"})
    units = table["mlp.units"].fillna(0).to_numpy(float)
    score = 0.5 + 0.1 * np.log10(table["training.learning_rate"]) + 0.001 * units
    return table.assign(accuracy_mean=score, n_failed=0)


def scopes(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {
        str(scope): dict(zip(rows["axis"], rows["fanova"], strict=True))
        for scope, rows in table.groupby("scope", sort=False)
    }


def test_axes_are_judged_only_among_configurations_that_have_them() -> None:
    found = importance(study(), SPACE, "accuracy")
    assert list(found.columns) == [column.name for column in IMPORTANCE_COLUMNS]
    by_scope = scopes(found)
    assert {scope: set(axes) for scope, axes in by_scope.items()} == {
        "all configurations": {"model", "training.learning_rate"},
        "model = mlp": {"mlp.units", "training.learning_rate"},
        "model = cnn": {"cnn.filters", "training.learning_rate"},
    }
    assert found.groupby("scope")["n_configurations"].first().to_dict() == {
        "all configurations": 15,
        "model = mlp": 9,
        "model = cnn": 6,
    }


def test_what_matters_is_found_and_what_does_not_is_not() -> None:
    by_scope = scopes(importance(study(), SPACE, "accuracy"))
    assert by_scope["model = cnn"]["training.learning_rate"] > 0.9
    assert by_scope["model = cnn"]["cnn.filters"] < 0.1
    assert by_scope["model = mlp"]["training.learning_rate"] > 0.9


def test_on_a_full_grid_it_is_the_share_of_an_analysis_of_variance() -> None:
    rows = study().query("model == 'mlp'")
    values = rows["accuracy_mean"].to_numpy().reshape(3, 3)
    effects = [np.var(values.mean(axis=1)), np.var(values.mean(axis=0))]
    expected = effects[1] / sum(effects)
    # The forest splits midway between the grid's values, so the ends weigh less than a third.
    found = scopes(importance(study(), SPACE, "accuracy"))["model = mlp"]["training.learning_rate"]
    assert found == pytest.approx(expected, abs=0.05)


def test_shares_add_up_to_one_by_either_method() -> None:
    sums = importance(study(), SPACE, "accuracy").groupby("scope")[["fanova", "ped_anova"]].sum()
    assert sums.to_numpy() == pytest.approx(1)


def test_the_same_study_gives_the_same_importance() -> None:
    pd.testing.assert_frame_equal(
        importance(study(), SPACE, "accuracy"), importance(study(), SPACE, "accuracy")
    )


def test_configurations_that_lost_trials_do_not_count() -> None:
    table = study()
    table.loc[table["model"] == "cnn", "n_failed"] = 1
    assert set(importance(table, SPACE, "accuracy")["scope"]) == {"all configurations"}


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_of_too_few_configurations_nothing_is_said(kept: int) -> None:
    found = importance(study().head(kept), SPACE, "accuracy")
    assert found.empty
    assert list(found.columns) == [column.name for column in IMPORTANCE_COLUMNS]


def test_without_any_difference_nothing_matters() -> None:
    assert importance(study().assign(accuracy_mean=0.5), SPACE, "accuracy").empty
