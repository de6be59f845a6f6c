"""The rule `compare_configurations` tests which differences are more than chance."""

from __future__ import annotations

import numpy as np

from gridfold.figures.comparison import draw_comparison
from gridfold.figures.study import save_all
from gridfold.jobs.script import RuleJob
from gridfold.paths import StudyPaths
from gridfold.requests import ComparisonRequest
from gridfold.statistics.comparison import compare
from gridfold.tables.trials import read_table


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ComparisonRequest)
    found = compare(
        request,
        read_table(job.input("trials")),
        read_table(job.input("configurations")),
        targets=np.load(job.input("targets"), mmap_mode="r"),
        groups=np.load(job.input("groups"), mmap_mode="r"),
        predictions=job.inputs["predictions"],
    )
    found.write(StudyPaths(job.output("facts").parents[1]))
    save_all(draw_comparison(found), job.output("importance_svg").parent)
