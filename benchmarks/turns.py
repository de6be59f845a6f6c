"""Compare trials that take turns in a process with trials that have a process each.

The same studies, run through Snakemake in both ways, in turn: `execution.share_process` left to
gridfold, and `false`. Scores must be the same, bit for bit; what differs is the time. Of each way
the fastest of several runs counts, as what else a machine does only adds time.

Run: ``uv run python benchmarks/turns.py`` (ten minutes on two cores)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).parent.parent
WAYS = {"a process each": False, "in turn": None}
RATES = [0.003, 0.001]
STUDIES: dict[str, dict[str, Any]] = {
    "CNN with dropout, 10 epochs": {
        "data": {"source": "digits", "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"cnn": {"dropout": 0.2}},
        "training": {"epochs": 10, "batch_size": 32},
        "search": {"space": {"cnn.filters": [8, 16], "training.learning_rate": RATES}},
        "resampling": {"method": "stratified", "folds": 5},
    },
    "dense network, 10 epochs": {
        "data": {"source": "breast_cancer", "normalise": "standard"},
        "problem": {"type": "binary"},
        "model": {"mlp": {}},
        "training": {"epochs": 10, "batch_size": 32},
        "search": {"space": {"mlp.units": [16, 32], "training.learning_rate": RATES}},
        "resampling": {"method": "stratified", "folds": 10},
    },
    "dense network, 100 epochs": {
        "data": {"source": "diabetes", "normalise": "standard", "scale_targets": "standard"},
        "problem": {"type": "regression"},
        "model": {"mlp": {}},
        "training": {"epochs": 100, "batch_size": 32},
        "search": {"space": {"mlp.units": [16, 32], "training.learning_rate": RATES}},
        "resampling": {"method": "kfold", "folds": 5},
    },
}


def trained(study: dict[str, Any], share: bool | None) -> tuple[float, pd.DataFrame, pd.DataFrame]:
    """Run a study to its trials; return wall seconds, its trials and their epochs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = {"study": "turns", **study, "execution": {"share_process": share}}
        (folder / "study.yaml").write_text(yaml.safe_dump(content))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--configfile", "study.yaml", "--cores", "2", "--quiet", "--"]
        tables = Path("results/turns/tables")
        start = time.perf_counter()
        subprocess.run(
            [*command, str(tables / "trials.parquet")],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        wall = time.perf_counter() - start
        trials, epochs = (
            pd.read_parquet(folder / tables / f"{table}.parquet") for table in ("trials", "epochs")
        )
    return wall, trials, epochs


def compared(name: str, study: dict[str, Any], repeats: int) -> list[dict[str, Any]]:
    """Return a row for each way, from the fastest of its runs."""
    runs: dict[str, list[tuple[float, pd.DataFrame, pd.DataFrame]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, share in WAYS.items():
            runs[way].append(trained(study, share))
    keys = ["config_id", "split", "epoch"]
    curves = [
        epochs.sort_values(keys, ignore_index=True)[[*keys, "loss", "val_loss"]]
        for found in runs.values()
        for _, _, epochs in found
    ]
    for other in curves[1:]:
        pd.testing.assert_frame_equal(curves[0], other, check_exact=True)
    rows = []
    for way, found in runs.items():
        wall, trials, epochs = min(found, key=lambda run: run[0])
        rows.append(
            {
                "study": name,
                "trials": len(trials),
                "": way,
                "first epoch, median": epochs.loc[epochs["epoch"] == 1, "seconds"].median(),
                "a trial, mean": trials["seconds"].mean(),
                "run": wall,
            }
        )
    return rows


def main() -> None:
    """Run all studies in both ways, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = [
        row for name, study in STUDIES.items() for row in compared(name, study, options.repeats)
    ]
    print(pd.DataFrame(rows).round(2).to_markdown(index=False))


if __name__ == "__main__":
    main()
