"""A site without a profile is asked, gets one, and runs a job that is short of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import slurmcluster
import yaml
from clones import IMPATIENT, Clone, last_job
from workspaces import tiny

# Ends itself as the kernel ends a process when memory runs out; one attempt later it trains.
GREEDY = """
import os
import signal
from pathlib import Path

import keras


def build_model(hp, input_shape, outputs):
    if not (seen := Path("seen")).exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp.Choice("units", [4]))(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def doctor(clone: Clone, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "gridfold"), "doctor", "--slurm", *options],
        cwd=clone.folder,
        env=clone.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_profile_is_proposed_and_a_retry_grows_by_its_cause(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    clone = Clone(tmp_path, cluster)
    found = doctor(clone, "--json")
    assert found.returncode == 0, found.stderr
    partitions = {p["name"]: p for p in json.loads(found.stdout)["slurm"]["partitions"]}
    assert {"24-48", "00123", "int", "all"} <= set(partitions)
    assert all(not p["refusal"] and p["takes_memory"] for p in partitions.values())
    written = doctor(clone, "--write", "profiles/mysite")
    assert written.returncode == 0, written.stderr
    assert doctor(clone, "--write", "profiles/mysite").returncode == 1
    file = clone.folder / "profiles" / "mysite" / "config.yaml"
    entries = yaml.safe_load(file.read_text())
    assert entries["default-resources"]["slurm_partition"] == "'cpu'"
    assert entries["resources"] == {"mem_mb": slurmcluster.MEMORY, "runtime": 2880}
    assert entries["max-threads"] == slurmcluster.CPUS
    # Its owner prefers other queues, with the quotes that the file shows.
    file.write_text(
        file.read_text().replace("\"'cpu'\"", "\"'24-48'\"")
        + "set-resources:\n  train:\n    slurm_partition: \"'00123'\"\n"
    )
    (clone.folder / "greedy.py").write_text(GREEDY)
    study = tiny(
        model={"python": {"build": "greedy.py:build_model"}},
        search={"space": {"python.units": [4]}},
        resampling={"method": "holdout"},
        execution={"trials_per_job": 100, "retries": 1},
    )
    target = "results/tiny/shards/s0001.trials.parquet"
    clone.snakemake(study, "--profile", "profiles/mysite", *IMPATIENT, "--", target)
    fields = ("JobIDRaw", "JobName", "Partition", "ReqTRES", "TimelimitRaw")
    jobs = [row for row in cluster.jobs(*fields) if int(row["JobIDRaw"]) > since]
    data, first, second = jobs
    name, _, run = data["JobName"].rpartition(" ")
    assert (name, data["Partition"]) == ("data", "24-48")
    # One trial: what it trains is its name, and all names end with that of the run.
    trial = f"train {clone.scores()['config_id'].item()} r0f0 {run}"
    assert {first["JobName"], second["JobName"]} == {trial}
    assert [job["Partition"] for job in (first, second)] == ["00123"] * 2
    assert second["TimelimitRaw"] == first["TimelimitRaw"]
    assert memory(second["ReqTRES"]) == 2 * memory(first["ReqTRES"])


def memory(tres: str) -> float:
    amount = dict(item.split("=") for item in tres.split(","))["mem"]
    return float(amount[:-1]) * {"M": 1, "G": 1024}[amount[-1]]
