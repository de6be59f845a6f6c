"""Importance of the axes: the one that matters is found, where it is defined."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

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
        str(scope): dict(zip(rows["axis"], rows["share"], strict=True))
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


def test_on_a_full_grid_it_is_that_of_an_analysis_of_variance() -> None:
    """By statsmodels, which is fitted to the same terms."""
    random = np.random.default_rng(1)
    rows = study().query("model == 'mlp'").reset_index(drop=True)
    rows = rows.assign(accuracy_mean=rows["accuracy_mean"] + random.normal(0, 0.02, len(rows)))
    found = importance(rows, SPACE, "accuracy").set_index("axis")
    frame = pd.DataFrame(
        {
            "score": rows["accuracy_mean"],
            "units": rows["mlp.units"].astype(str),
            "rate": rows["training.learning_rate"].astype(str),
        }
    )
    fitted = ols("score ~ C(units) + C(rate)", frame).fit()
    table = anova_lm(fitted, typ=2)
    noise = table.loc["Residual", "sum_sq"] / table.loc["Residual", "df"]
    total = np.square(frame["score"] - frame["score"].mean()).sum()
    p_values = []
    for axis, term in (("mlp.units", "C(units)"), ("training.learning_rate", "C(rate)")):
        share = (table.loc[term, "sum_sq"] - table.loc[term, "df"] * noise) / total
        assert found.loc[axis, "share"] == pytest.approx(max(0, share), abs=1e-9)
        p_values.append(table.loc[term, "PR(>F)"])
    adjusted = multipletests(p_values, method="holm")[1]
    assert found.loc[["mlp.units", "training.learning_rate"], "p_value"].to_numpy() == (
        pytest.approx(adjusted, rel=1e-6)
    )


def drawn(random: np.random.Generator, count: int, axes: int) -> tuple[pd.DataFrame, Any]:
    """Return configurations of a random search, and their values between -1 and 1."""
    values = random.uniform(-1, 1, (count, axes))
    names = [f"python.a{number}" for number in range(axes)]
    table = pd.DataFrame(values, columns=names).assign(model="python", n_failed=0)
    return table, values


SEARCHED = {f"python.a{n}": {"float": {"min": -1, "max": 1, "log": False}} for n in range(6)}


def test_an_axis_without_effect_has_no_share_on_average() -> None:
    """Two axes matter, one by a curve; four do not; a fourth of the variance is noise."""
    random = np.random.default_rng(0)
    shares, found, first = [], 0, 0
    for _ in range(200):
        table, values = drawn(random, 24, 6)
        effect = values[:, 0] + np.square(values[:, 1])
        scores = effect + random.normal(0, effect.std() / np.sqrt(3), len(table))
        result = importance(table.assign(accuracy_mean=scores), SEARCHED, "accuracy")
        rows = result.set_index("axis")
        shares.append(rows.reindex(SEARCHED)["share"].to_numpy())
        found += (rows.loc[[f"python.a{n}" for n in range(2, 6)], "p_value"] <= 0.05).any()
        first += result["axis"].iloc[0] in ("python.a0", "python.a1")
    means = np.mean(shares, axis=0)
    # Cut at zero, what is nothing on average is a little above it.
    assert means[2:].max() < 0.05
    assert means[0] == pytest.approx(0.59, abs=0.08)
    assert means[1] == pytest.approx(0.16, abs=0.06)
    assert first == 200
    # At most 5% and what chance adds to that in 200 studies.
    assert found <= 20


def test_of_noise_alone_nothing_is_found() -> None:
    random = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        table, _ = drawn(random, 16, 3)
        rows = importance(table.assign(accuracy_mean=random.normal(size=16)), SEARCHED, "accuracy")
        found += (rows["p_value"] <= 0.05).any()
        assert rows["rest"].iloc[0] == pytest.approx(1 - rows["share"].sum())
    assert found <= 20


def test_interactions_belong_to_the_rest() -> None:
    grid = list(itertools.product([-1.0, 0.0, 1.0], repeat=2)) * 3
    table = pd.DataFrame(grid, columns=["python.a0", "python.a1"])
    scores = (table["python.a0"] * table["python.a1"]).to_numpy()
    table = table.assign(model="python", n_failed=0, accuracy_mean=scores)
    rows = importance(table, SEARCHED, "accuracy")
    assert rows["share"].max() < 0.01
    assert rows["rest"].iloc[0] > 0.99


def test_axes_that_move_together_are_one() -> None:
    table, values = drawn(np.random.default_rng(0), 12, 2)
    table = table.assign(**{"python.a1": -table["python.a0"]}, accuracy_mean=values[:, 0])
    rows = importance(table, SEARCHED, "accuracy")
    assert rows["axis"].tolist() == ["python.a0 + python.a1"]
    assert rows["share"].iloc[0] > 0.99


def test_more_terms_than_configurations_say_nothing() -> None:
    table, values = drawn(np.random.default_rng(0), 8, 6)
    assert importance(table.assign(accuracy_mean=values[:, 0]), SEARCHED, "accuracy").empty


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


def test_the_model_is_an_axis_once_although_the_study_names_it() -> None:
    named = {"model": {"grid": ["mlp", "cnn"]}, **SPACE}
    found, expected = (importance(study(), space, "accuracy") for space in (named, SPACE))
    pd.testing.assert_frame_equal(found, expected)
