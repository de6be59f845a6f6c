"""The rule `measure_scaling` compares the speed of different world sizes."""

from __future__ import annotations

from gridfold.figures import scaling, study
from gridfold.jobs.script import RuleJob
from gridfold.requests import ScalingRequest
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ScalingRequest)
    table = scaling.scaling_table(
        request,
        trials.read_table(job.input("trials")),
        trials.read_table(job.input("epochs")),
    )
    for file in (job.output("table"), job.output("table_csv")):
        trials.write(file, table)
    drawings = {"scaling": scaling.draw_scaling(table)}
    study.save_all(drawings, job.output("scaling_svg").parent)
