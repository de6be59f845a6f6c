"""Simulations of baselines and of the chance level, with trained learners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier
from statistics_learners import LEARNERS, RESAMPLINGS, Resampling

from gridfold.baselines.comparison import compare_baselines
from gridfold.final.chance import Shuffle, against_chance
from gridfold.requests import ComparedBaselinesRequest
from gridfold.store.chance import ChanceLevel
from gridfold.training.measures import Scorer

Array = Any
_REQUEST = ComparedBaselinesRequest("accuracy", 0.95, "binary")
_BASELINES = ("linear", "gradient_boosting")
_LEARNERS = ("order of samples (SGD)", "own features (naive Bayes)")


def favour(studies: int = 200) -> None:
    """Print how often the winner seems better than the best of two equally good baselines."""
    print("| resampling | equally good learners | configurations | better | worse |")
    print("|---|---|---:|---:|---:|")
    for resampling in RESAMPLINGS[2:4]:
        for name in _LEARNERS:
            learn = LEARNERS[name]
            random = np.random.default_rng(0)
            drawn = [learn(resampling, 16 + len(_BASELINES), random) for _ in range(studies)]
            for count in (1, 16):
                said = [_verdict(scores, count, resampling) for scores in drawn]
                shares = [f"{100 * said.count(sign) / studies:.1f}%" for sign in (1, -1)]
                print(f"| {resampling} | {name} | {count} | {' | '.join(shares)} |", flush=True)


def _verdict(scores: Array, count: int, resampling: Resampling) -> int:
    """Return 1 or -1 where the answer says better or worse, 0 where it says neither."""
    best = int(scores[:, :count].mean(axis=0).argmax())

    def table(column: int, **names: Any) -> pd.DataFrame:
        validated = resampling.validated
        return pd.DataFrame(
            {
                **names,
                "split": [f"r0f{i}" for i in range(len(scores))],
                "status": "finished",
                "reason": "",
                "n_train": resampling.samples - validated,
                "n_fitted": resampling.samples - validated,
                "n_validation": validated,
                "seconds": 0.0,
                "accuracy": scores[:, column],
            }
        )

    fits = [table(16 + i, baseline=name) for i, name in enumerate(_BASELINES)]
    found = compare_baselines(_REQUEST, pd.concat(fits), table(best, config_id="best"), "best")
    row = found.iloc[0]
    return int(-np.sign(row["difference"])) if row["p_value"] <= 0.05 else 0


def chance(studies: int = 500) -> None:
    """Print how often a training is said to have seen the labels that it is scored by."""
    print("| validation samples | none seen | best of 5 by them | best of 20 |")
    print("|---:|---:|---:|---:|")
    for validated in (30, 100, 300):
        shares = []
        for tried in (1, 5, 20):
            random = np.random.default_rng(0)
            found = [_is_above(validated, tried, random) for _ in range(studies)]
            shares.append(f"{100 * np.mean(found):.1f}%")
        print(f"| {validated} | {' | '.join(shares)} |", flush=True)


def _is_above(validated: int, tried: int, random: np.random.Generator) -> bool:
    """Train trees on labels that mean nothing; keep the one that is best on what is scored."""
    samples = 5 * validated
    x, y = random.normal(size=(samples, 5)), random.integers(2, size=samples)
    rows = np.arange(validated)
    train, truth = np.arange(validated, samples), y[:validated]
    predictions = []
    for _ in range(tried):
        seed = int(random.integers(2**31))
        tree = DecisionTreeClassifier(splitter="random", max_depth=4, random_state=seed)
        predictions.append(tree.fit(x[train], y[train]).predict_proba(x[rows])[:, 1:])
    scorer = Scorer("accuracy")
    best = max(predictions, key=lambda prediction: scorer.score(truth, prediction))
    level = ChanceLevel("", "accuracy", "r0f0", "samples", None, None, None, None, 0, 0, 0, 0.0)
    found = against_chance(level, scorer, Shuffle("samples"), truth, best, rows, random)
    return found.is_above_chance
