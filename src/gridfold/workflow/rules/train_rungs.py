"""The rule `train_rungs` trains what an asynchronous Hyperband decides."""

from __future__ import annotations

from gridfold.jobs.script import RuleJob
from gridfold.plan.stage_file import StageFile
from gridfold.requests import RungsRequest
from gridfold.search.asynchronous import train_rungs


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    train_rungs(
        job.wildcards["job"],
        job.request(RungsRequest),
        job.input("splits").parent,
        [StageFile.read(file) for file in job.inputs["begun"]],
        threads=job.threads,
        resources=job.resources,
        retries=job.parameters["retries"],
    )
