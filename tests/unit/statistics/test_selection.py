"""The luck of the selection: estimated from predictions, against studies whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from gridfold.objectives import KNEE
from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.requests import ComparisonRequest, Constraint, Objectives
from gridfold.statistics.selection import (
    Candidates,
    Selected,
    _effort,
    estimate_of_study,
    estimate_selection,
)
from gridfold.store.selection import SelectionFacts
from gridfold.training.measures import Scorer

Floats = npt.NDArray[np.float64]
MEASURES = [(p, m) for p in ("binary", "regression") for m in PROBLEM_KINDS[p].measures]


def estimate(
    folder: Path,
    targets: Floats,
    predictions: list[Floats],
    measure: str,
    *,
    folds: int = 5,
    groups: Floats | None = None,
    candidates: list[str] | None = None,
    shift: float = 0.0,
    function: str | None = None,
) -> SelectionFacts:
    """Return the estimate of a study whose configurations predict `predictions`, best first."""
    parts = np.array_split(np.arange(len(targets)), folds)
    tables = [
        pd.DataFrame(
            {
                "config_id": str(position),
                "split": f"r0f{fold}",
                "sample": part,
                "prediction": list(np.asarray(each[part], np.float32)),
            }
        )
        for position, each in enumerate(predictions)
        for fold, part in enumerate(parts)
    ]
    file = folder / "predictions.parquet"
    pd.concat(tables).to_parquet(file)
    first, scorer = np.asarray(predictions[0], np.float32), Scorer(measure, function)
    expected = {
        f"r0f{fold}": scorer.score(targets[part], first[part]) + shift
        for fold, part in enumerate(parts)
    }
    ids = candidates or [str(i) for i in range(len(predictions))]
    size = len(targets) / folds
    return estimate_selection(
        scorer,
        Selected(ids[0], expected, 1 / (folds - 1), 1 / size**2 / 12, len(targets)),
        targets,
        np.arange(len(targets)) if groups is None else groups,
        Candidates(ids, list(expected), [file]),
        0.95,
    )


def guesses(random: np.random.Generator, count: int, samples: int, skill: float = 0.5) -> Any:
    """Return binary targets and the predictions of equally able configurations, best first."""
    targets = random.integers(0, 2, samples)
    right = random.random((count, samples)) < skill
    right = right[np.argsort(-right.mean(axis=1), kind="stable")]
    return targets, [np.where(r, targets, 1 - targets)[:, None].astype(float) for r in right]


def test_the_best_of_many_guessers_is_found_to_guess(tmp_path: Path) -> None:
    random, apparent, corrected = np.random.default_rng(0), [], []
    for _ in range(30):
        found = estimate(tmp_path, *guesses(random, 20, 100), "accuracy")
        assert found.corrected is not None
        assert found.optimism is not None
        apparent.append(found.corrected + found.optimism)
        corrected.append(found.corrected)
    # Twenty guessers on 100 samples: the best is right in 0.5 + 1.87 x 0.05 of the cases.
    assert np.mean(apparent) == pytest.approx(0.59, abs=0.015)
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.015)


def test_a_clear_winner_needs_no_correction(tmp_path: Path) -> None:
    targets, poor = guesses(np.random.default_rng(1), 5, 200)
    found = estimate(tmp_path, targets, [targets[:, None] * 1.0, *poor], "accuracy")
    assert (found.corrected, found.optimism) == (1, 0)
    assert found.chosen == {"0": 1}
    # All right on 200 samples: as much as that, and no certainty.
    assert found.high == 1
    assert found.low is not None
    assert 0.9 < found.low < 0.99


def test_the_interval_holds_the_true_skill(tmp_path: Path) -> None:
    random, hits = np.random.default_rng(2), 0
    for _ in range(40):
        found = estimate(tmp_path, *guesses(random, 10, 100, skill=0.7), "accuracy")
        hits += found.low <= 0.7 <= found.high
    # Tsamardinos et al. (2018) find these intervals conservative.
    assert hits >= 37


@pytest.mark.parametrize(("problem", "measure"), MEASURES)
def test_every_measure_can_be_corrected(problem: str, measure: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    if problem == "binary":
        targets: Floats = random.integers(0, 2, 80)
        predictions = [
            np.clip(targets + random.normal(0, 0.6, 80), 0.01, 0.99)[:, None] for _ in range(3)
        ]
    else:
        targets = random.normal(size=(80, 2))
        predictions = [targets + random.normal(0, 0.6, (80, 2)) for _ in range(3)]
    best = {m: (min if m in ("mse", "rmse", "mae", "log_loss") else max) for _, m in MEASURES}
    score = {i: Scorer(measure).score(targets, p) for i, p in enumerate(predictions)}
    winner = best[measure](score, key=lambda i: score[i])
    ordered = [predictions[winner], *(p for i, p in enumerate(predictions) if i != winner)]
    found = estimate(tmp_path, targets, ordered, measure)
    assert found.obstacle == ""
    # Optimism makes a loss too small and a score too large.
    sign = 1 if best[measure] is min else -1
    assert sign * (found.corrected - score[winner]) > -0.02
    assert found.low < found.corrected < found.high


def test_grouped_samples_are_drawn_by_groups(tmp_path: Path) -> None:
    # Ten groups whose samples are all alike: ten samples, not a hundred.
    targets, predictions = guesses(np.random.default_rng(4), 6, 10, skill=0.7)
    many = np.repeat(targets, 10), [np.repeat(p, 10, axis=0) for p in predictions]
    groups = np.repeat(np.arange(10), 10)
    grouped = estimate(tmp_path, *many, "accuracy", groups=groups)
    alone = estimate(tmp_path, targets, predictions, "accuracy", folds=5)
    assert grouped.samples == 10
    assert grouped.optimism == pytest.approx(alone.optimism)
    assert grouped.high - grouped.low > 0.2


def test_one_configuration_was_not_selected(tmp_path: Path) -> None:
    found = estimate(tmp_path, *guesses(np.random.default_rng(5), 1, 50), "accuracy")
    assert found.corrected is None
    assert "nothing was selected" in found.obstacle


def test_predictions_on_another_scale_are_noticed(tmp_path: Path) -> None:
    found = estimate(tmp_path, *guesses(np.random.default_rng(6), 3, 50), "accuracy", shift=0.1)
    assert found.corrected is None
    assert "another scale" in found.obstacle


def test_the_same_predictions_give_the_same_estimate(tmp_path: Path) -> None:
    study = guesses(np.random.default_rng(7), 5, 60)
    assert estimate(tmp_path, *study, "mse") == estimate(tmp_path, *study, "mse")


def test_a_measure_of_the_users_own_is_called_for_each_draw(tmp_path: Path) -> None:
    # One draw in a few has no sample above the limit, and there is no score then.
    (tmp_path / "mine.py").write_text(
        "def top_score(targets, chances):\n"
        "    return (targets[chances > 0.97] == 1).mean() if (chances > 0.97).any() else 1 / 0\n"
    )
    reference = f"{tmp_path / 'mine.py'}:top_score"
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 60)
    predictions = []
    for noise in (0.5, 0.6, 0.7):
        chances = np.clip(targets * (1 - noise) + noise * random.random(60), 0, 0.95)
        chances[::6] = 0.98
        predictions.append(chances[:, None])
    found = estimate(tmp_path, targets, predictions, "top_score", function=reference)
    assert found.obstacle == ""
    assert 0 < found.resamples < 500
    assert found.low is not None
    assert found.high is not None
    assert found.low <= (found.corrected or 0) <= found.high


def shifted_by_fold(random: np.random.Generator, samples: int, folds: int) -> tuple[Any, Any]:
    """Return targets and chances that rank well within each fold, on another scale in each."""
    targets = random.integers(0, 2, samples)
    chances = np.clip(0.3 * targets + 0.5 * random.random(samples), 0, 1)
    for fold, part in enumerate(np.array_split(np.arange(samples), folds)):
        chances[part] = 0.1 * fold + 0.1 * chances[part]
    return targets, chances[:, None]


def test_scores_are_made_fold_by_fold_as_the_selection_made_them(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    targets, well_ranked = shifted_by_fold(random, 100, 5)
    # Ranks worse in each fold, and better over all of them, where it has one scale.
    others = [np.clip(0.2 * targets + random.random(100), 0, 1)[:, None] for _ in range(4)]
    predictions = [well_ranked, *others]
    pooled = [Scorer("roc_auc").score(targets, each) for each in predictions]
    assert np.argmax(pooled) != 0
    found = estimate(tmp_path, targets, predictions, "roc_auc")
    assert found.chosen["0"] > 0.95
    assert found.optimism == pytest.approx(0, abs=0.01)
    # The mean over the folds, not the area over all of them.
    assert found.corrected == pytest.approx(0.89, abs=0.05)


@pytest.mark.parametrize("measure", ["roc_auc", "f1", "balanced_accuracy", "rmse", "r2", "mse"])
def test_no_correction_makes_a_score_better(measure: str, tmp_path: Path) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        if measure in ("rmse", "r2", "mse"):
            targets = random.normal(size=(40, 1))
            predictions = [targets + random.normal(0, 1, (40, 1)) for _ in range(3)]
        else:
            targets = random.integers(0, 2, 40)
            predictions = [
                np.clip(0.3 * targets + random.random(40), 0, 1)[:, None] for _ in range(3)
            ]
        scorer, sign = Scorer(measure), Measure.of(measure).sign
        parts = np.array_split(np.arange(40), 5)
        means = [np.mean([scorer.score(targets[i], p[i]) for i in parts]) for p in predictions]
        order = np.argsort(-sign * np.array(means))
        found = estimate(tmp_path, targets, [predictions[i] for i in order], measure)
        assert found.corrected is not None
        assert found.optimism is not None
        assert found.drawn_optimism is not None
        assert found.optimism == max(0, found.drawn_optimism)
        assert sign * (means[order[0]] - found.corrected) >= -1e-6


def test_a_split_without_a_class_is_left_out(tmp_path: Path) -> None:
    targets, predictions = guesses(np.random.default_rng(9), 4, 50, skill=0.8)
    targets[:10] = 0
    # The order by the mean of those splits on which the area is defined.
    scorer = Scorer("roc_auc")
    parts = np.array_split(np.arange(50), 5)[1:]
    means = [np.mean([scorer.score(targets[i], p[i]) for i in parts]) for p in predictions]
    ordered = [predictions[i] for i in np.argsort(-np.array(means))]
    found = estimate(tmp_path, targets, ordered, "roc_auc")
    assert found.obstacle == ""
    assert found.resamples > 400
    assert found.corrected is not None
    assert found.corrected <= max(means)


def test_what_was_explored_counts_where_it_was_luckier(tmp_path: Path) -> None:
    """A hundred guessers, of which the best five are scored again on other splits."""
    random, corrected, by_finalists, confirmed = np.random.default_rng(10), [], [], []
    for _ in range(20):
        targets, predictions = guesses(random, 100, 80)
        finalists = list(map(str, range(5)))
        # New splits of the same samples, after trainings that are luckless by themselves.
        again = [
            np.where(random.random((80, 1)) < 0.7, each, random.integers(0, 2, (80, 1)))
            for each in predictions[:5]
        ]
        means = [float(((each[:, 0] > 0.5) == targets).mean()) for each in again]
        order = np.argsort(-np.array(means), kind="stable")
        files = {}
        for prefix, given, ids in (
            ("r", predictions, list(map(str, range(100)))),
            ("c", [again[i] for i in order], [finalists[i] for i in order]),
        ):
            rows = [
                pd.DataFrame(
                    {
                        "config_id": config_id,
                        "split": f"{prefix}0f{fold}",
                        "sample": part,
                        "prediction": list(np.asarray(each[part], np.float32)),
                    }
                )
                for config_id, each in zip(ids, given, strict=True)
                for fold, part in enumerate(np.array_split(np.arange(80), 5))
            ]
            file = tmp_path / f"{prefix}.parquet"
            pd.concat(rows).to_parquet(file)
            files[prefix] = Candidates(ids, [f"{prefix}0f{fold}" for fold in range(5)], [file])
        best = again[order[0]]
        expected = {
            f"c0f{fold}": float(((best[part, 0] > 0.5) == targets[part]).mean())
            for fold, part in enumerate(np.array_split(np.arange(80), 5))
        }
        selected = Selected(files["c"].ids[0], expected, 0.25, 0.0, 80)
        given = Scorer("accuracy"), selected, targets, np.arange(80), files["c"], 0.95
        found, alone = estimate_selection(*given, files["r"]), estimate_selection(*given)
        assert (found.explored, found.candidates, alone.explored) == (100, 100, 0)
        confirmed.append(means[order[0]])
        corrected.append(found.corrected)
        by_finalists.append(alone.corrected)
    assert np.mean(confirmed) > 0.57
    # The choice among five finalists explains a part of it, that among all hundred the rest.
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.02)
    assert np.mean(by_finalists) > np.mean(corrected) + 0.02


def test_what_was_explored_on_other_samples_flatters_nobody(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    targets, predictions = guesses(random, 10, 60)
    rows: dict[str, list[pd.DataFrame]] = {"r": [], "c": []}
    for position, each in enumerate(predictions):
        for stage, first in (("r", 0), ("c", 30)):
            for fold, part in enumerate(np.array_split(np.arange(first, first + 30), 3)):
                if stage == "r" or position < 3:
                    identity = {"config_id": str(position), "split": f"{stage}0f{fold}"}
                    found = list(np.asarray(each[part], np.float32))
                    table = pd.DataFrame({**identity, "sample": part, "prediction": found})
                    rows[stage].append(table)
    candidates = {}
    for stage, tables in rows.items():
        pd.concat(tables).to_parquet(tmp_path / f"{stage}.parquet")
        ids = [str(i) for i in range(10 if stage == "r" else 3)]
        splits = [f"{stage}0f{fold}" for fold in range(3)]
        candidates[stage] = Candidates(ids, splits, [tmp_path / f"{stage}.parquet"])
    parts = np.array_split(np.arange(30, 60), 3)
    expected = {
        f"c0f{fold}": float(((predictions[0][part, 0] > 0.5) == targets[part]).mean())
        for fold, part in enumerate(parts)
    }
    selected = Selected("0", expected, 0.5, 0.0, 30)
    given = Scorer("accuracy"), selected, targets, np.arange(60), candidates["c"], 0.95
    found = estimate_selection(*given, candidates["r"])
    assert found == replace(estimate_selection(*given), unseen=True)
    assert (found.explored, found.candidates) == (0, 3)


def test_what_a_race_has_left_behind_counts_on_the_splits_that_it_has(tmp_path: Path) -> None:
    """Forty guessers, of which twenty have two folds, and six have all."""
    random, apparent, corrected, by_finalists = np.random.default_rng(12), [], [], []
    parts = np.array_split(np.arange(100), 5)
    for _ in range(20):
        targets, predictions = guesses(random, 40, 100)
        right = np.stack([(each[:, 0] > 0.5) == targets for each in predictions])
        by_fold = np.stack([right[:, part].mean(axis=1) for part in parts], axis=1)
        better = np.argsort(-by_fold[:, 0], kind="stable")[:20]
        complete = better[np.argsort(-by_fold[better, :2].mean(axis=1), kind="stable")[:6]]
        complete = complete[np.argsort(-by_fold[complete].mean(axis=1), kind="stable")]
        folds = {i: 5 if i in complete else 2 if i in better else 1 for i in range(40)}
        rows = [
            pd.DataFrame(
                {
                    "config_id": str(i),
                    "split": f"r0f{fold}",
                    "sample": parts[fold],
                    "prediction": list(np.asarray(predictions[i][parts[fold]], np.float32)),
                }
            )
            for i, count in folds.items()
            for fold in range(count)
        ]
        pd.concat(rows).to_parquet(tmp_path / "race.parquet")
        splits = [f"r0f{fold}" for fold in range(5)]
        files = [tmp_path / "race.parquet"]
        ids = [*map(str, complete), *(str(i) for i in range(40) if i not in complete)]
        compared = Candidates(ids[:6], splits, files)
        explored = Candidates(ids, splits, files, may_miss=True)
        expected = dict(zip(splits, by_fold[complete[0]].tolist(), strict=True))
        selected = Selected(ids[0], expected, 0.25, 0.0, 100)
        given = Scorer("accuracy"), selected, targets, np.arange(100), compared, 0.95
        found, alone = estimate_selection(*given, explored), estimate_selection(*given)
        assert (found.explored, alone.explored) == (40, 0)
        apparent.append(by_fold[complete[0]].mean())
        corrected.append(found.corrected)
        by_finalists.append(alone.corrected)
    assert np.mean(apparent) > 0.56
    # Those left behind are many, and compared on few samples: rather too much is taken off.
    assert 0.47 < np.mean(corrected) < 0.515
    assert np.mean(by_finalists) > np.mean(corrected)


# -- what a search has explored, from the tables of a study ----------------------------------------


def study_tables(
    folder: Path, stages: dict[str, dict[str, int]], samples: int = 60, folds: int = 3
) -> tuple[pd.DataFrame, Floats, list[Path]]:
    """Return the trials of a search, its targets, and a file of predictions of each stage.

    `stages` has for each stage the configurations and how many splits each has of it. The later
    in the alphabet, the worse.
    """
    targets = np.random.default_rng(20).integers(0, 2, samples)
    parts = np.array_split(np.arange(samples), folds)
    rows, files = [], []
    for stage, configurations in stages.items():
        tables = []
        for name, count in configurations.items():
            random = np.random.default_rng([ord(name), stage == "confirm"])
            wrong = random.random(samples) < 0.1 + 0.06 * (ord(name) - ord("a"))
            chances = np.where(wrong, 1 - targets, targets).astype(np.float32)[:, None]
            letter = "c" if stage == "confirm" else "r"
            for fold, part in enumerate(parts[:count]):
                identity = {"config_id": name, "split": f"{letter}0f{fold}"}
                score = Scorer("accuracy").score(targets[part], chances[part])
                rows.append(
                    {
                        "stage": stage,
                        **identity,
                        "status": "finished",
                        "n_train": samples - len(part),
                        "n_validation": len(part),
                        "accuracy": score,
                        "total_parameters": 10 * (ord(name) - ord("a") + 1),
                    }
                )
                prediction = list(chances[part])
                tables.append(pd.DataFrame({**identity, "sample": part, "prediction": prediction}))
        files.append(folder / f"{stage}.parquet")
        pd.concat(tables).to_parquet(files[-1])
    return pd.DataFrame(rows), targets, files


def of_study(
    search: pd.DataFrame,
    compared: str,
    targets: Floats,
    files: list[Path],
    *,
    last: str = "",
    objectives: Objectives | None = None,
    explored: bool = True,
    failed: int = 0,
) -> SelectionFacts:
    """Return the estimate of a study that compares some configurations of a search in the end.

    `failed` is how many trials each of them has lost.
    """
    own = search[search["config_id"].isin(list(compared))]
    own = own[own["stage"] == last] if last else own
    trials = own.drop(columns="stage").drop_duplicates(["config_id", "split"], keep="last")
    means = trials.groupby("config_id")["accuracy"].mean().sort_values(ascending=False)
    configurations = pd.DataFrame(
        {"config_id": means.index, "n_failed": failed, "accuracy_mean": means.to_numpy()}
    )
    return estimate_of_study(
        ComparisonRequest("accuracy", 0.95, {}, objectives=objectives),
        trials,
        configurations,
        search,
        targets=targets,
        groups=np.arange(len(targets)),
        compared=files,
        explored=files if explored else [],
    )


def test_what_only_the_search_has_tried_counts_as_explored(tmp_path: Path) -> None:
    every = dict.fromkeys("abcdef", 3)
    search, targets, files = study_tables(tmp_path, {"explore": every, "refine1": {"a": 3, "b": 3}})
    assert of_study(search, "ab", targets, files).explored == 6
    # Without its predictions nothing is known of it, nor where all of it was compared.
    assert of_study(search, "ab", targets, files, explored=False).explored == 0
    assert of_study(search, "abcdef", targets, files).explored == 0


def test_what_lacks_a_split_of_the_first_stage_was_no_candidate(tmp_path: Path) -> None:
    stages = {"explore": {**dict.fromkeys("abcd", 3), "e": 2}, "refine1": {"a": 3, "b": 3}}
    search, targets, files = study_tables(tmp_path, stages)
    assert of_study(search, "ab", targets, files).explored == 4
    search.loc[search["config_id"].eq("d") & search["split"].eq("r0f1"), "status"] = "failed"
    assert of_study(search, "ab", targets, files).explored == 3
    search.loc[search["config_id"].eq("c"), "accuracy"] = np.nan
    # `a` and `b` alone are left, and these were compared.
    assert of_study(search, "ab", targets, files).explored == 0


def test_what_a_constraint_rules_out_was_no_candidate(tmp_path: Path) -> None:
    every = dict.fromkeys("abcdef", 3)
    search, targets, files = study_tables(tmp_path, {"explore": every, "refine1": {"a": 3, "b": 3}})
    limit = Objectives(("accuracy",), (Constraint("parameters", at_most=40),))
    assert of_study(search, "ab", targets, files, objectives=limit).explored == 4


def test_confirmed_scores_are_of_splits_of_their_own(tmp_path: Path) -> None:
    stages = {"explore": dict.fromkeys("abcde", 3), "confirm": {"a": 3, "b": 3}}
    search, targets, files = study_tables(tmp_path, stages)
    found = of_study(search, "ab", targets, files, last="confirm")
    assert (found.explored, found.unseen) == (5, False)


def test_a_race_counts_what_it_began_with(tmp_path: Path) -> None:
    stages = {
        "explore": dict.fromkeys("abcdefgh", 1),
        "race1": dict.fromkeys("abcd", 2),
        "race2": dict.fromkeys("ab", 3),
    }
    search, targets, files = study_tables(tmp_path, stages)
    search = search.drop_duplicates(["config_id", "split"])
    found = of_study(search, "ab", targets, files)
    assert found.explored == 8
    assert found.corrected is not None
    search.loc[search["config_id"].isin(list("gh")), "status"] = "failed"
    assert of_study(search, "ab", targets, files).explored == 6


def test_another_rule_than_the_best_mean_is_not_repeated(tmp_path: Path) -> None:
    search, targets, files = study_tables(tmp_path, {"explore": dict.fromkeys("abc", 3)})
    rule = Objectives(("accuracy", "parameters"), rule=KNEE)
    found = of_study(search, "abc", targets, files, objectives=rule)
    assert KNEE in found.obstacle
    assert (found.corrected, found.explored) == (None, 0)
    assert found.low is not None


def test_where_no_configuration_is_complete_that_is_said(tmp_path: Path) -> None:
    search, targets, files = study_tables(tmp_path, {"explore": dict.fromkeys("abc", 3)})
    found = of_study(search, "abc", targets, files, failed=1)
    assert found.obstacle == "No configuration finished all its trials."


# -- one split, and how much is drawn --------------------------------------------------------------


def test_of_one_split_the_interval_is_that_of_the_draws(tmp_path: Path) -> None:
    random = np.random.default_rng(21)
    targets, predictions = guesses(random, 4, 200, skill=0.8)
    pd.concat(
        pd.DataFrame(
            {
                "config_id": str(position),
                "split": "r0f0",
                "sample": np.arange(200),
                "prediction": list(np.asarray(each, np.float32)),
            }
        )
        for position, each in enumerate(predictions)
    ).to_parquet(tmp_path / "one.parquet")
    score = Scorer("accuracy").score(targets, predictions[0])
    found = estimate_selection(
        Scorer("accuracy"),
        Selected("0", {"r0f0": score}, 0.25, 0.0, 200),
        targets,
        np.arange(200),
        Candidates(list("0123"), ["r0f0"], [tmp_path / "one.parquet"]),
        0.9,
    )
    assert found.corrected is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.corrected < found.high
    # Judged on what is not drawn: a share of 1/e of the samples, none of them twice.
    expected = 1.645 * np.sqrt(score * (1 - score) / (200 / np.e) * (1 - 1 / np.e))
    assert found.high - found.low == pytest.approx(2 * expected, rel=0.15)


def test_the_more_is_to_be_weighed_the_less_is_drawn() -> None:
    assert _effort(Scorer("accuracy"), 10, 1000, 5) == (500, 10)
    # Ten thousand million products: 250 draws of a thousand candidates on 20,000 samples.
    assert _effort(Scorer("accuracy"), 1000, 20_000, 5) == (250, 1000)
    assert _effort(Scorer("accuracy"), 100_000, 20_000, 5) == (200, 1250)
    assert _effort(Scorer("roc_auc"), 1000, 20_000, 5) == (200, 62)
    assert _effort(Scorer("roc_auc"), 1000, 10**6, 5) == (200, 20)
    # Called for each draw, inside and outside, on each split.
    own = Scorer("own_score", "mine.py:own_score")
    assert _effort(own, 3, 1000, 5) == (500, 3)
    assert _effort(own, 8, 1000, 5) == (250, 8)
    assert _effort(own, 1000, 1000, 5) == (200, 20)
