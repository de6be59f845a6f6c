"""A cluster like a site's: what a new user does there, and what a site does to a new user.

Nodes have network, host names, processes and `/tmp` of their own, jobs are kept to their memory,
and a normal user works in a checkout in `/home`. A form of search is run a day; `SITE=all` runs all
of them (`make site`), and `SITE=race` that one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import daily
import pandas as pd
import pytest
import sitecluster
import yaml
from clones import IMPATIENT, PATIENCE, Clone, ended, last_job, parallel
from needs import lacking
from sitecluster import SiteCluster
from workspaces import LEAN, Workspace, tiny

PROFILE = ("--profile", "profiles/mysite", *IMPATIENT)
# The profile of the project, which knows of no site.
SHIPPED = ("--profile", "slurm", *IMPATIENT)
RATES: dict[str, Any] = {
    "mlp.units": [4, 8],
    "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
}
HOLDOUT = {"method": "holdout"}


def searched(search: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return tiny(**{"search": {"space": RATES, **search}, "report": LEAN, **sections})


# Each form of search, to its report.
FORMS: dict[str, dict[str, Any]] = {
    "grid": tiny(report={"notebook": True}),
    "random": searched({"strategy": {"type": "random", "n": 3}}, final={"ensemble": True}),
    "stages": searched(
        {
            "strategy": {"type": "sobol", "n": 2},
            "refine": {"top": 1, "max_configurations": 2},
            "confirm": {"top": 2, "folds": 2},
        }
    ),
    "race": searched(
        {"space": {"mlp.units": [2, 4, 8]}, "race": {}},
        resampling={"method": "stratified", "folds": 3},
    ),
    "hyperband": searched({"strategy": {"type": "hyperband", "factor": 2}}, resampling=HOLDOUT),
    "asynchronous": searched(
        {"strategy": {"type": "hyperband", "factor": 2, "asynchronous": True, "jobs": 2}},
        resampling=HOLDOUT,
    ),
    "tuner": searched({"strategy": {"type": "keras_tuner", "tuner": "bayesian", "max_trials": 3}}),
    "tuner's workers": searched(
        {"strategy": {"type": "keras_tuner", "tuner": "random", "max_trials": 4, "workers": 2}}
    ),
    "optuna": searched({"strategy": {"type": "optuna", "sampler": "tpe", "n": 3}}),
    "outer folds": tiny(
        resampling={"method": "stratified", "folds": 2, "outer": {"folds": 2}}, report=LEAN
    ),
    "budget": searched({"strategy": {"type": "random", "n": 3}, "budget": {"core_hours": 50}}),
    "ranks": parallel("horovod", 2),
}
# Where jobs decide together, what they train is not always the same.
UNORDERED = ("asynchronous", "tuner's workers")
ASKED = os.environ.get("SITE") or daily.day()


def forms() -> list[str | int]:
    """Return the forms that are run: by name, or as the one of the day."""
    if ASKED == "all":
        return [*FORMS]
    # Not by name: two processes of one run of the tests might begin on different days.
    return [ASKED] if ASKED in FORMS else [0]


@pytest.fixture(scope="module")
def site() -> Iterator[SiteCluster]:
    if missing := sitecluster.missing():
        lacking(f"{missing}; so gridfold was NOT tested on a cluster like a site's")
    with sitecluster.running() as running:
        yield running


@pytest.fixture(scope="module")
def profile(site: SiteCluster) -> str:
    """What `gridfold doctor --slurm` proposes for this cluster."""
    clone = checkout(site, "asked", "")
    written = clone.gridfold("doctor", "--slurm", "--write", "profiles/mysite")
    assert written.returncode == 0, written.stderr
    again = clone.gridfold("doctor", "--slurm", "--write", "profiles/mysite")
    assert again.returncode == 1, "nobody's profile is overwritten"
    found = json.loads(clone.gridfold("doctor", "--slurm", "--json").stdout)
    partitions = {p["name"]: p for p in found["slurm"]["partitions"]}
    assert set(partitions) == {"cpu-24h", "int", "24-48", "00123"}
    assert all(not p["refusal"] and p["takes_memory"] for p in partitions.values())
    text = (clone.folder / "profiles" / "mysite" / "config.yaml").read_text()
    entries = yaml.safe_load(text)
    assert entries["default-resources"]["slurm_partition"] == "'cpu-24h'"
    # As most nodes have it.
    assert entries["resources"] == {"mem_mb": 10_000, "runtime": 24 * 60}
    assert entries["max-threads"] == 4
    return text


def checkout(site: SiteCluster, name: str, profile: str) -> Clone:
    """Return a checkout in the user's home, with a profile for this site."""
    folder = site.home / name
    folder.mkdir()
    clone = Clone(folder, site)
    if profile:
        file = folder / "profiles" / "mysite" / "config.yaml"
        file.parent.mkdir()
        file.write_text(profile)
        site.give(file.parent)
    return clone


@pytest.mark.parametrize("form", forms())
def test_a_search_comes_to_the_same_as_here(
    site: SiteCluster, profile: str, form: str | int, tmp_path: Path
) -> None:
    if isinstance(form, int):
        form = [*FORMS][date.fromisoformat(ASKED).toordinal() % len(FORMS)]
    print(f"{form}; once more: SITE='{form}' pytest {Path(__file__).name}")
    study = FORMS[form]
    clone = checkout(site, re.sub(r"\W+", "-", form), profile)
    options = [*(SHIPPED if form == "grid" else PROFILE)]
    if form == "ranks":
        options += ["--set-resources", "train_distributed:ranks_per_node=1"]
    said = clone.snakemake(study, *options)
    assert "Traceback" not in said
    report = clone.results() / "report.html"
    assert report.stat().st_size > 10_000
    assert report.stat().st_uid != os.geteuid()
    assert "Nothing to be done" in clone.snakemake(study, *options, "--dry-run")
    trials = pd.read_parquet(clone.results() / "tables" / "trials.parquet")
    assert set(trials["status"]) <= {"finished", "stopped early"}
    if form == "ranks":
        log = (clone.results() / "logs" / "train_distributed" / "d0001.log").read_text()
        hosts = set(re.findall(r" rank \d+: host (\S+),", log))
        assert len(hosts) == 2, log
        assert hosts <= set(site.nodes)
    if form in UNORDERED:
        return
    here = Workspace(tmp_path, is_lean=False)
    here.snakemake(study, "--", "results/tiny/tables/best.json")
    columns = [c for c in ("stage", "config_id", "split", "accuracy", "log_loss") if c in trials]
    expected = here.table()[columns].sort_values(columns[:-2], ignore_index=True)
    found = trials[columns].sort_values(columns[:-2], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


# Takes 4 GB where a file is there, and goes without it the next time: once in the search, and once
# when a configuration is selected.
GREEDY = """
from pathlib import Path

import keras
import numpy as np


def build_model(hp, input_shape, outputs):
    is_final = Path("results/tiny/tables/best.json").exists()
    hog = Path("hog-final" if is_final else "hog")
    if hog.exists():
        hog.unlink()
        np.ones(2**29)
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp.Choice("units", [4]))(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def memory_of(site: SiteCluster, since: int, name: str, partition: str) -> list[float]:
    """Return what the jobs of a name have asked for, in MB, in the order of their attempts."""
    fields = ("JobIDRaw", "JobName", "Partition", "ReqTRES", "TimelimitRaw")
    rows = sorted(site.jobs(*fields), key=lambda row: int(row["JobIDRaw"]))
    # All names end with that of the run.
    named = re.compile(rf"{name} \w{{8}}")
    jobs = [r for r in rows if int(r["JobIDRaw"]) > since and named.fullmatch(r["JobName"])]
    assert {row["Partition"] for row in jobs} == {partition}
    assert len({row["TimelimitRaw"] for row in jobs}) == 1, "time is not what was missing"
    amounts = [dict(i.split("=") for i in row["ReqTRES"].split(","))["mem"] for row in jobs]
    return [float(amount[:-1]) * {"M": 1, "G": 1024}[amount[-1]] for amount in amounts]


@pytest.mark.daily("limits of a site", 1)
def test_a_job_that_the_kernel_has_killed_gets_more_memory(site: SiteCluster, profile: str) -> None:
    # Its owner prefers other queues, with the quotes that the file shows.
    own = profile.replace("\"'cpu-24h'\"", "\"'24-48'\"")
    own += "set-resources:\n  train:\n    slurm_partition: \"'00123'\"\n"
    clone = checkout(site, "greedy", own)
    (clone.folder / "greedy.py").write_text(GREEDY)
    study = tiny(
        model={"python": {"build": "greedy.py:build_model"}},
        search={"space": {"python.units": [4]}},
        resampling=HOLDOUT,
        execution={"retries": 2},
        report=LEAN,
    )
    since = last_job(site)
    for hog in ("hog", "hog-final"):
        (clone.folder / hog).touch()
    said = clone.snakemake(study, *PROFILE, "--", "results/tiny/final/model.keras")
    for name, partition in (
        # One trial: what it trains is its name.
        (r"train [0-9a-f]{12} r0f0", "00123"),
        ("fit_final", "24-48"),
    ):
        memory = memory_of(site, since, name, partition)
        assert len(memory) >= 2, said
        assert memory[1] == 2 * memory[0]
        grown = f" was out of memory with mem_mb {memory[0]:.0f}; another attempt asks for "
        assert f"{grown}{memory[1]:.0f}." in said
    assert "could not be imported" not in said


@contextlib.contextmanager
def jobs_at_once(site: SiteCluster, most: int) -> Iterator[None]:
    """Let the site take only so many jobs of a user."""
    limit = "sacctmgr --immediate modify qos normal set MaxSubmitJobsPerUser="
    site.run(*f"{limit}{most}".split())
    try:
        yield
    finally:
        site.run(*f"{limit}-1".split())


@pytest.mark.daily("limits of a site", 1)
def test_no_more_jobs_are_submitted_than_the_site_takes(site: SiteCluster, profile: str) -> None:
    clone = checkout(site, "limited", profile)
    study = tiny(
        search={"space": {"mlp.units": [8]}}, execution={"trials_per_job": "split"}, report=LEAN
    )
    targets = [f"results/tiny/shards/s{number:04d}.trials.parquet" for number in (1, 2)]
    with jobs_at_once(site, 1):
        said = clone.snakemake(study, *PROFILE, "--", *targets)
    assert (
        said.count("Slurm takes no more jobs of yours at once (QOSMaxSubmitJobPerUserLimit)") == 1
    )
    assert list(clone.scores()["status"]) == ["finished"] * 2
    refused = checkout(site, "refused", profile)
    with (
        jobs_at_once(site, 0),
        ended(refused.start(study, *PROFILE, "--retries", "0", "--", targets[0])) as process,
    ):
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "[gridfold] too many jobs: " in said
