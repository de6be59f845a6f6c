"""How much a race over the splits saves: three real studies, raced and trained as a whole.

Each study is run once for each seed as a whole grid. A race would have trained some of these very
trials (the numbers of a trial don't depend on the search it is part of), so its path, core-hours
and wall time follow from the recorded scores and seconds: the product decides who goes on, and
workers take the trials of a round from its list, each when it is free. A round begins when the one
before has ended. Prints the table of docs/searching.md and draws its figure.

Run: ``python benchmarks/race.py --figure docs/images/race.svg`` (a quarter of an hour on two cores)
"""

from __future__ import annotations

import argparse
import heapq
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from gridfold.plan.stage_file import StageFile
from gridfold.plan.stages import race_rounds
from gridfold.problems import Measure
from gridfold.requests import ChosenConfiguration, RaceRules
from gridfold.search.racing import next_round, race_table, risk_of_all

ROOT = Path(__file__).parent.parent
WORKERS = (1, 4, 16)
RISK = 0.001
RATES = [0.1, 0.03, 0.01, 0.003, 0.001, 0.0003]
STUDIES: dict[str, dict[str, Any]] = {
    "digits, CNN": {
        "data": {"source": "digits", "normalise": "global", "subset": 900},
        "problem": {"type": "multiclass"},
        "model": {"cnn": {"blocks": 1, "dense_units": 16}},
        "training": {"epochs": 8, "batch_size": 32},
        "search": {"space": {"cnn.filters": [4, 8, 16, 32], "training.learning_rate": RATES}},
        "resampling": {"method": "stratified", "folds": 5},
    },
    "breast cancer, MLP": {
        "data": {"source": "breast_cancer", "normalise": "standard"},
        "problem": {"type": "binary"},
        "model": {"mlp": {}},
        "training": {"epochs": 15, "batch_size": 32},
        "search": {"space": {"mlp.units": [2, 4, 16, 64], "training.learning_rate": RATES}},
        "resampling": {"method": "stratified", "folds": 5},
    },
    "diabetes, MLP": {
        "data": {"source": "diabetes", "normalise": "standard", "scale_targets": "standard"},
        "problem": {"type": "regression"},
        "model": {"mlp": {}},
        "training": {"epochs": 20, "batch_size": 32},
        "search": {"space": {"mlp.units": [2, 4, 16, 64], "training.learning_rate": RATES}},
        "resampling": {"method": "kfold", "folds": 10},
    },
}


def trained(folder: Path, study: dict[str, Any], seed: int) -> tuple[pd.DataFrame, str]:
    """Run a study as a whole and return its trials, and the measure that ranks."""
    content = {
        "study": "whole",
        **study,
        "resampling": {**study["resampling"], "seed": seed},
        "training": {**study["training"], "seed": seed},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "study.yaml", "--cores", "2", "--quiet", "--"]
    tables = folder / "results" / "whole" / "tables"
    # Nothing after the trials is asked for.
    target = str((tables / "configurations.parquet").relative_to(folder))
    subprocess.run([*command, target], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    summary = pd.read_parquet(tables / "configurations.parquet")
    measure = next(name for name in summary if name.endswith("_mean") and name[:-5] in _MEASURES)
    return pd.read_parquet(tables / "trials.parquet"), measure.removesuffix("_mean")


_MEASURES = ("accuracy", "mse", "mae")


def race(trials: pd.DataFrame, measure: str) -> list[StageFile]:
    """Return the rounds of a race over trials that are trained already."""
    splits = list(dict.fromkeys(trials["split"]))
    drawn = trials.drop_duplicates("config_id")
    configurations = tuple(
        ChosenConfiguration(row["config_id"], row["label"], {}, {}, row["epochs"])
        for row in drawn.to_dict("records")
    )
    rounds: list[StageFile] = []
    for own in race_rounds(splits):
        if not rounds:
            rounds.append(StageFile("explore", own, configurations))
            continue
        before = rounds[-1]
        known = trials[trials["split"].isin(before.scored_splits)]
        chosen = next_round(RaceRules(len(splits), RISK), before, known, measure)
        name = f"race{len(rounds) + 1}"
        rounds.append(StageFile(name, own, tuple(chosen), before.scored_splits))
    return rounds


def wall(seconds: Sequence[float], workers: int) -> float:
    """Return when the last of some trials ends, which workers take from a list."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heappush(free, heapq.heappop(free) + each)
    return max(free)


def compared(trials: pd.DataFrame, measure: str) -> dict[str, float]:
    """Return what a race takes of the whole, and what it misses."""
    rounds = race(trials, measure)
    seconds = trials.set_index(["config_id", "split"])["seconds"]
    each = [[seconds[c.id, s] for c in f.configurations for s in f.splits] for f in rounds]
    means = trials.groupby("config_id")[measure].mean() * Measure.of(measure).sign
    kept = means[[c.id for c in rounds[-1].configurations]].max()
    keys = {(c.id, split) for file in rounds for c in file.configurations for split in file.splits}
    own = trials[[key in keys for key in zip(trials["config_id"], trials["split"], strict=True)]]
    left = race_table(RaceRules(trials["split"].nunique(), RISK), rounds, own, measure)
    found = {
        "core seconds": seconds.sum(),
        "of them raced": sum(map(sum, each)) / seconds.sum(),
        "winner kept": float(kept == means.max()),
        "lost": means.max() - kept,
        "risk said": risk_of_all(left),
        "at the end": float(len(rounds[-1].configurations)),
    }
    for workers in WORKERS:
        whole = wall(seconds.tolist(), workers)
        found[f"wall, {workers}"] = sum(wall(part, workers) for part in each) / whole
    return found


def draw(rows: pd.DataFrame, file: Path) -> None:
    """Draw the time of races as shares of that of whole grids."""
    shown = rows.groupby("study", sort=False)[[f"wall, {workers}" for workers in WORKERS]]
    mean, low, high = shown.mean(), shown.min(), shown.max()
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for number, study in enumerate(mean.index):
        x = [position + 0.2 * (number - 1) for position in range(len(WORKERS))]
        error = [mean.loc[study] - low.loc[study], high.loc[study] - mean.loc[study]]
        axes.errorbar(x, mean.loc[study], error, fmt="o", capsize=3, label=study)
    axes.axhline(1, color="grey", lw=1)
    axes.set_xticks(range(len(WORKERS)), [f"{n} worker{'s' * (n > 1)}" for n in WORKERS])
    axes.set_ylabel("time of the race / of the whole")
    axes.set_ylim(0, 1.1)
    axes.legend(frameon=False)
    figure.savefig(file)


def main() -> None:
    """Run all studies, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    rows = []
    for name, study in STUDIES.items():
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as temporary:
                trials, measure = trained(Path(temporary), study, seed)
            rows.append({"study": name, "seed": seed, **compared(trials, measure)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(table.drop(columns="seed").groupby("study", sort=False).mean().round(4).to_markdown())
    if options.figure:
        draw(table, options.figure)


if __name__ == "__main__":
    main()
