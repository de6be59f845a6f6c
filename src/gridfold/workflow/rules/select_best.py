"""The rule `select_best` selects a configuration and gathers its predictions."""

from __future__ import annotations

import json

from gridfold.jobs.script import RuleJob
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import select
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(SummaryRequest)
    tried = len(json.loads(job.input("catalogue").read_text()))
    selection = select(trials.read_table(job.input("configurations")), request, tried)
    predictions = trials.predictions_of(selection.config_id, job.inputs["predictions"])
    trials.write(job.output("predictions"), predictions)
    selection.write(job.output("best"))
