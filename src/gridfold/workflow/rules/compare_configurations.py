"""The rule `compare_configurations` tests which differences are more than chance."""

from __future__ import annotations

from gridfold.figures.comparison import draw_comparison
from gridfold.figures.study import save_all
from gridfold.jobs.script import RuleJob
from gridfold.paths import StudyPaths
from gridfold.requests import ComparisonRequest, SummaryRequest
from gridfold.statistics.comparison import compare
from gridfold.statistics.explored import explored
from gridfold.store.selection import Selection, SelectionFacts
from gridfold.tables.trials import read_table


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ComparisonRequest)
    trials = read_table(job.input("trials"))
    summary = SummaryRequest(request.measure, request.confidence)
    found = compare(
        request,
        trials,
        read_table(job.input("configurations")),
        _estimate(job),
        explored(trials, read_table(job.input("search_trials")), summary),
    )
    found.write(StudyPaths(job.output("facts").parents[1]))
    save_all(draw_comparison(found), job.output("importance_svg").parent)


def _estimate(job: RuleJob) -> SelectionFacts:
    estimate = Selection.read(job.input("best")).estimate
    if estimate is not None:
        return estimate
    reason = "The selection was made by an earlier version, which didn’t correct for it."
    return SelectionFacts.without(reason)
