"""The rule `close_rungs` writes down what an asynchronous Hyperband has decided and trained."""

from __future__ import annotations

from gridfold.jobs.script import RuleJob
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import stage_of
from gridfold.requests import RungsRequest
from gridfold.search.rungs import ClosedRungs, Rungs


def run(job: RuleJob) -> None:
    """Do the work of the job of the rule."""
    request = job.request(RungsRequest)
    paths = StudyPaths(job.input("splits").parent)
    begun = [StageFile.read(file) for file in job.inputs["begun"]]
    inputs = JobInputs.load(request.conditions, paths, request.conditions.threads)
    closed = ClosedRungs(Rungs(request, begun, paths, inputs))
    stages = {file.stem: file for file in job.outputs["stages"]}
    parts = (job.outputs[name] for name in ("trials", "epochs", "predictions"))
    shards = {
        stage_of(tables[0].name.partition(".")[0]): tables for tables in zip(*parts, strict=True)
    }
    closed.write(job.output("decisions"), stages, shards)
