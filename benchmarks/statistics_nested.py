"""How far the nested estimate can be trusted: simulated studies with outer folds.

    python benchmarks/statistics_nested.py [--studies 200]

Each design is a study that is drawn anew many times: samples, splits, trees of scikit-learn that
are really trained, the search in each outer fold, and what gridfold says. The truth of the nested
estimate is the mean score, on a large fresh sample, of the winners of the outer folds. Prints the
table of docs/statistics.md.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Split, Splits, make_splits
from gridfold.plan.stage_file import StageFile
from gridfold.requests import (
    ChoiceRequest,
    ChosenConfiguration,
    NestedFold,
    NestedRequest,
    SplitsRequest,
)
from gridfold.search.nested import nested_table, winner_of_fold
from gridfold.statistics.nested import nested_estimate
from gridfold.statistics.weighted import weighted_score
from gridfold.store.nested import NestedEstimate
from gridfold.training.measures import Scorer

_FRESH = 5_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Design:
    """A study that is drawn many times.

    Attributes
    ----------
    name : str
    measure : str
    samples : int
    signal : float
        How much four of eight features say; 0 for labels that are drawn at random.
    trees : int
        Configurations, equally able: trees that look at other features.
    outer : mapping
        Section ``resampling.outer``.
    """

    name: str
    measure: str
    samples: int
    signal: float
    trees: int
    outer: Mapping[str, int]

    @property
    def is_classification(self) -> bool:
        """Whether labels are classes."""
        return self.measure in ("accuracy", "roc_auc")

    def draw(self, random: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw features and targets."""
        x = random.normal(size=(samples, 8))
        if self.is_classification:
            y = random.permutation(np.arange(samples) % 2)
            x[:, :4] += self.signal * (y[:, None] - 0.5)
            return x.astype(np.float32), y
        y = self.signal * x[:, 0] + random.normal(size=samples)
        return x.astype(np.float32), y[:, None].astype(np.float32)

    def tree(self, seed: int) -> Any:
        """Return a configuration."""
        kind: Any = DecisionTreeClassifier if self.is_classification else DecisionTreeRegressor
        return kind(max_depth=3, max_features=3, splitter="random", random_state=seed)


@dataclass(frozen=True)
class Drawn:
    """One study: what it says, and what is true.

    Attributes
    ----------
    selected : float
        Mean of the configuration that the study itself selects, over its splits.
    final : float
        Score on fresh samples of its final model.
    nested : NestedEstimate
    truth : float
        Mean score on fresh samples of the winners of the outer folds.
    """

    selected: float
    final: float
    nested: NestedEstimate
    truth: float


class _Study:
    """A study in memory, whose jobs write the tables that gridfold reads."""

    def __init__(self, design: Design, seed: int, folder: Path) -> None:
        random = np.random.default_rng(seed)
        self._design, self._folder = design, folder
        self._x, self._y = design.draw(random, design.samples)
        self._fresh = design.draw(random, _FRESH)
        self._scorer = Scorer(design.measure)
        classes = ["a", "b"] if design.is_classification else None
        data = Dataset(self._x, self._y, np.arange(design.samples), None, classes, ["y"], str(seed))
        method = "stratified" if design.is_classification else "kfold"
        plan = {"method": method, "folds": 5, "repeats": 1, "seed": seed}
        asked = SplitsRequest(
            plan, 0.0, 0, design.is_classification, outer={"seed": 0, **design.outer}
        )
        self._splits: Splits = make_splits(data, asked)

    def drawn(self) -> Drawn:
        """Return what the study says, and what is true."""
        own, _ = self._search("")
        final = self._fitted(own.id, self._splits.by_name[FINAL])
        folds = [name for name, split in self._splits.by_name.items() if split.is_outer]
        files, tables, truths = [], {}, []
        for fold in folds:
            split = self._splits.by_name[fold]
            winner, tables[fold] = self._search(f"{fold}.")
            model = self._fitted(winner.id, split)
            row = self._trial(winner.id, fold, split)
            tables[f"{fold}_score"] = self._table(f"{fold}_score", [row])
            files.append(StageFile(f"{fold}_score", (fold,), (winner,)))
            truths.append(self._score(self._fresh[1], model, self._fresh[0]))
        request = NestedRequest(
            self._design.measure,
            _LEVEL,
            tuple(NestedFold(fold, f"{fold}_score", (fold,)) for fold in folds),
        )
        estimate = nested_estimate(request, nested_table(request, files, tables, own.id), self._y)
        assert own.score is not None
        return Drawn(
            own.score,
            self._score(self._fresh[1], final, self._fresh[0]),
            estimate,
            float(np.mean(truths)),
        )

    def _search(self, prefix: str) -> tuple[ChosenConfiguration, Path]:
        """Train all configurations on the splits that begin so, and let gridfold select one."""
        names = tuple(f"{prefix}r0f{fold}" for fold in range(5))
        rows = [
            self._trial(str(seed), name, self._splits.by_name[name])
            for seed in range(self._design.trees)
            for name in names
        ]
        file = self._table(f"search{prefix}", rows)
        configurations = tuple(
            ChosenConfiguration(str(seed), str(seed), {"model": "tree"}, {}, 1)
            for seed in range(self._design.trees)
        )
        request = ChoiceRequest("o0f0_score", ("o0f0",), self._design.measure, 1, 1)
        files = [StageFile("explore", names, configurations)]
        (winner,) = winner_of_fold(request, files, [file]).configurations
        return winner, file

    def _fitted(self, name: str, split: Split) -> Any:
        rows = split.training
        return self._design.tree(int(name)).fit(self._x[rows], self._y[rows].ravel())

    def _trial(self, name: str, split_name: str, split: Split) -> dict[str, Any]:
        rows = split.validation
        score = self._score(self._y[rows], self._fitted(name, split), self._x[rows])
        return {
            "config_id": name,
            "split": split_name,
            "status": "finished",
            "reason": "",
            "epochs_trained": 1,
            "best_epoch": 1,
            "n_train": len(split.training),
            "n_validation": len(rows),
            "parameters": 1,
            "fit_seconds": 0.0,
            self._design.measure: score,
        }

    def _table(self, name: str, rows: list[dict[str, Any]]) -> Path:
        file = self._folder / f"{name}.parquet"
        pd.DataFrame(rows).assign(core_hours=np.nan, gpu_hours=np.nan).to_parquet(file)
        return file

    def _score(self, targets: np.ndarray, model: Any, x: np.ndarray) -> float:
        found = model.predict_proba(x)[:, 1] if self._design.is_classification else model.predict(x)
        # As scikit-learn does, in a tenth of the time.
        prediction = np.asarray(found, np.float32).reshape(-1, 1)
        weights = np.ones((1, len(targets)))
        return float(weighted_score(self._scorer, targets, prediction)(weights)[0])


def simulated(design: Design, studies: int) -> pd.DataFrame:
    """Return one row for each simulated study: what it says, and what is true.

    Parameters
    ----------
    design : Design
    studies : int
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(studies):
            found = _Study(design, seed, Path(folder)).drawn()
            rows.append(
                {
                    "selected": found.selected,
                    "final": found.final,
                    "nested": found.nested.score,
                    "low": found.nested.low,
                    "high": found.nested.high,
                    "truth": found.truth,
                }
            )
    return pd.DataFrame(rows)


def coverage(found: pd.DataFrame) -> float:
    """Return how often the interval holds the truth."""
    return float(((found["low"] <= found["truth"]) & (found["truth"] <= found["high"])).mean())


def _designs() -> Iterator[Design]:
    five, ten = {"folds": 5, "repeats": 1}, {"folds": 10, "repeats": 1}
    yield Design("random labels, 20 trees", "accuracy", 60, 0.0, 20, five)
    yield Design("two classes, 16 trees", "accuracy", 100, 0.8, 16, five)
    yield Design("two classes, 16 trees", "accuracy", 100, 0.8, 16, ten)
    yield Design("two classes, 16 trees", "roc_auc", 100, 0.8, 16, five)
    yield Design("numbers, 16 trees", "rmse", 100, 1.0, 16, five)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    studies = parser.parse_args().studies
    warnings.simplefilter("ignore")
    print(
        "| design | measure | outer folds | as selected | final model | nested | truth | coverage |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for design in _designs():
        found = simulated(design, studies)
        means = found.mean()
        folds = f"{design.outer['repeats']} × {design.outer['folds']}"
        shown = (f"{means[name]:.3f}" for name in ("selected", "final", "nested", "truth"))
        print(
            f"| {design.name} | {design.measure} | {folds} | {' | '.join(shown)} | "
            f"{coverage(found):.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
