"""The sections of the report that every study has, and that of the scaling study."""

from __future__ import annotations

import shlex

from gridfold import reportanswer, reportfacts
from gridfold.cautions import find_cautions
from gridfold.jobtable import advise
from gridfold.reportdata import training_metric
from gridfold.reportinput import BESIDE, ReportInput, Section
from gridfold.reporttable import configurations_table, failures_table, scaling_table
from gridfold.summary import all_measures
from gridfold.views import compared_axes
from gridfold.wording import direction, measure_name, percent


def answer(study: ReportInput) -> Section:
    """Return what was found, in large numbers and few sentences."""
    return Section(
        "answer",
        "Answer",
        "The answer",
        {
            "selected": reportanswer.selected(study.tables.configurations, study.best),
            "scores": reportanswer.scores(study.best, study.card),
            "sentences": reportanswer.sentences(
                study.tables.configurations, study.best, study.card
            ),
            "card_file": BESIDE.final / "card.md",
            "model_file": BESIDE.final / "model.keras",
        },
    )


def cautions(study: ReportInput) -> Section:
    """Return what limits the trust in the answer."""
    found = find_cautions(study.request, study.tables, study.card)
    return Section("cautions", "Warnings", "Warnings", {"cautions": found})


def configurations(study: ReportInput) -> Section:
    """Return the ranking as table and figure."""
    trials = study.tables.trials
    return Section(
        "configurations",
        "Configurations",
        "Configurations",
        {
            "table": configurations_table(
                study.tables.configurations, study.best, all_measures(trials)
            ),
            "table_file": BESIDE.tables / "configurations.csv",
            "methods": [
                *reportfacts.methods(study.best, trials),
                *reportfacts.replicas(study.study, trials),
            ],
            "intervals": _intervals(study),
            "tested": bool(study.card["test"]),
        },
    )


def _intervals(study: ReportInput) -> str:
    level = percent(study.study["report"]["confidence"])
    return f" with its {level} confidence interval" if study.best["n_splits"] > 1 else ""


def curves(study: ReportInput) -> Section:
    """Return the learning curves."""
    content = {
        "metric": training_metric(study.study),
        "over_splits": ", mean over the splits" if study.best["n_splits"] > 1 else "",
    }
    return Section("curves", "Learning curves", "Learning curves", content)


def hyperparameters(study: ReportInput) -> Section:
    """Return the scores over the search space."""
    measure, table = study.request["measure"], study.tables.configurations
    axes = compared_axes(table[table["n_splits"] > 0], study.study["search"]["space"])
    content = {
        "measure": measure_name(measure),
        "direction": direction(measure),
        "several_axes": len(axes) > 1,
    }
    return Section("hyperparameters", "Hyperparameters", "Hyperparameters", content)


def errors(study: ReportInput) -> Section:
    """Return where the selected configuration is wrong."""
    return Section("errors", "Errors", "Errors of the selected configuration", {})


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
        "cost": reportfacts.cost(study.all_trials),
        "cost_advice": advise(study.jobs, study.all_trials),
        "trials_file": BESIDE.tables / "trials.csv",
        "jobs_file": BESIDE.tables / "jobs.csv",
    }
    return Section("cost", "Cost", "Cost", content)


def provenance(study: ReportInput) -> Section:
    """Return where the numbers come from and how they are made again."""
    content = {
        "provenance": reportfacts.provenance(
            study.request, study.tables.trials, study.card, study.manifest
        ),
        "command": f"snakemake --configfile {shlex.join(study.request['files'])}",
        "settings": reportfacts.settings_text(study.study),
        "card_file": BESIDE.final / "card.md",
    }
    return Section("provenance", "Provenance", "Provenance", content)
