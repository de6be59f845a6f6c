"""The rule `select_best` selects a configuration, and says how good it is without luck."""

from __future__ import annotations

import json
from dataclasses import replace

from gridfold.data.dataset import mapped
from gridfold.jobs.script import RuleJob
from gridfold.requests import ComparisonRequest, SummaryRequest
from gridfold.statistics.front import require_candidate
from gridfold.statistics.selection import estimate_of_study
from gridfold.statistics.summary import select
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ComparisonRequest)
    tried = len(json.loads(job.input("catalogue").read_text()))
    configurations = trials.read_table(job.input("configurations"))
    found = trials.read_table(job.input("trials"))
    if request.objectives is not None:
        require_candidate(found, configurations, request.objectives)
    summary = SummaryRequest(request.measure, request.confidence, request.objectives)
    # First, since it says so where nothing has a score.
    selection = select(configurations, summary, tried)
    estimate = estimate_of_study(
        request,
        found,
        configurations,
        trials.read_table(job.input("search_trials")),
        targets=mapped(job.input("targets")),
        groups=mapped(job.input("groups")),
        compared=job.inputs["predictions"],
        explored=job.inputs["explored"],
    )
    selection = replace(selection, estimate=estimate)
    predictions = trials.predictions_of(selection.config_id, job.inputs["predictions"])
    trials.write(job.output("predictions"), predictions)
    selection.write(job.output("best"))
