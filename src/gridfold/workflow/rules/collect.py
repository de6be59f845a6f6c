"""The rule `collect` brings the tables of all shards together."""

from __future__ import annotations

from pathlib import Path

from gridfold.jobs.script import RuleJob
from gridfold.plan.stage_file import StageFile
from gridfold.requests import CollectRequest
from gridfold.search.tables import write_tables


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(CollectRequest)
    write_tables(
        request,
        [StageFile.read(file) for file in job.inputs["stages"]],
        job.inputs["trials"],
        job.inputs["epochs"],
        Path(job.parameters["records"]),
        {name: job.output(name) for name in job.outputs},
    )
