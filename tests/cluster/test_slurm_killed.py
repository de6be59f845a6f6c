"""A Snakemake that is killed while its jobs are on a real Slurm, and the one that follows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from clones import IMPATIENT, PATIENCE, PAUSE, Clone, ended, last_job, submitted
from sleepy import (
    assert_same_numbers,
    running_jobs,
    sleepy,
    sleepy_clone,
    trained,
    undisturbed,
)
from slurmcluster import SlurmCluster
from workbench import wait_for
from workspaces import tiny


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_jobs_of_a_killed_snakemake_are_waited_for_and_not_submitted_twice(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    study = sleepy()
    # Long enough for another Snakemake to start twice on a machine that is busy with other tests.
    study["training"]["epochs"] = 80
    clone = sleepy_clone(cluster, tmp_path / "cluster", study, shares_forks=True)
    shards = [f"s{number:04d}" for number in range(1, 5)]
    targets = [f"results/tiny/shards/{shard}.trials.parquet" for shard in shards]
    options = ("--profile", "slurm", *IMPATIENT, "--set-threads", "train=1")
    process = clone.start(study, *options, "--jobs", "2", "--", *targets)
    with ended(process):
        wait_for(lambda: len(trained(clone)) == 2, PATIENCE)
        process.kill()
        process.communicate()
    left = running_jobs(cluster)
    assert len(left) == 2
    output = clone.snakemake(study, *options, "--", *targets)
    assert "[gridfold] an earlier run of this study was cut off (process " in output
    assert "waiting for 2 jobs that an earlier Snakemake has submitted" in output
    assert all(number in output for number in left.values())
    assert submitted(cluster, since, "train") == [f"rule_train_wildcards_{s}" for s in shards]
    assert_same_numbers(clone, undisturbed(tmp_path / "here", study, *targets))
    assert (clone.scores()["resumptions"] == 0).all(), "no job got in the way of another"


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_what_a_job_has_made_unwatched_does_not_survive_a_change_of_the_study(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path, cluster, shares_forks=True)
    options = ("--profile", "slurm", *IMPATIENT)
    shard = "results/tiny/shards/s0001.trials.parquet"
    process = clone.start(tiny(), *options, "--", shard)
    with ended(process):
        wait_for((clone.results() / "logs" / "train" / "s0001.log").exists, PATIENCE)
        process.kill()
        process.communicate()
    wait_for(lambda: not cluster.queue(), PATIENCE, pause=PAUSE)
    assert "Nothing to be done" in clone.snakemake(tiny(), *options, "--dry-run", "--", shard)

    longer = tiny(training={"epochs": 5, "learning_rate": 0.01})
    said = "3 files to be made again, made after the last Snakemake was killed, for a study"
    before = (clone.folder / shard).read_bytes()
    assert said in clone.snakemake(longer, *options, "--dry-run", "--", shard)
    assert (clone.folder / shard).read_bytes() == before, "a dry run deletes nothing"
    assert said in clone.snakemake(longer, *options, "--", shard)
    assert set(clone.scores()["epochs"]) == {5}
    assert said not in clone.snakemake(tiny(), *options, "--dry-run", "--", shard)
