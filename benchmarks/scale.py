"""Measure how planning, reading and reporting grow with the number of trials.

A study's run store is filled with made-up answers, as if all of its trials had been trained; then
the real commands run on it: plan, dry run, status, and Snakemake to the report, whose training jobs
find every trial known. Prints seconds, peak memory and files for each size, and for the seconds the
exponent of their growth from each size to the next (1 is proportional).

Run: ``uv run python benchmarks/scale.py`` (half an hour; ``--trials 1000 10000`` takes minutes)
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from gridfold.jobs.work import JobInputs
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.problems import PROBLEM_KINDS
from gridfold.store.trials import TrialResult

ROOT = Path(__file__).parent.parent
FOLDS, EPOCHS = 5, 10
TEMPLATE = TrialResult(
    "finished",
    EPOCHS,
    epochs_trained=EPOCHS,
    best_epoch=EPOCHS,
    segments=[{"first": 1, "last": EPOCHS, "host": "nowhere", "started": 0.0}],
    n_train=96,
    parameters=100,
    world_size=1,
    batch_size=32,
    device="CPU",
    precision="float32",
    fit_seconds=0.1,
    seconds=0.5,
)


def study(trials: int) -> dict[str, Any]:
    """Return a study of so many trials: two numbers of a small network on each fold."""
    rates = 20
    units = trials // FOLDS // rates
    return {
        "study": f"scale{trials}",
        "data": {"source": "iris", "test_fraction": 0.2},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"layers": 1}},
        "training": {"epochs": EPOCHS},
        "search": {
            "space": {
                "mlp.units": {"range": {"start": 1, "stop": units}},
                "training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1e-1, "num": rates}},
            },
            "max_configurations": 100_000,
        },
        "resampling": {"method": "stratified", "folds": FOLDS},
    }


def measured(folder: Path, *command: str) -> tuple[float, float]:
    """Run a command; return its wall seconds, and the most MB that one process had for itself."""
    began = time.perf_counter()
    with psutil.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        most = threading.Thread(target=_watch, args=(run, watched := [0.0]), daemon=True)
        most.start()
        said, _ = run.communicate()
    seconds = time.perf_counter() - began
    if run.returncode:
        sys.exit(f"{' '.join(command)}\n{said.decode()[-3000:]}")
    most.join()
    return seconds, watched[0]


def _watch(run: psutil.Popen, most: list[float]) -> None:
    """Keep the most private memory of a process of a run, forks included, in MB."""
    while run.is_running() and run.status() != psutil.STATUS_ZOMBIE:
        with contextlib.suppress(psutil.Error):
            for process in [run, *run.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    most[0] = max(most[0], process.memory_full_info().uss / 1e6)
        time.sleep(0.2)


def snakemake(file: Path, *options: str) -> list[str]:
    """Return the command that runs the study of a file."""
    words = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(file), "--cores", "2"]
    return [sys.executable, "-m", "snakemake", *words, *options]


def job_of_a_cluster(file: Path, trials: int) -> list[str]:
    """Return the command of a training job in a queue, which says what it would run and ends."""
    (snapshot,) = (file.parent / "results" / f"scale{trials}" / "request").iterdir()
    told = ["--config", f'snapshots=["{snapshot}"]']
    job = ["--mode", "remote", "--target-jobs", "train:shard=s0001", "--allowed-rules", "train"]
    return snakemake(file, *job, "--force", "--nolock", "--dry-run", *told)


def fill(plan: Plan) -> None:
    """Put an answer for every trial into the run store."""
    requests = JobRequests(plan)
    inputs = JobInputs.load(requests.conditions, plan.paths, 1)
    random = np.random.default_rng(0)
    names = PROBLEM_KINDS[plan.study.problem.type].all_measures
    # Thousands of times what a trial waits for its disk is no part of what is measured here.
    os.fsync = lambda _: None
    split = {name: len(found.validation) for name, found in inputs.splits.items()}
    for shard in plan.shards:
        wanted = requests.train(shard).configurations
        for trial in plan.shards[shard]:
            score = random.uniform(0.6, 0.9)
            curve = 1.2 - score * np.linspace(0.2, 1, EPOCHS)
            history = [
                {
                    "epoch": epoch,
                    "loss": float(value),
                    "val_loss": float(value) + 0.1,
                    "metric": score,
                    "val_metric": score,
                    "learning_rate": 0.001,
                    "seconds": 0.01,
                    "training_seconds": 0.01,
                }
                for epoch, value in enumerate(curve, start=1)
            ]
            predictions = random.dirichlet(np.ones(3), split[trial.split]).astype(np.float32)
            store = inputs.store(trial, wanted[trial.config_id])
            store.open()
            store.finish(
                replace(
                    TEMPLATE,
                    scores=dict.fromkeys(names, score),
                    history=history,
                    n_validation=split[trial.split],
                ),
                predictions,
            )


def phases(folder: Path, trials: int) -> Iterator[tuple[str, float, float]]:
    """Yield what each phase of a study of so many trials took: name, seconds, MB."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study(trials)))
    verb = [str(Path(sys.executable).with_name("gridfold"))]
    yield "gridfold plan", *measured(folder, *verb, "plan", str(file))
    yield "dry run", *measured(folder, *snakemake(file, "--dry-run", "--quiet"))
    measured(folder, *snakemake(file, "--until", "make_splits"))
    yield "a job on a cluster reads the rules", *measured(folder, *job_of_a_cluster(file, trials))
    os.chdir(folder)
    plan = Plan.load([file], results=Path("results"))
    began = time.perf_counter()
    fill(plan)
    yield "(filling the run store)", time.perf_counter() - began, 0.0
    yield "gridfold status", *measured(folder, *verb, "status", str(file))
    yield "snakemake, all trials known", *measured(folder, *snakemake(file))
    for name, seconds in _rules(plan.paths.root / "benchmarks"):
        yield f"  {name}", seconds, 0.0
    yield "dry run, finished", *measured(folder, *snakemake(file, "--dry-run", "--quiet"))
    yield "gridfold status, finished", *measured(folder, *verb, "status", str(file))
    yield "report, MB", (plan.paths.root / "report.html").stat().st_size / 1e6, 0.0
    yield "files for a trial", _files(plan.paths.root) / trials, 0.0
    yield "gridfold pack", *measured(folder, *verb, "pack", str(file))
    yield "files for a trial, packed", _files(plan.paths.root) / trials, 0.0
    yield "gridfold status, packed", *measured(folder, *verb, "status", str(file))
    yield "gridfold unpack", *measured(folder, *verb, "unpack", str(file))


def _files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _rules(benchmarks: Path) -> list[tuple[str, float]]:
    """Return the seconds that Snakemake has measured of each rule, summed over its jobs."""
    found: dict[str, float] = {}
    for file in benchmarks.rglob("*.tsv"):
        name = file.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        seconds = float(file.read_text().splitlines()[-1].partition("\t")[0])
        found[name] = found.get(name, 0.0) + seconds
    return sorted(found.items(), key=lambda each: -each[1])


def main() -> None:
    """Measure all sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes: list[int] = parser.parse_args().trials
    rows: dict[str, dict[int, tuple[float, float]]] = {}
    for trials in sizes:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            for phase, seconds, memory in phases(Path(name), trials):
                rows.setdefault(phase, {})[trials] = seconds, memory
                print(f"{trials:>8,} {phase:32} {seconds:9.2f} {memory:9.0f} MB", flush=True)
            os.chdir(ROOT)
    _table(sizes, rows)


def _table(sizes: list[int], rows: dict[str, dict[int, tuple[float, float]]]) -> None:
    print("| | " + " | ".join(f"{size:,}" for size in sizes) + " | growth |")
    print("|---|" + "---:|" * (len(sizes) + 1))
    for phase, found in rows.items():
        cells = [
            f"{seconds:.2f}" + (f" s, {memory:,.0f} MB" if memory else "")
            for seconds, memory in (found[size] for size in sizes)
        ]
        growth = [
            math.log(max(found[large][0], 1e-3) / max(found[small][0], 1e-3), large / small)
            for small, large in itertools.pairwise(sizes)
        ]
        print(f"| {phase} | {' | '.join(cells)} | {', '.join(f'{g:.2f}' for g in growth)} |")


if __name__ == "__main__":
    main()
