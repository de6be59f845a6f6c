"""When a run starts the processes that its jobs fork from: before the first job wants them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from workbench import ROOT
from workspaces import Workspace, tiny

from gridfold.jobs.fork_server import ADDRESS, TABLES

# Tells which servers there are once the rules are read, and once the jobs are known.
SNAKEFILE = """
import json, os, sys

def tell(when):
    servers = [name for name in {addresses} if name in os.environ]
    print(f"servers {{when}}: {{json.dumps(servers)}}", file=sys.stderr)

include: {snakefile}

tell("soon")

onstart:
    started()
    tell("later")
"""
MODULE = """
module gridfold:
    snakefile: {snakefile}
    config: {{"study_files": ["study.yaml"]}}

use rule * from gridfold as our_*

rule all:
    default_target: True
    input: rules.our_prepare_data.output.manifest, rules.our_make_splits.output.splits

onstart:
    gridfold.onstart()
    import json, os, sys
    servers = [name for name in {addresses} if name in os.environ]
    print(f"servers later: {{json.dumps(servers)}}", file=sys.stderr)
"""
BOTH = [ADDRESS, TABLES.address]
STUDY = tiny(search={"space": {"mlp.units": [8]}}, training={"epochs": 1})


def servers(answer: subprocess.CompletedProcess[str], when: str) -> list[str] | None:
    """Return the servers that there were, None where it did not come to that."""
    found = re.search(rf"^servers {when}: (.*)$", answer.stderr, re.M)
    return None if found is None else json.loads(found[1])


def workspace(folder: Path, text: str) -> Workspace:
    snakefile = folder / "Snakefile"
    inserted = {"addresses": BOTH, "snakefile": repr(str(ROOT / "Snakefile"))}
    snakefile.write_text(text.format(**inserted))
    return Workspace(folder, snakefile, shares_forks=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[list[str] | None]]:
    """Return the folder of a study that has run, and what its run has told."""
    place = workspace(tmp_path_factory.mktemp("study"), SNAKEFILE)
    answer = place.snakemake(STUDY, "all")
    return place, [servers(answer, when) for when in ("soon", "later")]


def test_a_study_without_a_report_has_them_while_the_rules_are_read(
    finished: tuple[Workspace, list[list[str] | None]],
) -> None:
    place, told = finished
    assert told == [BOTH, BOTH]
    assert (place.folder / "results" / "tiny" / "report.html").exists()


def test_a_finished_study_has_none(finished: tuple[Workspace, list[list[str] | None]]) -> None:
    place, _ = finished
    answer = place.snakemake(STUDY, "all")
    assert (servers(answer, "soon"), servers(answer, "later")) == ([], None)
    # Not before jobs are there that want them.
    answer = place.snakemake(STUDY | {"training": {"epochs": 2}}, "collect")
    assert servers(answer, "soon") == []
    assert ADDRESS in (servers(answer, "later") or [])


def test_what_no_job_wants_ends_before_the_first_one(tmp_path: Path) -> None:
    place = workspace(tmp_path, SNAKEFILE)
    assert servers(place.snakemake(STUDY, "--dry-run", "all"), "soon") == []
    answer = place.snakemake(STUDY, "prepare_data")
    assert (servers(answer, "soon"), servers(answer, "later")) == (BOTH, [])


def test_rules_of_a_module_have_them_under_any_name(tmp_path: Path) -> None:
    place = workspace(tmp_path, MODULE)
    assert servers(place.snakemake(STUDY), "later") == [TABLES.address]
