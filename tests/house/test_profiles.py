"""The profiles: found, explained, and true to the rules. What they submit is in tests/cluster."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from rulefiles import RULES
from workbench import ROOT

PROFILES = sorted(ROOT.glob("profiles/*/config.yaml"))
CLUSTERS = [file for file in PROFILES if file.parent.name != "default"]


def name(file: Path) -> str:
    return file.parent.name


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
    # What trains stands alone, and so does what trainings wait for and are waited for by;
    # everything else would wait in the queue for seconds of work.
    # `choose` says itself which of its jobs those are; the final fit waits for `estimate_nested`.
    alone = {"choose", "estimate_nested"}
    assert set(profile["groups"]) == {
        r for r in RULES if not r.startswith(("train", "fit", "tune")) and r not in alone
    }


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_asks_for_memory_and_time_that_grow_with_the_attempt(rule: str) -> None:
    for resource in ("mem_mb", "runtime"):
        asked = re.search(rf"^        {resource}=(lambda .*?),\n", RULES[rule], re.M | re.S)
        assert asked, f"{rule} asks for no {resource}"
        assert "attempt" in asked[1]
