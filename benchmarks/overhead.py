"""Measure what gridfold costs beyond training itself.

- per trial and per run: a study of many tiny trials through Snakemake, against the sum of its fits
- a dry run over 10,000 trials with default sharding
- collecting 10,000 trials from their shard tables

Run: ``uv run python benchmarks/overhead.py``
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gridfold.plan.plan import Plan
from gridfold.tables import trials as tables

ROOT = Path(__file__).parent.parent
REPEATS = 3


def study(name: str, units: int, folds: int, epochs: int) -> dict[str, Any]:
    return {
        "study": name,
        "data": {"source": "digits", "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": epochs},
        "search": {
            "space": {"mlp.units": {"range": {"start": 1, "stop": units}}},
            "max_configurations": 100_000,
        },
        "resampling": {"method": "stratified", "folds": folds},
    }


def snakemake(folder: Path, content: dict[str, Any], *options: str) -> float:
    """Run Snakemake and return its wall time in seconds."""
    file = folder / f"{content['study']}.yaml"
    file.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(file), "--cores", "2", *options]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - start


def beyond_fits(folder: Path, units: int) -> tuple[int, float]:
    """Run a study on two workers; return its trials, and the seconds that no fit has taken."""
    content = study(f"trials{units}", units, 5, 10)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        wall = snakemake(Path(place), content)
        root = Path(place) / "results" / content["study"]
        trials = pd.read_parquet(root / "tables/trials.parquet")
        fit = trials["fit_seconds"].sum() / 2
        final = json.loads((root / "final/card.json").read_text())["training"]["fit_seconds"]
    print(
        f"{len(trials)} trials on 2 workers: run {wall:.1f} s, fits {fit:.1f} s a worker, "
        f"final fit {final:.1f} s, everything else {wall - fit - final:.1f} s"
    )
    return len(trials), wall - fit - final


def overhead_of_trials(folder: Path) -> None:
    """Two studies that differ in the number of trials: slope and intercept of the overhead.

    Of each the fastest of several runs, in turn: what else a machine does only adds time, and the
    intercept would take it several times.
    """
    measured = [[beyond_fits(folder, units) for units in (4, 20)] for _ in range(REPEATS)]
    (n0, y0), (n1, y1) = (min(runs) for runs in zip(*measured, strict=True))
    slope = (y1 - y0) / (n1 - n0)
    print(f"beyond fit: {2 * slope:.2f} s a trial on its worker, {y0 - slope * n0:.1f} s a run")


def dry_run(folder: Path) -> None:
    content = study("large", 1000, 10, 20)
    print(f"dry run over 10,000 trials: {snakemake(folder, content, '--dry-run'):.1f} s")


def collecting(folder: Path) -> None:
    """Write shard tables of 10,000 trials with 20 epochs each, and collect them."""
    file = folder / "collect.yaml"
    file.write_text(yaml.safe_dump(study("collect", 1000, 10, 20)))
    plan = Plan.load([file], results=folder / "results")
    epoch_row = {c.name: 0.5 for c in tables.EPOCH_COLUMNS if c.type == "float"}
    trial_files, epoch_files = [], []
    for shard, members in plan.shards.items():
        trials = [
            {c.name: {"string": "", "int": 1, "float": 0.5}[c.type] for c in tables.TRIAL_COLUMNS}
            | {"config_id": t.config_id, "split": t.split, "status": "finished", "accuracy": 0.5}
            for t in members
        ]
        epochs = [
            {"config_id": t.config_id, "split": t.split, "epoch": e, **epoch_row}
            for t in members
            for e in range(1, 21)
        ]
        for rows, files, kind in ((trials, trial_files, "trials"), (epochs, epoch_files, "epochs")):
            files.append(plan.paths.shards / f"{shard}.{kind}.parquet")
            tables.write(files[-1], pd.DataFrame(rows))
    start = time.perf_counter()
    explored = plan.drawn(plan.stages[0])
    assert explored is not None
    trials_table, epochs_table = tables.collect(explored, trial_files, epoch_files)
    for name, table in (("t.parquet", trials_table), ("t.csv", trials_table)):
        tables.write(folder / name, table)
    tables.write(folder / "e.parquet", epochs_table)
    print(
        f"collecting {len(trials_table):,} trials with {len(epochs_table):,} epochs from "
        f"{len(trial_files)} shards: {time.perf_counter() - start:.1f} s"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for part in (overhead_of_trials, dry_run, collecting):
            part(Path(name))


if __name__ == "__main__":
    main()
