"""Fit the baselines of a study on its splits and score them with the measures of its trials."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from gridfold.arrays import Array
from gridfold.baselines import learners
from gridfold.baselines.costs import LEAST_SAMPLES, MOST_SPLITS, Task
from gridfold.baselines.names import BASELINE_NAMES, baseline_name
from gridfold.canonical import derive_seed
from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Split, Splits
from gridfold.errors import TrialFailure
from gridfold.requests import BaselinesRequest
from gridfold.tables.trials import Column
from gridfold.training import measures
from gridfold.training.preprocessing import fit_affine
from gridfold.wording import counted

log = logging.getLogger(__name__)

TEST = "test"
"""Stands for a split in rows of baselines that are fitted on all other samples."""

BASELINE_FIT_COLUMNS = (
    Column("baseline", "string", "", "constant, last_value, linear, gradient_boosting, ..."),
    Column("split", "string", "", "r<repeat>f<fold>, or `test`: fitted on all that is no test set"),
    Column("status", "string", "", "finished, failed, or left_out where it would not be cheap"),
    Column("reason", "string", "", "Why it has no scores; else empty"),
    Column("n_train", "int", "samples", "Size of the training part"),
    Column("n_fitted", "int", "samples", "Drawn from it and fitted on, fewer where all cost much"),
    Column("n_validation", "int", "samples", "Size of the part that is scored"),
    Column("seconds", "float", "s", "Wall time of fitting, predicting and scoring"),
)


def fit_baselines(request: BaselinesRequest, dataset: Dataset, splits: Splits) -> pd.DataFrame:
    """Fit and score the baselines.

    Each is fitted on the training part of a split, or on samples drawn from it where all of them
    would take too long, and scored on its validation part. Sample weights count as in training;
    class weights, augmentation and all else that configurations say of training do not.

    Parameters
    ----------
    request : BaselinesRequest
    dataset : Dataset
    splits : Splits

    Returns
    -------
    DataFrame
        :data:`BASELINE_FIT_COLUMNS`, and one column for each measure; without rows where no
        baseline that is asked for suits the data.
    """
    possible = learners.suitable(dataset)
    names = [name for name in possible if name in request.names]
    for name in request.names:
        if name not in possible:
            log.info("baseline %s: not for these data", baseline_name(name, request.problem))
    parts = [(name, splits.by_name[name]) for name in _some(request.splits)]
    if len(splits.test):
        parts.append((TEST, Split(splits.by_name[FINAL].training, splits.test)))
    rows: list[dict[str, Any]] = []
    # As many threads as the job has, one; also what no OMP_NUM_THREADS has told.
    with threadpool_limits(1):
        for split_name, split in parts:
            rows += _of_split(request, dataset, names, split_name, split, len(parts))
    _tell(request, rows)
    columns = [column.name for column in BASELINE_FIT_COLUMNS]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def _some(splits: Sequence[str]) -> list[str]:
    """Return as many splits as scoring can be cheap on, evenly taken from all."""
    count = min(len(splits), MOST_SPLITS)
    if count < len(splits):
        log.info("baselines are fitted on %s of %s splits", f"{count:,}", f"{len(splits):,}")
    return [splits[place * len(splits) // count] for place in range(count)]


def _of_split(
    request: BaselinesRequest,
    dataset: Dataset,
    names: list[str],
    split_name: str,
    split: Split,
    fits: int,
) -> Iterator[dict[str, Any]]:
    targets = dataset.targets
    if request.problem == "multi_output":
        # They are scored in [0, 1], as trials are.
        scaling = fit_affine(request.scale_targets, targets[split.training])
        train, truth = (scaling.apply(targets[p]) for p in (split.training, split.validation))
    else:
        train, truth = (np.asarray(targets[p]) for p in (split.training, split.validation))
    task = Task(
        len(split.training),
        len(split.validation),
        int(np.prod(dataset.features.shape[1:])),
        dataset.outputs,
        dataset.class_names is not None,
        fits,
    )
    for name in names:
        started = time.perf_counter()
        drawn = _drawn(task.samples(name), len(split.training), request.seed, name, split_name)
        row = {
            "baseline": name,
            "split": split_name,
            "status": "finished",
            "reason": "",
            "n_train": len(split.training),
            "n_fitted": len(drawn),
            "n_validation": len(split.validation),
        }
        samples = learners.Samples(dataset, split.training[drawn], train[drawn], task, request)
        if not len(drawn):
            reason = f"fewer than {LEAST_SAMPLES} of so large samples could be fitted in its time"
            yield row | {"status": "left_out", "reason": reason, "seconds": 0.0}
            continue
        try:
            predicted = learners.predict(name, samples, split.validation)
            scores = measures.score(
                request.problem, truth, predicted, request.own_functions, request.positive_from
            )
        except (TrialFailure, ValueError) as error:
            row |= {"status": "failed", "reason": str(error).splitlines()[0]}
            scores = {}
        yield {**row, "seconds": time.perf_counter() - started, **scores}


def _drawn(count: int, samples: int, seed: int, name: str, split: str) -> Array:
    """Return which of the training samples are fitted on, ascending."""
    if count == samples:
        return np.arange(samples)
    generator = np.random.default_rng(derive_seed(seed, "baseline", name, split))
    return np.sort(generator.choice(samples, count, replace=False))


def _tell(request: BaselinesRequest, rows: list[dict[str, Any]]) -> None:
    for name in BASELINE_NAMES:
        own = [row for row in rows if row["baseline"] == name]
        if not own:
            continue
        reasons = dict.fromkeys(row["reason"] for row in own if row["reason"])
        text = "; ".join(reasons) or (
            f"fitted on {own[0]['n_fitted']:,} of {counted(own[0]['n_train'], 'training sample')} "
            f"in {counted(len(own), 'split')}, {sum(row['seconds'] for row in own):.1f} s"
        )
        log.info("baseline %s: %s", baseline_name(name, request.problem), text)
