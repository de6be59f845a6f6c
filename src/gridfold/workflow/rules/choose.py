"""The rule `choose` decides which configurations go on to a stage of a search."""

from __future__ import annotations

from gridfold.jobs.script import RuleJob
from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChoiceRequest
from gridfold.search.decisions import choose


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ChoiceRequest)
    files = [StageFile.read(file) for file in job.inputs["files"]]
    choose(request, files, job.inputs["trials"]).write(job.output("chosen"))
