"""Measure what it saves that training jobs help each other: fixed shards, and the same with help.

Sixty trials of unequal length fall to six jobs with one worker each, of which two run at a time, as
in a queue with two slots. Trials only wait, so that nothing else is measured than who trains what;
their lengths are drawn from a log-normal distribution (of median 5 s, a sixth are longer than
14 s), in the order of the grid: neighbours are alike, as networks of one size are. Prints a table.

Run: ``uv run python benchmarks/helping.py`` (ten minutes)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gridfold import typed_json
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.splits import make_splits
from gridfold.plan.helping import write_help_order
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.resources import JobSizes
from gridfold.plan.stage_file import CatalogueEntry

TRIALS, JOBS, SLOTS = 60, 6, 2
# Each waits as long as its number in the file of lengths says, and learns nothing.
LOOP = """
import os
import time
from pathlib import Path

import keras
import numpy as np


def train(trial):
    lengths = np.load(os.environ["LENGTHS"])
    time.sleep(float(lengths[trial.hp.Int("number", 0, 1000)]))
    model = keras.Sequential([keras.Input(trial.input_shape), keras.layers.Dense(3, "softmax")])
    trial.report(1, loss=1.0)
    return model
"""
JOB = """
import sys
from pathlib import Path
from gridfold.jobs import pool
from gridfold.jobs.job import job
from gridfold.jobs.shard import Attempt, ShardJob, ShardTables
from gridfold.paths import StudyPaths
from gridfold.requests import TrainRequest
from gridfold.store.job_records import JobResources
root, shard, request, log = sys.argv[1:]
with job(log, request):
    ShardJob(shard, TrainRequest.parse(request), StudyPaths(Path(root)), Attempt(),
             JobResources(1)).run(
        lambda works, listener, meanwhile: pool.run(works, 1, listener, (), meanwhile),
        ShardTables(*(Path(root) / "shards" / f"{shard}.{n}.parquet"
                      for n in ("trials", "epochs", "predictions"))))
"""


def planned(folder: Path) -> Plan:
    """Prepare the study up to its training jobs."""
    (folder / "waiting.py").write_text(LOOP)
    content: dict[str, Any] = {
        "study": "waiting",
        "data": {"source": "iris"},
        "problem": {"type": "multiclass"},
        "model": {"custom": {"train": f"{folder}/waiting.py:train"}},
        "training": {"epochs": 1},
        "search": {"space": {"custom.number": {"range": {"start": 0, "stop": TRIALS - 1}}}},
        "resampling": {"method": "holdout"},
        "execution": {"trials_per_job": TRIALS // JOBS},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    plan = Plan.load([folder / "study.yaml"], results=folder / "results")
    requests = JobRequests(plan)
    asked = requests.data()
    prepare(asked.data, asked.problem).save(plan.paths.data)
    make_splits(Dataset.load(plan.paths.data), requests.splits()).save(plan.paths.splits)
    catalogue = {c.id: CatalogueEntry(c.label, c.settings, c.epochs) for c in plan.configurations}
    typed_json.write(plan.paths.catalogue, catalogue)
    return plan


def run(lengths: np.ndarray[Any, Any], *, helps: bool) -> dict[str, float]:
    """Run all jobs, two at a time; return wall seconds, and the share in which slots trained."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "lengths.npy", lengths)
        plan = planned(folder)
        requests = JobRequests(plan)
        write_help_order(plan, requests, JobSizes(plan), has_queue=helps)
        environment = {**os.environ, "LENGTHS": str(folder / "lengths.npy")}
        waiting, running = list(plan.shards), []
        start = time.perf_counter()
        while waiting or running:
            running = [job for job in running if job.poll() is None]
            while waiting and len(running) < SLOTS:
                shard = waiting.pop(0)
                request = requests.train(shard).text()
                words = [str(plan.paths.root), shard, request, plan.paths.log("train", shard)]
                running.append(
                    subprocess.Popen([sys.executable, "-c", JOB, *words], env=environment)
                )
            time.sleep(0.02)
        wall = time.perf_counter() - start
        tables = [pd.read_parquet(f) for f in plan.paths.shards.glob("*.trials.parquet")]
        trials = pd.concat(tables)
        assert len(trials) == TRIALS
        assert (trials["status"] == "finished").all()
    # From the start of each trial's process to its answer; the rest are starts and ends of jobs.
    return {"wall": wall, "busy": trials["seconds"].sum() / (SLOTS * wall)}


def main() -> None:
    """Compare both, for several draws of lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--median", type=float, default=5.0, help="seconds of a trial")
    options = parser.parse_args()
    rows = []
    for draw in range(options.draws):
        random = np.random.default_rng(draw)
        lengths = np.sort(random.lognormal(np.log(options.median), 1.0, TRIALS))
        fixed, helped = run(lengths, helps=False), run(lengths, helps=True)
        rows.append(
            {
                "draw": draw,
                "seconds of all trials": lengths.sum(),
                "fixed shards": fixed["wall"],
                "busy": f"{fixed['busy']:.0%}",
                "with help": helped["wall"],
                "busy then": f"{helped['busy']:.0%}",
            }
        )
        print(rows[-1], flush=True)
    print(pd.DataFrame(rows).round(1).to_markdown(index=False))


if __name__ == "__main__":
    main()
