"""The section on what the trials took, and what jobs could ask for instead."""

from __future__ import annotations

import pandas as pd

from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.store.trials import LEFT_OUT
from gridfold.tables.jobs import advise
from gridfold.wording import amount, counted, duration, memory, percent


def cost(study: ReportInput) -> ReportSection:
    """Return what the trials took, and what jobs could ask for instead."""
    content = {
        "cost": _facts(study.all_trials) | _of_outer_folds(study),
        "cost_advice": advise(study.jobs, study.all_trials),
        "trials_file": BESIDE.table_csv("trials"),
        "jobs_file": BESIDE.table_csv("jobs"),
    }
    return ReportSection("cost", "Cost", "Cost", content)


def _facts(trials: pd.DataFrame) -> dict[str, str]:
    """Return what the trials took."""
    seconds, finished = trials["fit_seconds"].fillna(0), trials["status"] == "finished"
    slowest = trials.iloc[int(seconds.argmax())]
    failed, left_out = (int((trials["status"] == s).sum()) for s in ("failed", LEFT_OUT))
    beside = f" and {left_out:,} were left out by the budget" * bool(left_out)
    cost = {
        "Trials": f"{len(trials):,}, of which {failed:,} failed{beside}",
        "Training time, all trials": duration(float(seconds.sum())),
        "With start-up and scoring": duration(float(trials["seconds"].fillna(0).sum())),
        "Mean training time": f"{duration(float(seconds[finished].mean()))} a trial",
        "Slowest trial": (
            f"{duration(float(seconds.max()))}: {slowest['label']}, split {slowest['split']}"
        ),
        "Epochs trained": f"{int(trials['epochs_trained'].sum()):,}",
    }
    hours = float(trials["core_hours"].sum())
    if hours > 0:
        used = trials["cpu_seconds"].sum()
        offered = (trials["cpu_seconds"] / trials["cpu_efficiency"].where(lambda e: e > 0)).sum()
        cost["CPU"] = f"{amount(hours)} core-hours" + (
            f", cores busy {percent(round(used / offered, 2))} of the time" if offered else ""
        )
    if trials["gpu_hours"].sum() > 0:
        busy = trials["gpu_busy"].mean()
        cost["GPU"] = f"{amount(float(trials['gpu_hours'].sum()))} GPU-hours" + (
            f", computing {percent(round(busy, 2))} of the time" if busy >= 0 else ""
        )
    if trials["memory_mb"].max() > 0:
        added = memory(float(trials["added_memory_mb"].max()))
        cost["Memory of a trial"] = (
            f"{memory(float(trials['memory_mb'].max()))} at most, of which {added} on top of what "
            "trials of a job share"
        )
    if trials["gpu_memory_mb"].max() > 0:
        cost["GPU memory"] = f"{memory(trials['gpu_memory_mb'].max())} in use at most" + (
            f", {memory(trials['gpu_tensors_mb'].max())} by tensors"
            if trials["gpu_tensors_mb"].max() > 0
            else ""
        )
    resumed = int((trials["resumptions"] > 0).sum())
    if resumed:
        cost["Resumed"] = f"{counted(resumed, 'trial')} went on from a checkpoint"
    return cost


def _of_outer_folds(study: ReportInput) -> dict[str, str]:
    """Return what outer folds took; they stand apart, since no trial above is one of theirs."""
    if study.nested is None or study.outer_folds is None:
        return {}
    trials = counted(int(study.outer_folds["trials"].sum()), "trial")
    return {"Outer folds, beside these": ", ".join(filter(None, [trials, study.nested.hours]))}
