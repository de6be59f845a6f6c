"""The sections of the report that every study has, and that of the scaling study."""

from __future__ import annotations

from gridfold.report.charts import training_metric
from gridfold.report.input import BESIDE, ReportInput, Section
from gridfold.report.sections.provenance import methods, replicas
from gridfold.report.tables import configurations_table
from gridfold.tables.axes import compared_axes
from gridfold.tables.trials import all_measures
from gridfold.wording import direction, measure_name, percent


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
                *methods(study.best, trials),
                *replicas(study.study, trials),
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
