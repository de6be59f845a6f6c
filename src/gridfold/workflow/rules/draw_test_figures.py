"""The rule `draw_test_figures` draws scores and errors, the test set among them."""

from __future__ import annotations

from gridfold.data.dataset import mapped
from gridfold.data.manifest import Manifest
from gridfold.figures import study
from gridfold.jobs.script import RuleJob
from gridfold.requests import ReportRequest
from gridfold.store.model_card import ModelCard
from gridfold.tables.predictions import predicted_samples
from gridfold.tables.trials import StudyTables, read_table


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ReportRequest)
    drawings = study.draw_test(
        request,
        StudyTables.read(job.input),
        card=ModelCard.read(job.input("card")),
        samples=predicted_samples(
            read_table(job.input("out_of_fold")),
            read_table(job.input("test_predictions")),
            mapped(job.input("targets")),
            request.positive_from,
        ),
        manifest=Manifest.read(job.input("manifest")),
    )
    study.save_all(drawings, job.output("scores_svg").parent)
