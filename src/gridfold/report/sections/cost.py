"""Sections on what the study cost: jobs, scaling, failures."""

from __future__ import annotations

from gridfold.report.input import BESIDE, ReportInput, Section
from gridfold.report.sections.provenance import cost_facts
from gridfold.report.tables import failures_table, scaling_table
from gridfold.tables.jobs import advise


def scaling(study: ReportInput) -> Section | None:
    """Return what several replicas gain, of a study that compares world sizes."""
    if study.scaling is None:
        return None
    content = {
        "scaling": scaling_table(study.scaling),
        "scaling_file": BESIDE.tables / "scaling.csv",
    }
    return Section("scaling", "Scaling", "Scaling", content)


def failures(study: ReportInput) -> Section:
    """Return the failed trials with their reasons."""
    trials = study.all_trials
    content = {
        "failures": failures_table(trials),
        "trials_file": BESIDE.tables / "trials.csv",
        "trial_count": len(trials),
    }
    return Section("failures", "Failed trials", "Failed trials", content)


def cost(study: ReportInput) -> Section:
    """Return what the trials took, and what jobs could ask for instead."""
    content = {
        "cost": cost_facts(study.all_trials),
        "cost_advice": advise(study.jobs, study.all_trials),
        "trials_file": BESIDE.tables / "trials.csv",
        "jobs_file": BESIDE.tables / "jobs.csv",
    }
    return Section("cost", "Cost", "Cost", content)
