"""What is planned and asked for with each profile; what is submitted is in tests/cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warm
import yaml
from dryruns import PROFILES as OPTIONS
from dryruns import DryRun, dry_runs
from PIL import Image
from searches import tuned
from studies import tiny_study, write_study
from workbench import ROOT

from gridfold.cli import new
from gridfold.plan.plan import Plan


def dry_run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EXPANSE_ACCOUNT", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        return warm.snakemake(ROOT, ["--dry-run", *options])


def searched(strategy: dict[str, Any] | None = None, **stages: Any) -> dict[str, Any]:
    """Return a small study with two axes."""
    space = {
        "mlp.units": [4, 8, 16, 32],
        "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
    }
    if strategy is None:
        space["training.learning_rate"] = [0.001, 0.01]
    search = {"space": space, **({"strategy": strategy} if strategy else {}), **stages}
    return tiny_study(training={"epochs": 8}, search=search)


def distributed(**distribution: Any) -> dict[str, Any]:
    return tiny_study(
        training={"epochs": 2, "batch_size": 64},
        search={"space": {f"training.distribution.{k}": v for k, v in distribution.items()}},
    )


HYPERBAND = {"type": "hyperband", "factor": 2}


FINALISTS = {"top": 2, "folds": 3}


# Every form that a study can give the graph of jobs.
FORMS = {
    "grid": searched(),
    "random": searched({"type": "random", "n": 5}),
    "sobol": searched({"type": "sobol", "n": 4}, confirm=FINALISTS),
    "latin hypercube": searched({"type": "latin_hypercube", "n": 4}),
    "hyperband": searched(HYPERBAND),
    "all stages": searched(
        explore={"epochs": 2}, refine={"top": 2, "rounds": 3}, confirm=FINALISTS
    ),
    "hyperband, all stages": searched(HYPERBAND, refine={"top": 2, "rounds": 2}, confirm=FINALISTS),
    "tuner": tuned({"tuner": "bayesian", "max_trials": 4}),
    "tuner with workers": tuned({"tuner": "random", "max_trials": 4, "workers": 2}),
    "tuner, confirmed": searched(
        {"type": "keras_tuner", "tuner": "hyperband", "max_epochs": 4, "factor": 2, "workers": 3},
        refine={"top": 1},
        confirm=FINALISTS,
    ),
    "several replicas": distributed(world_size=[1, 2, 4], backend=["horovod"]),
    "devices of one process": distributed(world_size=[1, 2], backend=["mirrored"]),
    "ensemble": tiny_study(final={"ensemble": True}),
    "notebook": searched(HYPERBAND) | {"report": {"notebook": True}},
    "images": tiny_study(data={"source": "images", "path": "images"}),
}


def check_groups(run: DryRun, cores: int) -> None:
    """Check that each group asks for its largest rule, and for the time of all its rules."""
    groups = [job for job in run.jobs if job["group"] is not None]
    assert {job["group"] for job in groups} == {"data", "answer", "report"}
    for job in groups:
        rules = job["rules"].values()
        assert job["asked"]["_cores"] == max(rule["_cores"] for rule in rules) <= cores, job
        assert job["asked"]["mem_mb"] == max(rule["mem_mb"] for rule in rules)


def write_images(folder: Path) -> None:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((4, 4, 3), number, np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


# Those with groups; the default one is that of all other tests.
@pytest.mark.daily("plans with profiles", 1)
@pytest.mark.parametrize(("profile", "most_cores"), [("slurm", 4), ("expanse", 10)])
def test_every_search_has_a_plan_with_every_profile(
    profile: str, most_cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    write_images(tmp_path / "images")
    files = [f"config/{name}.yaml" for name in ("demo", "mnist", "reference", "scaling")]
    for name, study in FORMS.items():
        files.append(f"{name}.yaml")
        write_study(tmp_path / files[-1], study)
    lines = [("--configfile", file, *OPTIONS[profile]) for file in files]
    for file, run in zip(files, dry_runs(tmp_path, *lines), strict=True):
        assert run.ended, f"{file}: {run.said}"
        check_groups(run, most_cores)
        # All that depends on nothing that trains is one job; each decision is another.
        (begin,) = (job for job in run.jobs if job["group"] == "data")
        assert {"prepare_data", "make_splits"} <= set(begin["rules"])
        deciding = [job for job in run.jobs if set(job["rules"]) == {"choose"}]
        stages = Plan.load([tmp_path / file]).stages
        assert len(deciding) == sum(bool(stage.sources) for stage in stages)


@pytest.mark.parametrize("cores", [1, 2])
def test_no_group_asks_for_more_cores_than_a_training_job(cores: int, tmp_path: Path) -> None:
    write_study(tmp_path / "study.yaml", FORMS["images"])
    write_images(tmp_path / "images")
    words = (*OPTIONS["slurm"], "--set-threads", f"train={cores}")
    (run,) = dry_runs(tmp_path, ("--configfile", "study.yaml", *words))
    assert run.ended, run.said
    check_groups(run, cores)
    # Images are decoded in parallel, by as many processes as the job has cores.
    assert run.asked("data")["_cores"] == cores
    report = next(job for job in run.jobs if job["group"] == "report")
    minutes = [rule["runtime"] for rule in report["rules"].values()]
    assert report["asked"]["runtime"] == sum(minutes), "they run one after another"


def test_expanse_asks_who_pays_before_anything_else() -> None:
    answer = dry_run("--profile", "profiles/expanse", "--sdm", "env-modules")
    assert answer.returncode != 0
    assert "export EXPANSE_ACCOUNT=<account>" in answer.stderr
    assert "Traceback" not in answer.stderr
    answer = dry_run(
        "--profile", "profiles/expanse", "--sdm", "env-modules", EXPANSE_ACCOUNT="abc123"
    )
    assert answer.returncode == 0, answer.stderr


def test_cores_of_a_login_node_say_nothing_about_a_job() -> None:
    here = dry_run("--configfile", "config/demo.yaml")
    assert here.returncode == 0, here.stderr
    there = dry_run("--configfile", "config/demo.yaml", "--profile", "slurm")
    assert " on 4\n" in there.stderr, "the same on every login node"
    some = dry_run("--configfile", "config/demo.yaml", "-j", "3")
    assert some.returncode == 0, some.stderr


def test_a_project_of_its_own_has_a_plan_with_its_profiles(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    new.create(folder)
    here = ("--snakefile", "Snakefile")
    for run in dry_runs(folder, here, (*here, "--profile", "slurm")):
        assert run.ended, run.said
    check_groups(run, 4)


def test_memory_for_each_core_is_not_added_up(tmp_path: Path) -> None:
    write_study(tmp_path / "study.yaml", FORMS["grid"])
    words = (*OPTIONS["slurm"], "--default-resources", "mem_mb_per_cpu=2000")
    (run,) = dry_runs(tmp_path, ("--configfile", "study.yaml", *words))
    for group in ("data", "answer", "report"):
        assert run.asked(group)["mem_mb_per_cpu"] == 2000


def test_on_one_machine_rules_run_side_by_side(tmp_path: Path) -> None:
    write_study(tmp_path / "study.yaml", FORMS["grid"])
    (run,) = dry_runs(tmp_path, ("--configfile", "study.yaml", "--cores", "4"))
    assert run.ended
    assert "turn" not in run.limits


def site(folder: Path, name: str, entries: dict[str, Any]) -> tuple[str, str]:
    (folder / name).mkdir()
    text = yaml.safe_dump({"executor": "slurm", "jobs": 9, **entries})
    (folder / name / "config.yaml").write_text(text)
    return "--profile", str(folder / name)


def test_names_of_a_site_stay_names_or_are_refused(tmp_path: Path) -> None:
    write_study(tmp_path / "study.yaml", FORMS["grid"])
    names = ("24-48", "00123", "int", "all")
    good = {
        "default-resources": {"slurm_partition": f"'{names[0]}'", "slurm_account": "'00123'"},
        "set-resources": {
            rule: {"slurm_partition": f"'{name}'"}
            for rule, name in zip(("train", "fit_final", "collect"), names[1:], strict=True)
        },
        # No job asks for more than this.
        "resources": {"mem_mb": 900, "runtime": 8},
        "max-threads": 2,
        "set-threads": {"train": 4},
    }
    bad = {
        "default-resources": {"slurm_partition": "24-48", "slurm_account": 123, "qos": "normal"},
        "set-resources": {"train": {"slurm_partition": "int"}},
    }
    profiles = site(tmp_path, "good", good), site(tmp_path, "bad", bad)
    # As its owner has written it.
    file = tmp_path / "bad" / "config.yaml"
    file.write_text(file.read_text().replace("slurm_account: 123", "slurm_account: 00123"))
    study = ("--configfile", "study.yaml")
    well, refused, grown = dry_runs(
        tmp_path,
        *((*study, *profile) for profile in profiles),
        (*study, *OPTIONS["slurm"], "--config", "execution={trials_per_job: split}"),
    )
    assert well.ended, well.said
    rules = {rule: asked for job in well.jobs for rule, asked in job["rules"].items()}
    for rule, name in zip(("make_splits", "train", "fit_final", "collect"), names, strict=True):
        assert rules[rule]["slurm_partition"] == name
    assert {asked["slurm_account"] for asked in rules.values()} == {"00123"}
    for rule, asked in rules.items():
        if rule != "all":
            assert asked["mem_mb"] == 900, rule
            assert asked["runtime"] <= 8, rule
            assert asked["_cores"] <= 2
    assert not refused.ended
    assert "Traceback" not in refused.said
    for words in (
        "default-resources.slurm_partition: 24-48, which has become -24",
        "default-resources.slurm_account: 00123, which has become 83",
        "set-resources.train.slurm_partition: int, which Python knows as a function",
        "slurm_account: \"'00123'\" in a profile",
        "3 problems; nothing was run",
    ):
        assert words in refused.said
    # One job for each trial, called by it.
    trains = [j["rules"]["train"] for j in grown.jobs if "train" in j["rules"]]
    assert len(trains) == len({job["trains"] for job in trains}) == 16
    assert all(re.fullmatch(r"[0-9a-f]{12} r0f[01]", job["trains"]) for job in trains)
    assert "jobs            one for each configuration and split" in grown.said
