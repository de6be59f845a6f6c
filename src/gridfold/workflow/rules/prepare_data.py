"""The rule `prepare_data` reads the data of a study once, for all jobs."""

from __future__ import annotations

from gridfold.data.dataset import prepare
from gridfold.jobs.script import RuleJob
from gridfold.requests import DataRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(DataRequest)
    folder = job.output("manifest").parent
    prepare(
        request.data,
        request.problem,
        folder,
        positive=request.positive,
        measures=request.measures or (),
    ).save(folder)
