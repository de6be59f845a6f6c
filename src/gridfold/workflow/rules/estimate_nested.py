"""The rule `estimate_nested` says how good search and training are together."""

from __future__ import annotations

from gridfold.data.dataset import mapped
from gridfold.jobs.script import RuleJob
from gridfold.plan.stage_file import StageFile
from gridfold.requests import NestedRequest
from gridfold.search.nested import nested_table
from gridfold.statistics.nested import nested_estimate
from gridfold.store.selection import Selection
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(NestedRequest)
    files = [*job.inputs["search"], *job.inputs["scores"]]
    table = nested_table(
        request,
        [StageFile.read(file) for file in job.inputs["winners"]],
        {file.name.partition(".")[0]: file for file in files},
        Selection.read(job.input("best")).config_id,
    )
    for name in ("nested", "nested_table"):
        trials.write(job.output(name), table)
    nested_estimate(request, table, mapped(job.input("targets"))).write(job.output("estimate"))
