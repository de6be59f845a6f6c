"""gridfold with everything on: checkpoints, tables, statistics, the final model, the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import task
import yaml

ROOT = Path(__file__).parents[2]
TABLE = Path("results/peers/tables/trials.parquet")


def study(size: task.Size) -> dict[str, object]:
    axes = {
        ("training." if name == "learning_rate" else "cnn.") + name: values
        for name, values in size.axes.items()
    }
    return {
        "study": "peers",
        "data": {"source": "digits", "test_fraction": 0, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"cnn": size.fixed},
        "training": {"epochs": size.epochs, "batch_size": task.BATCH},
        "search": {"space": axes},
        "resampling": {"method": "stratified", "folds": size.folds},
    }


def main() -> None:
    size = task.size_asked_for()
    Path("study.yaml").write_text(yaml.safe_dump(study(size)))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "study.yaml", "--cores", str(task.WORKERS), "--quiet", "all"]
    subprocess.run(command, check=True)
    trials = pd.read_parquet(TABLE)
    trials[["config_id", "accuracy"]].to_csv("scores.csv", header=False, index=False)


if __name__ == "__main__":
    main()
