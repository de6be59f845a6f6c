"""The rule `describe_run` describes a finished run for referees and archives."""

from __future__ import annotations

import shutil
from pathlib import Path

from gridfold.atomic import replacing, write_text
from gridfold.dossier.checklists import NEURIPS, REFORMS
from gridfold.dossier.crate import crate_text
from gridfold.dossier.croissant import croissant_text
from gridfold.dossier.facts import RunFacts
from gridfold.dossier.readme import readme
from gridfold.jobs.script import RuleJob
from gridfold.paths import StudyPaths
from gridfold.requests import ReportRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    paths = StudyPaths(job.output("crate").parent)
    described = ("readme", "reforms", "neurips", "croissant")
    given = [file for name in ("results", "report") for file in job.inputs[name]]
    copies = job.outputs["workflow"]
    files = [*given, *copies, paths.last_run, *(job.output(name) for name in described)]
    facts = RunFacts.read(
        job.request(ReportRequest), paths, files, with_baselines=bool(job.inputs["baselines"])
    )
    for source, target in zip(job.inputs["workflow"], copies, strict=True):
        _copy(source, target)
    write_text(job.output("readme"), readme(facts))
    write_text(job.output("reforms"), REFORMS.markdown(facts))
    write_text(job.output("neurips"), NEURIPS.markdown(facts))
    write_text(job.output("croissant"), croissant_text(facts))
    # Last, for it has the checksums of all others.
    write_text(job.output("crate"), crate_text(facts))


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
