"""The rule `fit_baselines` fits simple learners on the splits of a study."""

from __future__ import annotations

from gridfold.baselines.fitting import fit_baselines
from gridfold.data.dataset import Dataset
from gridfold.data.splits import Splits
from gridfold.jobs.script import RuleJob
from gridfold.requests import BaselinesRequest
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    dataset = Dataset.verified(job.input("manifest").parent)
    splits = Splits.load(job.input("splits"))
    table = fit_baselines(job.request(BaselinesRequest), dataset, splits)
    for file in (job.output("baseline_fits"), job.output("baseline_fits_table")):
        trials.write(file, table)
