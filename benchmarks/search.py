"""Compare search strategies on one space and one data set, for the same effort.

Every strategy gets as many epochs times samples as one run of Hyperband takes. Measured for several
seeds: the best validation score after the whole effort and on the way to it, and the wall time with
one, two and four workers.

Run: ``uv run python benchmarks/search.py --figure docs/images/search.svg``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from gridfold.space.hyperband import schedule

ROOT = Path(__file__).parent.parent
MEASURE = "log_loss"
FACTOR = 3
# Names of strategies, and which file ends their exploration.
EXPLORED = "shards/explore-001.trials.parquet"
FULL, STAGED = "tables/trials.parquet", "tables/search_trials.parquet"
STRATEGIES = {
    "grid": FULL,
    "random": FULL,
    "Sobol": FULL,
    "Bayesian (Keras Tuner)": EXPLORED,
    "Hyperband (Keras Tuner)": EXPLORED,
    "Hyperband": STAGED,
}


def strategy(name: str, configurations: int, seed: int) -> dict[str, Any]:
    """Return the section `search.strategy`."""
    tuner = {"type": "keras_tuner", "objective": MEASURE, "seed": seed + 1}
    return {
        "grid": {"type": "grid"},
        "random": {"type": "random", "n": configurations, "seed": seed},
        "Sobol": {"type": "sobol", "n": configurations, "seed": seed},
        "Bayesian (Keras Tuner)": {**tuner, "tuner": "bayesian", "max_trials": configurations},
        "Hyperband (Keras Tuner)": {**tuner, "tuner": "hyperband", "factor": FACTOR},
        "Hyperband": {"type": "hyperband", "factor": FACTOR, "seed": seed},
    }[name]


def space(name: str, configurations: int) -> dict[str, Any]:
    """Return the axes; a grid has so many points of them as its effort allows."""
    if name != "grid":
        return {
            "mlp.units": {"int": {"min": 4, "max": 128, "log": True}},
            "mlp.dropout": {"float": {"min": 0.0, "max": 0.6}},
            "training.learning_rate": {"float": {"min": 1e-4, "max": 1e-1, "log": True}},
        }
    rates = max(2, round(configurations / 4))
    return {
        "mlp.units": [16, 64],
        "mlp.dropout": [0.0, 0.3],
        "training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1e-1, "num": rates}},
    }


def run(
    folder: Path, name: str, epochs: int, seed: int, workers: int
) -> tuple[pd.DataFrame, float]:
    """Explore, and return the trials in the order of their training, and the wall time."""
    full = sum(
        rung.configurations * (rung.epochs - rung.before) for rung in schedule(epochs, FACTOR, None)
    )
    configurations = round(full / epochs)
    study = {
        "study": "search",
        "data": {"source": "digits", "normalise": "global"},
        "problem": {"type": "multiclass", "measure": MEASURE},
        "model": {"mlp": {"layers": 1}},
        "training": {"epochs": epochs, "seed": seed},
        "search": {
            "strategy": strategy(name, configurations, seed),
            "space": space(name, configurations),
        },
        "resampling": {"method": "holdout", "seed": seed},
        "execution": {"workers": workers},
    }
    if name.startswith("Hyperband (") or name.startswith("Bayesian"):
        # Never run: only its exploration is asked for.
        study["search"]["confirm"] = {"top": 1}
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "study.yaml", "--cores", str(max(2, workers)), "--"]
    start = time.perf_counter()
    subprocess.run(
        [*command, f"results/search/{STRATEGIES[name]}"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    wall = time.perf_counter() - start
    return trained(folder / "results" / "search"), wall


def trained(results: Path) -> pd.DataFrame:
    """Return every training of a trial: its score, and the effort that it added."""
    files = sorted(results.glob("shards/*.trials.parquet"), key=lambda file: file.stat().st_mtime)
    trials = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    before = trials.groupby(["config_id", "split"])["epochs_trained"].shift(fill_value=0)
    added = (trials["epochs_trained"] - before).clip(lower=0) * trials["n_train"]
    return pd.DataFrame({"score": trials[MEASURE], "effort": added.cumsum()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=27, help="of a full training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--figure", type=Path, help="where to draw the scores over the effort")
    options = parser.parse_args()
    curves: dict[str, list[pd.DataFrame]] = {}
    heads = ["strategy", "trainings", "epochs × samples", f"best {MEASURE} (mean, SD)"]
    print(f"| {' | '.join([*heads, '1 worker', '2', '4'])} |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in STRATEGIES:
            walls: dict[int, list[float]] = {1: [], 2: [], 4: []}
            for seed in range(options.seeds):
                for workers in (1, 4, 2) if seed == 0 else (2,):
                    folder = Path(temporary) / f"{name}-{seed}-{workers}"
                    found, wall = run(folder, name, options.epochs, seed, workers)
                    walls[workers].append(wall)
                curves.setdefault(name, []).append(found)
            best = [curve["score"].min() for curve in curves[name]]
            effort = np.mean([curve["effort"].iloc[-1] for curve in curves[name]])
            print(
                f"| {name} | {np.mean([len(curve) for curve in curves[name]]):.0f} | "
                f"{effort / 1000:.0f} k | {np.mean(best):.4f}, {np.std(best, ddof=1):.4f} | "
                f"{' | '.join(f'{np.mean(wall):.0f} s' for wall in walls.values())} |",
                flush=True,
            )
    if options.figure:
        draw(curves, options.figure)


def draw(curves: dict[str, list[pd.DataFrame]], file: Path) -> None:
    """Draw the best score so far over the effort, the mean over the seeds."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, runs in curves.items():
        grid = np.linspace(0, min(run["effort"].iloc[-1] for run in runs), 200)
        best = [_so_far(run, grid) for run in runs]
        axes.step(grid / 1000, np.mean(best, axis=0), where="post", label=name)
    axes.set(
        xlabel="effort (thousand epochs × samples)",
        ylabel=f"best validation {MEASURE} so far",
        yscale="log",
    )
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


def _so_far(run: pd.DataFrame, efforts: Any) -> Any:
    """Return the best score that was known when so much was spent; NaN before the first."""
    best = np.append(np.nan, run["score"].cummin())
    return best[np.searchsorted(run["effort"], efforts, side="right")]


if __name__ == "__main__":
    main()
