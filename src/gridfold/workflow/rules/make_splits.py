"""The rule `make_splits` draws the splits of all trials."""

from __future__ import annotations

from gridfold.data.dataset import Dataset
from gridfold.data.splits import make_splits
from gridfold.jobs.script import RuleJob
from gridfold.requests import SplitsRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(SplitsRequest)
    dataset = Dataset.verified(job.input("manifest").parent)
    make_splits(dataset, request).save(job.output("splits"))
