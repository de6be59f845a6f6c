"""The rule `train` trains the trials of a shard or slot."""

from __future__ import annotations

from gridfold.jobs.local import train_here
from gridfold.jobs.script import RuleJob
from gridfold.jobs.shard import ShardTables
from gridfold.plan.stage_file import StageFile, slot_request
from gridfold.requests import TrainRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request, shard = job.request(TrainRequest), job.wildcards["shard"]
    for file in job.inputs["chosen"]:
        request = slot_request(request, StageFile.read(file), shard)
    train_here(
        shard,
        request,
        job.input("splits").parent,
        ShardTables(*(job.output(name) for name in ("trials", "epochs", "predictions"))),
        threads=job.threads,
        resources=job.resources,
        retries=job.parameters["retries"],
    )
