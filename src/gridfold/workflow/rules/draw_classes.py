"""The rule `draw_classes` draws what only classification has."""

from __future__ import annotations

from gridfold.data.dataset import mapped, mapped_features
from gridfold.data.manifest import Manifest
from gridfold.figures import classes, study
from gridfold.jobs.script import RuleJob
from gridfold.requests import ReportRequest
from gridfold.tables import trials
from gridfold.tables.predictions import predicted_samples


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ReportRequest)
    found = classes.draw_classes(
        request,
        predicted_samples(
            trials.read_table(job.input("out_of_fold")),
            trials.read_table(job.input("test_predictions")),
            mapped(job.input("targets")),
            request.positive_from,
        ),
        features=mapped_features(job.input("features")),
        ids=mapped(job.input("ids")),
        manifest=Manifest.read(job.input("manifest")),
    )
    study.save_all(found.drawings, job.output("roc_svg").parent)
    for name, table in found.tables.items():
        trials.write(job.output(f"{name}_table"), table)
    trials.write(job.output("classes"), found.tables["classes"])
