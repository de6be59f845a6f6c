"""The rule `prepare_data` reads the data of a study once, for all jobs."""

from __future__ import annotations

from gridfold.data.content import content_digest
from gridfold.data.dataset import prepare
from gridfold.errors import DataError
from gridfold.jobs.script import RuleJob
from gridfold.paths import StudyPaths
from gridfold.requests import DataRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(DataRequest)
    folder = job.output("manifest").parent
    dataset = prepare(
        request.data,
        request.problem,
        folder,
        positive=request.positive,
        measures=request.measures or (),
    )
    memory = StudyPaths(folder.parent).source_digests
    if content_digest(request.data, memory) != request.content:
        raise DataError(
            "the data files have changed since this run began; start the same command again"
        )
    dataset.save(folder)
