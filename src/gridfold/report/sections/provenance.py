"""What stands below the results in the report: methods, cost, provenance and settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from gridfold.report.input import BESIDE, ReportInput, Section
from gridfold.study import Study
from gridfold.wording import (
    MISSING,
    amount,
    counted,
    direction,
    duration,
    listed,
    measure_name,
    memory,
    percent,
)


def methods(best: Mapping[str, Any], trials: pd.DataFrame) -> list[str]:
    """Say how the numbers of the table are made."""
    name, level = measure_name(best["measure"]), percent(best["confidence"])
    lines = [
        f"Ranked by the mean of {name} over the splits ({direction(best['measure'])}); "
        "configurations that lost trials come last. All configurations share the same splits."
    ]
    if trials["split"].nunique() > 1:
        lines += [
            f"± is half the {level} confidence interval of the mean: Student's t with the variance "
            "corrected for splits that share training samples (Nadeau & Bengio, 2003). An interval "
            "ends at the limit of the measure's range; ± is then its longer side. SD is the plain "
            "standard deviation over splits.",
        ]
        if best["configurations"] > 1:
            lines.append(
                "p compares with the selected configuration, paired by split (corrected resampled "
                "t-test) and multiplied by the number of all pairs, since the selected one was "
                "picked by these very scores. A large p does not show that two configurations "
                "are equal."
            )
    lines.append("Epochs and time are means over trials; time counts the epochs alone.")
    return lines


def replicas(study: Mapping[str, Any], trials: pd.DataFrame) -> list[str]:
    """Say how trials were shared between replicas; nothing where none was."""
    shared = trials[trials["world_size"] > 1]
    if not len(shared):
        return []
    parallel = study["training"]["distribution"]
    counts = {"global": "over all replicas", "per_replica": "of each replica"}
    axis = study["search"]["space"].get("training.distribution.batch")
    meaning = "as the axis `batch` says" if axis else counts[parallel["batch"]]
    sizes = listed(str(size) for size in sorted(shared["world_size"].unique().tolist()))
    samples = listed(str(size) for size in sorted(shared["batch_size"].unique().tolist()))
    return [
        f"Trials with {sizes} replicas share each batch: every sample is used once an epoch, and "
        "gradients are averaged by samples. `training.batch_size` counts the samples "
        f"{meaning}; a step of these trials takes {samples} samples in all."
    ]


def cost_facts(trials: pd.DataFrame) -> dict[str, str]:
    """Return what the trials took."""
    seconds, finished = trials["fit_seconds"].fillna(0), trials["status"] == "finished"
    slowest = trials.iloc[int(seconds.argmax())]
    cost = {
        "Trials": f"{len(trials):,}, of which {(~finished).sum():,} failed",
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


def origin(
    request: Mapping[str, Any],
    trials: pd.DataFrame,
    card: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> dict[str, str]:
    """Return where the numbers come from.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.plan.Plan.report_request`.
    trials : DataFrame
    card : mapping
        The model card.
    manifest : mapping
        What the prepared data are.
    """
    study, environment = request["study"], card["environment"]
    data, plan = study["data"], study["resampling"]
    source = data["source"] + (f" ({data['path']})" if data.get("path") else "")
    shape = " × ".join(map(str, manifest["sample_shape"]))
    test = card["test"]["samples"] if card["test"] else 0
    folds = f"{counted(plan['folds'], 'fold')} × " if "folds" in plan else ""
    commit = environment["git_commit"] or "not in a git repository"
    if commit.endswith("-dirty"):
        commit = f"{commit.removesuffix('-dirty')}, with changes that were not committed"
    return {
        "Study files": ", ".join(request["files"]),
        "Data": f"{source}: {counted(manifest['samples'], 'sample')} of shape {shape}",
        "Data digest": manifest["digest"],
        "Splits": (
            f"{plan['method']}, {folds}{counted(plan.get('repeats', 1), 'repeat')}: training "
            f"{_range(trials['n_train'])}, validation {_range(trials['n_validation'])} samples; "
            + (f"{counted(test, 'sample')} held out for the test" if test else "no test set")
        ),
        "Seeds": (
            f"splits {plan.get('seed', 'by time')}, test set {data['test_seed']}, training "
            f"{study['training']['seed']}"
            + (f", search {search}" if (search := _search_seed(study)) is not None else "")
        ),
        "Code": commit,
        "Versions": ", ".join(f"{k} {v}" for k, v in environment["packages"].items())
        + f", python {environment['python']}",
        "Machine of the final model": (
            f"{environment['processor']}, {counted(environment['cores'] or 0, 'core')}, "
            f"{environment['platform']}"
        ),
        "Final model": (
            f"{counted(card['training']['epochs'], 'epoch')} on "
            f"{counted(card['training']['samples'], 'sample')}, {card['created']}"
        ),
    }


def _search_seed(study: Mapping[str, Any]) -> int | None:
    seed: int | None = study["search"]["strategy"].get("seed")
    return seed


def _range(sizes: pd.Series) -> str:
    known = sorted({int(size) for size in sizes if size > 0})
    if not known:
        return MISSING
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def settings_text(study: Mapping[str, Any]) -> str:
    """Return the resolved study as YAML, in the order of the study model."""
    ordered = {name: study[name] for name in Study.model_fields if name in study}
    ordered["model"] = _given(ordered["model"])
    ordered["search"] = {
        **ordered["search"],
        "space": {name: _given(axis) for name, axis in ordered["search"]["space"].items()},
    }
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=96)


def _given(section: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the forms and families that are not used."""
    return {key: value for key, value in section.items() if value is not None}


def provenance(study: ReportInput) -> Section:
    """Return where the numbers come from and how they are made again."""
    content = {
        "provenance": origin(study.request, study.tables.trials, study.card, study.manifest),
        "command": f"snakemake --configfile {shlex.join(study.request['files'])}",
        "settings": settings_text(study.study),
        "card_file": BESIDE.final / "card.md",
    }
    return Section("provenance", "Provenance", "Provenance", content)
