"""Finished studies with predictions, and their comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic import Finished, finished

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.statistics.comparison import compare
from gridfold.statistics.result import Comparison
from gridfold.statistics.selection import estimate_of_study
from gridfold.statistics.summary import select, summarise
from gridfold.store.model_card import CrossValidation
from gridfold.training.measures import score


def predicted(
    folder: Path, *, samples: int = 60, skill: float = 1.2, fade: float = 0.4, **options: Any
) -> tuple[Finished, Plan, np.ndarray[Any, Any]]:
    """Return a finished multi-class study whose scores follow from predictions that exist.

    They lie in ``predictions.parquet`` of the folder. `fade` is how much noisier each further
    configuration is.
    """
    study = finished(folder, **options)
    plan = Plan.load([folder / "study.yaml"], results=folder / "results")
    random = np.random.default_rng(1)
    targets = np.arange(samples) % 3
    folds = np.array_split(random.permutation(samples), plan.study.resampling.folds)
    tables = []
    for position, configuration in enumerate(plan.configurations):
        for split in plan.splits:
            part = np.sort(folds[int(split.partition("f")[2])])
            noise = (skill + fade * position) * random.random((len(part), 3))
            chances = (np.eye(3)[targets[part]] + noise).astype(np.float32)
            chances /= chances.sum(axis=1, keepdims=True)
            identity = {"config_id": configuration.id, "split": split}
            table = pd.DataFrame({**identity, "sample": part, "prediction": list(chances)})
            tables.append(table)
            mine = study.trials["config_id"].eq(configuration.id)
            mine &= study.trials["split"].eq(split) & study.trials["status"].eq("finished")
            for name, value in score("multiclass", targets[part], chances).items():
                study.trials.loc[mine, name] = value
    pd.concat(tables).to_parquet(folder / "predictions.parquet")
    request = JobRequests(plan).summary()
    study.configurations = summarise(study.trials, request)
    study.best = select(study.configurations, request)
    return study, plan, targets


def compared(folder: Path, **options: Any) -> tuple[Finished, Comparison]:
    """Return a finished study and its comparison."""
    study, plan, targets = predicted(folder, **options)
    request = JobRequests(plan).comparison()
    predictions = [folder / "predictions.parquet"]
    estimate = estimate_of_study(
        request,
        study.trials,
        study.configurations,
        study.trials.assign(stage="explore"),
        targets=targets,
        groups=np.arange(len(targets)),
        compared=predictions,
        explored=[],
    )
    study.best = replace(study.best, estimate=estimate)
    study.card = replace(study.card, cross_validation=CrossValidation.of(study.best))
    return study, compare(request, study.trials, study.configurations, estimate)
