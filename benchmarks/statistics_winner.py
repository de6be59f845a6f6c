"""How far the score of a selected configuration can be trusted: simulations with trained learners.

    python benchmarks/statistics_winner.py winner [--studies 200]

Each design is a study that is drawn anew many times: samples, splits, configurations that are
really trained with scikit-learn, the selection of the best mean, and what gridfold says of its
score. The truth is the mean score, on a large fresh sample, of the models of the selected
configuration. Prints the tables of docs/statistics.md.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from gridfold.final.test_score import test_scores
from gridfold.problems import Measure
from gridfold.statistics.bootstrap import percentiles, scores_of_draws
from gridfold.statistics.intervals import mean_interval, rounding_variance
from gridfold.statistics.selection import Candidates, Selected, estimate_selection
from gridfold.statistics.weighted import weighted_score
from gridfold.training.measures import Scorer

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
_FRESH = 5_000


# -- data: features, targets, groups ---------------------------------------------------------------


def _classes(random: np.random.Generator, samples: int, shift: float, share: float = 0.5) -> Arrays:
    """Draw two classes whose means differ by `shift` in each of four of eight features."""
    y = (random.random(samples) < share).astype(np.int64)
    x = random.normal(size=(samples, 8))
    x[:, :4] += shift * (y[:, None] - 0.5)
    return x, y, np.arange(samples)


def _numbers(random: np.random.Generator, samples: int, tail: float = 0.0) -> Arrays:
    """Draw a linear relation with noise: normal, or Student's t of so many degrees of freedom."""
    x = random.normal(size=(samples, 8))
    noise = random.standard_t(tail, samples) if tail else random.normal(size=samples)
    y = x[:, 0] + 0.5 * x[:, 1] + noise
    return x, y[:, None].astype(np.float32), np.arange(samples)


def _grouped(random: np.random.Generator, samples: int, size: int) -> Arrays:
    """Draw groups that share a shift of their features, and a tendency of their labels."""
    count = -(-samples // size)
    groups = np.repeat(np.arange(count), size)[:samples]
    own = random.normal(size=(count, 8))
    leaning = random.normal(size=count)
    y = (random.normal(size=samples) + leaning[groups] > 0).astype(np.int64)
    x = random.normal(size=(samples, 8)) + own[groups]
    x[:, :4] += 0.6 * (y[:, None] - 0.5)
    return x, y, groups


# -- learners --------------------------------------------------------------------------------------


def _trees(count: int) -> list[Any]:
    """Return equally able learners: trees that look at other features."""
    return [
        DecisionTreeClassifier(max_depth=3, max_features=3, splitter="random", random_state=seed)
        for seed in range(count)
    ]


def _forests(count: int) -> list[Any]:
    return [
        ExtraTreesClassifier(5, max_depth=depth, min_samples_leaf=leaf, random_state=seed)
        for seed, (depth, leaf) in enumerate((d, m) for d in range(1, 9) for m in (1, 4))
    ][:count]


def _logistic(count: int) -> list[Any]:
    penalties = np.logspace(-4, 2, count)
    return [make_pipeline(StandardScaler(), LogisticRegression(C=c)) for c in penalties]


def _regression_trees(count: int) -> list[Any]:
    return [
        DecisionTreeRegressor(max_depth=3, max_features=4, splitter="random", random_state=seed)
        for seed in range(count)
    ]


def _ridges(count: int) -> list[Any]:
    return [Ridge(alpha) for alpha in np.logspace(-2, 3, count)]


# -- studies ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Design:
    """A study that is drawn many times."""

    name: str
    draw: Callable[[np.random.Generator, int], Arrays]
    samples: int
    learners: list[Any]
    measure: str
    splitter: Any
    repeats: int = 1


def _designs() -> Iterator[Design]:
    def easy(shift: float, share: float = 0.5) -> Callable[[np.random.Generator, int], Arrays]:
        return lambda random, samples: _classes(random, samples, shift, share)

    five, ten = StratifiedKFold(5, shuffle=True), StratifiedKFold(10, shuffle=True)
    yield Design("random labels, 30 trees, 5 folds", easy(0.0), 60, _trees(30), "accuracy", five)
    yield Design("16 trees, 5 folds", easy(0.8), 100, _trees(16), "accuracy", five)
    yield Design("16 trees, 10 folds", easy(0.8), 100, _trees(16), "accuracy", ten)
    yield Design("16 trees, 3 × 5 folds", easy(0.8), 100, _trees(16), "accuracy", five, 3)
    yield Design("16 forests, nearly all right", easy(2.6), 100, _forests(16), "accuracy", five)
    yield Design("12 logistic models", easy(0.8), 100, _logistic(12), "accuracy", five)
    yield Design("16 trees, hold-out", easy(0.8), 150, _trees(16), "accuracy", ShuffleSplit(1))
    yield Design("16 trees", easy(0.8), 100, _trees(16), "roc_auc", five)
    yield Design("12 logistic models", easy(0.8), 100, _logistic(12), "roc_auc", five)
    yield Design("16 trees, one positive in five", easy(0.8, 0.2), 100, _trees(16), "f1", five)
    yield Design("16 trees", easy(0.8), 100, _trees(16), "log_loss", five)
    kfold = KFold(5, shuffle=True)
    yield Design("16 trees", _numbers, 100, _regression_trees(16), "rmse", kfold)
    yield Design("16 trees", _numbers, 100, _regression_trees(16), "r2", kfold)
    yield Design(
        "12 ridges, heavy tails", lambda r, n: _numbers(r, n, 3.0), 100, _ridges(12), "mse", kfold
    )
    yield Design(
        "16 trees, 25 groups of 6", lambda r, n: _grouped(r, n, 6), 150, _trees(16), "accuracy",
        GroupKFold(5, shuffle=True),
    )  # fmt: skip


def _predict(model: Any, x: np.ndarray) -> np.ndarray:
    found = model.predict_proba(x)[:, 1] if hasattr(model, "predict_proba") else model.predict(x)
    return np.asarray(found, np.float32).reshape(len(x), 1)


def _score(scorer: Scorer, targets: np.ndarray, prediction: np.ndarray) -> float:
    """Score as scikit-learn does, in a tenth of the time."""
    return float(weighted_score(scorer, targets, prediction)(np.ones((1, len(targets))))[0])


def _splits(design: Design, data: Arrays, seed: int) -> dict[str, tuple[Any, Any]]:
    found = {}
    for repeat in range(design.repeats):
        splitter = design.splitter
        splitter.random_state = 1000 * seed + repeat
        if isinstance(splitter, ShuffleSplit):
            splitter.test_size = 0.3
        for fold, parts in enumerate(splitter.split(data[0], data[1].ravel(), data[2])):
            found[f"r{repeat}f{fold}"] = parts
    return found


@dataclass(frozen=True)
class Drawn:
    """One study: what it says, and what is true."""

    naive: float
    naive_low: float
    naive_high: float
    corrected: float
    low: float
    high: float
    optimism: float
    truth: float


def _study(design: Design, seed: int, folder: Path) -> Drawn:
    random = np.random.default_rng(seed)
    data = design.draw(random, design.samples)
    fresh = design.draw(random, _FRESH)
    x, y, groups = data
    scorer = Scorer(design.measure)
    splits = _splits(design, data, seed)
    scores = np.full((len(design.learners), len(splits)), np.nan)
    parts = []
    for number, learner in enumerate(design.learners):
        for place, (name, (training, validation)) in enumerate(splits.items()):
            model = learner.fit(x[training], y[training].ravel())
            prediction = _predict(model, x[validation])
            scores[number, place] = _score(scorer, y[validation], prediction)
            parts.append((str(number), name, validation, prediction))
    file = _table(folder / "predictions.parquet", parts)
    sign = Measure.of(design.measure).sign
    means = np.nanmean(scores, axis=1)
    order = np.argsort(-sign * means, kind="stable")
    best = int(order[0])
    lengths = [(len(validation), len(training)) for training, validation in splits.values()]
    ratio = float(np.mean([v / t for v, t in lengths]))
    least = rounding_variance(design.measure, scores[best], [v for v, _ in lengths])
    plain = mean_interval(scores[best], ratio, 0.95, least)
    low, high = Measure.of(design.measure).range
    found = estimate_selection(
        scorer,
        Selected(
            str(best),
            dict(zip(splits, scores[best], strict=True)),
            ratio,
            least,
            sum(v for v, _ in lengths) // design.repeats,
        ),
        y,
        groups,
        Candidates([str(i) for i in order], list(splits), [file]),
        0.95,
    )
    # The very models of the selected configuration: seeds are fixed.
    models = (
        design.learners[best].fit(x[training], y[training].ravel())
        for training, _ in splits.values()
    )
    fresh_scores = [scorer.score(fresh[1], _predict(model, fresh[0])) for model in models]
    nan = float("nan")
    return Drawn(
        plain.mean,
        max(plain.low, low),
        min(plain.high, high),
        nan if found.corrected is None else found.corrected,
        nan if found.low is None else found.low,
        nan if found.high is None else found.high,
        nan if found.drawn_optimism is None else found.drawn_optimism,
        float(np.mean(fresh_scores)),
    )


def winner(studies: int) -> None:
    """Print how good the winner's score is as selected, and corrected."""
    print("| design | measure | truth | as selected | corrected | coverage of mean ± | of the "
          "headline |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for design in _designs():
            rows = [_study(design, seed, Path(folder)) for seed in range(studies)]
            table = pd.DataFrame([vars(row) for row in rows])
            plain = (table.naive_low <= table.truth) & (table.truth <= table.naive_high)
            headline = (table.low <= table.truth) & (table.truth <= table.high)
            # A single split has no mean with an interval.
            covered = f"{plain.mean():.0%}" if table.naive_low.notna().any() else "none"
            print(
                f"| {design.name} | {design.measure} | {table.truth.mean():.3f} | "
                f"{table.naive.mean():.3f} | {table.corrected.mean():.3f} | "
                f"{covered} | {headline.mean():.0%} |",
                flush=True,
            )


# -- a search in stages ----------------------------------------------------------------------------


def _table(file: Path, parts: list[tuple[str, str, np.ndarray, np.ndarray]]) -> Path:
    """Write predictions as training jobs do: configuration, split, samples, predictions."""
    sizes = [len(validation) for _, _, validation, _ in parts]
    pd.DataFrame(
        {
            "config_id": np.repeat([name for name, *_ in parts], sizes),
            "split": np.repeat([split for _, split, *_ in parts], sizes),
            "sample": np.concatenate([validation for *_, validation, _ in parts]),
            "prediction": list(np.concatenate([prediction for *_, prediction in parts])),
        }
    ).to_parquet(file)
    return file


def confirm(studies: int) -> None:
    """Print what a confirmation on new splits of the same samples is worth."""
    print("| data | explored | confirmed | corrected by finalists | by all explored | truth |")
    print("| --- | --- | --- | --- | --- | --- |")
    tried, finalists = 100, 5
    scorer = Scorer("accuracy")
    for title, shift in (("random labels", 0.0), ("two classes", 0.8)):
        rows = []
        for seed in range(studies):
            random = np.random.default_rng(seed)
            x, y, groups = _classes(random, 100, shift)
            fresh_x, fresh_y, _ = _classes(random, _FRESH, shift)
            learners = _trees(tried)
            means, files, truths = {}, {}, {}
            ids = [str(i) for i in range(tried)]
            with tempfile.TemporaryDirectory() as folder:
                for stage in ("r", "c"):
                    folds = StratifiedKFold(5, shuffle=True, random_state=1000 * seed + ord(stage))
                    parts, scores = [], {name: {} for name in ids}
                    for name in ids:
                        for fold, (training, validation) in enumerate(folds.split(x, y)):
                            model = learners[int(name)].fit(x[training], y[training])
                            found = _predict(model, x[validation])
                            split = f"{stage}0f{fold}"
                            parts.append((name, split, validation, found))
                            scores[name][split] = _score(scorer, y[validation], found)
                            if stage == "c":
                                truth = _score(scorer, fresh_y, _predict(model, fresh_x))
                                truths.setdefault(name, []).append(truth)
                    means[stage] = scores
                    order = sorted(ids, key=lambda name: -np.mean([*scores[name].values()]))
                    file = _table(Path(folder) / f"{stage}.parquet", parts)
                    files[stage] = Candidates(order, [f"{stage}0f{i}" for i in range(5)], [file])
                    if stage == "r":
                        explored = float(np.mean([*scores[order[0]].values()]))
                        ids = order[:finalists]
                best = files["c"].ids[0]
                own = means["c"][best]
                selected = Selected(best, own, 0.25, 0.0, 100)
                given = scorer, selected, y, groups, files["c"], 0.95
                rows.append(
                    (
                        explored,
                        np.mean([*own.values()]),
                        estimate_selection(*given).corrected,
                        estimate_selection(*given, files["r"]).corrected,
                        np.mean(truths[best]),
                    )
                )
        shown = " | ".join(f"{value:.3f}" for value in np.mean(np.array(rows, float), axis=0))
        print(f"| {title} | {shown} |", flush=True)


# -- the held-out test set -------------------------------------------------------------------------


def _remembering(random: np.random.Generator, points: int, memory: float) -> Arrays:
    """Draw a series with a linear relation, whose noise remembers the point before."""
    noise = lfilter([1], [1, -memory], random.normal(size=points + 100))
    x = random.normal(size=(points, 8))
    y = x[:, 0] + 0.5 * x[:, 1] + noise[100:] * np.sqrt(1 - memory**2)
    return x, y[:, None].astype(np.float32), np.arange(points)


def held_out(studies: int) -> None:
    """Print how often intervals of test scores hold the score on many fresh samples."""
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)

    def series(memory: float) -> Callable[[np.random.Generator, int], Arrays]:
        return lambda random, samples: _remembering(random, samples, memory)

    def groups_of(size: int) -> Callable[[np.random.Generator, int], Arrays]:
        return lambda random, samples: _grouped(random, samples, size)

    def heavy(tail: float) -> Callable[[np.random.Generator, int], Arrays]:
        return lambda random, samples: _numbers(random, samples, tail)

    designs = [
        ("8 groups of 20", groups_of(20), tree, "accuracy", 160),
        ("15 groups of 20", groups_of(20), tree, "accuracy", 300),
        ("40 groups of 20", groups_of(20), tree, "accuracy", 800),
        ("15 groups of 20", groups_of(20), tree, "roc_auc", 300),
        ("15 groups of 20", groups_of(20), tree, "log_loss", 300),
        ("150 points in time, memory 0.5", series(0.5), Ridge(), "mae", 150),
        ("150 points in time, memory 0.8", series(0.8), Ridge(), "mae", 150),
        ("150 points in time, memory 0.95", series(0.95), Ridge(), "mae", 150),
        ("500 points in time, memory 0.8", series(0.8), Ridge(), "mae", 500),
        ("40 samples, normal errors", _numbers, Ridge(), "mse", 40),
        ("40 samples, errors of t with 5", heavy(5.0), Ridge(), "mse", 40),
        ("40 samples, errors of t with 3", heavy(3.0), Ridge(), "mse", 40),
        ("200 samples, errors of t with 3", heavy(3.0), Ridge(), "mse", 200),
        ("40 samples, errors of t with 3", heavy(3.0), Ridge(), "mae", 40),
    ]
    print("| test set | measure | percentile bootstrap of samples | reported |")
    print("| --- | --- | --- | --- |")
    for title, draw, learner, measure, samples in designs:
        scorer = Scorer(measure)
        problem = "binary" if learner is tree else "regression"
        hits, plain = 0, 0
        for seed in range(studies):
            random = np.random.default_rng(seed)
            x, y, _ = draw(random, 200)
            model = learner.fit(x, y.ravel())
            fresh_x, fresh_y, _ = draw(random, 40_000)
            truth = scorer.score(fresh_y, _predict(model, fresh_x))
            test_x, test_y, groups = draw(random, samples)
            prediction = _predict(model, test_x)
            times = np.arange(samples) if "time" in title else None
            found = test_scores(
                problem, test_y, prediction, measure, 0.95, {}, (), 0.5, groups, times
            )
            assert found is not None
            hits += found.low <= truth <= found.high
            drawn = percentiles(scores_of_draws(scorer, test_y, prediction), [samples], 0.95)
            plain += drawn.low <= truth <= drawn.high
        print(f"| {title} | {measure} | {plain / studies:.0%} | {hits / studies:.0%} |", flush=True)


# -- early stopping --------------------------------------------------------------------------------

_EPOCHS, _PATIENCE = 50, 5


def _epoch_predictions(
    x: np.ndarray, y: np.ndarray, training: np.ndarray, others: dict[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Train a small network; return its probabilities for other samples after each epoch."""
    scaler = StandardScaler().fit(x[training])
    model = MLPClassifier((16,), learning_rate_init=0.01, batch_size=16, random_state=seed)
    random = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {name: [] for name in others}
    given = {name: scaler.transform(samples) for name, samples in others.items()}
    for _ in range(_EPOCHS):
        order = random.permutation(training)
        model.partial_fit(scaler.transform(x[order]), y[order], classes=[0, 1])
        for name, samples in given.items():
            found[name].append(model.predict_proba(samples)[:, 1])
    return {name: np.stack(each) for name, each in found.items()}


def _stopped_at(chances: np.ndarray, targets: np.ndarray, by: str) -> int:
    """Return the epoch whose weights early stopping keeps."""
    if by == "accuracy":
        watched = -((chances > 0.5) == targets).mean(axis=1)
    else:
        clipped = np.clip(chances, 1e-7, 1 - 1e-7)
        watched = -np.log(np.where(targets == 1, clipped, 1 - clipped)).mean(axis=1)
    best = 0
    for epoch, value in enumerate(watched):
        if value < watched[best]:
            best = epoch
        elif epoch - best >= _PATIENCE:
            break
    return best


def stopping(studies: int) -> None:
    """Print how much early stopping on the samples that are scored flatters."""
    print("| data | early stopping looks at | score over 5 folds | true score of these models |")
    print("| --- | --- | --- | --- |")
    for title, shift in (("random labels", 0.0), ("two classes", 0.8)):
        rows: dict[str, list[tuple[float, float]]] = {}
        for seed in range(studies):
            random = np.random.default_rng(seed)
            x, y, _ = _classes(random, 100, shift)
            fresh_x, fresh_y, _ = _classes(random, 2_000, shift)
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            found: dict[str, list[tuple[float, float]]] = {}
            for training, validation in folds.split(x, y):
                scored = {"scored": x[validation], "fresh": fresh_x}
                whole = _epoch_predictions(x, y, training, scored, seed)
                fitted, inner = train_test_split(
                    training, test_size=0.2, stratify=y[training], random_state=seed
                )
                part = _epoch_predictions(x, y, fitted, {**scored, "inner": x[inner]}, seed)
                epochs = {
                    "the scored part, accuracy": (
                        whole, _stopped_at(whole["scored"], y[validation], "accuracy")
                    ),
                    "the scored part, loss": (
                        whole, _stopped_at(whole["scored"], y[validation], "loss")
                    ),
                    "an inner part, accuracy": (
                        part, _stopped_at(part["inner"], y[inner], "accuracy")
                    ),
                    "an inner part, loss": (part, _stopped_at(part["inner"], y[inner], "loss")),
                    "nothing (20 epochs)": (whole, 19),
                }  # fmt: skip
                for name, (chances, epoch) in epochs.items():
                    pair = [
                        float(((chances[on][epoch] > 0.5) == truth).mean())
                        for on, truth in (("scored", y[validation]), ("fresh", fresh_y))
                    ]
                    found.setdefault(name, []).append((pair[0], pair[1]))
            for name, pairs in found.items():
                mean = np.mean(pairs, axis=0)
                rows.setdefault(name, []).append((mean[0], mean[1]))
        for name, pairs in rows.items():
            score, truth = np.mean(pairs, axis=0)
            print(f"| {title} | {name} | {score:.3f} | {truth:.3f} |", flush=True)


SIMULATIONS = {"winner": winner, "confirm": confirm, "stopping": stopping, "test": held_out}


def main() -> None:
    """Run one of the simulations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("simulation", choices=[*SIMULATIONS])
    parser.add_argument("--studies", type=int, default=200)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    SIMULATIONS[given.simulation](given.studies)


if __name__ == "__main__":
    main()
