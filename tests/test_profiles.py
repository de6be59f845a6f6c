"""The profiles: found, explained, and true to the rules. What they submit is in test_slurm.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_architecture import RULES
from workbench import ROOT

PROFILES = sorted(ROOT.glob("profiles/*/config.yaml"))
CLUSTERS = [file for file in PROFILES if file.parent.name != "default"]


def name(file: Path) -> str:
    return file.parent.name


def dry_run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", *options],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "EXPANSE_ACCOUNT"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_link_beside_the_snakefile_survives_a_move() -> None:
    # `--profile slurm` looks for a folder of that name here and in the user's configuration.
    assert os.readlink(ROOT / "slurm") == "profiles/slurm"


@pytest.mark.parametrize("file", PROFILES, ids=name)
def test_every_entry_is_explained(file: Path) -> None:
    lines = file.read_text().splitlines()
    explained = False
    for line in lines:
        if re.match(r"[^\s#]", line):
            assert explained, f"no comment above: {line}"
        # A comment speaks for what follows without an empty line between.
        explained = line.startswith("#") or (explained and bool(line))


@pytest.mark.parametrize("file", CLUSTERS, ids=name)
def test_profiles_speak_of_rules_that_exist(file: Path) -> None:
    profile = yaml.safe_load(re.sub(r"(?m)^( *[\w-]+: )(\?.*)$", r"\1", file.read_text()))
    named = {*profile["groups"], *profile["set-threads"], *profile.get("set-resources", {})}
    assert named <= set(RULES)
    # What trains stands alone; everything else would wait in the queue for seconds of work.
    assert set(profile["groups"]) == {
        r for r in RULES if not r.startswith(("train", "fit", "tune"))
    }


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_asks_for_memory_and_time_that_grow_with_the_attempt(rule: str) -> None:
    for resource in ("mem_mb", "runtime"):
        asked = re.search(rf"^        {resource}=(lambda .*?),\n", RULES[rule], re.M | re.S)
        assert asked, f"{rule} asks for no {resource}"
        assert "attempt" in asked[1]


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
    assert " on 4 (rough)" in there.stderr, "the same on every login node"
    some = dry_run("--configfile", "config/demo.yaml", "-j", "3")
    assert some.returncode == 0, some.stderr
