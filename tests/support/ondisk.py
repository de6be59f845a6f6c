"""Finished studies in a results folder: real data and splits, predictions made up, no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recorded import model_card
from studies import tiny_study
from synthetic import importance, inside
from workbench import prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.paths import StudyPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.statistics.summary import select, summarise
from gridfold.store.model_card import HeldOutScore, ModelCard
from gridfold.store.selection import Selection
from gridfold.tables.trials import without_unnamed, write
from gridfold.training.measures import Scorer, score


def write_finished(
    folder: Path,
    name: str,
    *,
    skill: float = 0.8,
    fade: float = 0.1,
    seed: int = 0,
    **sections: Any,
) -> StudyPaths:
    """Write a finished study to ``folder/results/<name>`` and its file to ``folder/<name>.yaml``.

    Parameters
    ----------
    folder : Path
    name : str
    skill : float
        Share of the samples that the first configuration gets right.
    fade : float
        How much less each further one does.
    seed : int
        Of what is predicted.
    **sections
        Other sections of the study; iris with a test set and five folds when left out.
    """
    defaults = {
        "data": {"source": "iris", "test_fraction": 0.4},
        "resampling": {"method": "kfold", "folds": 5},
        "search": {"space": {"mlp.units": [4, 8, 16]}},
    }
    bench = prepare_bench(folder, tiny_study(study=name, **(defaults | sections)))
    plan, paths = bench.plan, bench.plan.paths
    dataset = Dataset.load(paths.data)
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    predicted = []
    for position, configuration in enumerate(plan.configurations):
        for split in plan.splits:
            part = bench.splits.by_name[split]
            targets = dataset.targets[part.validation]
            chances = _predict(random, targets, skill - fade * position)
            identity = {"config_id": configuration.id, "split": split}
            rows.append(
                {
                    **identity,
                    "label": configuration.label,
                    **configuration.axes,
                    **_bookkeeping(len(part.training), len(part.validation)),
                    **score("multiclass", targets, chances),
                }
            )
            predicted.append(_table(part.validation, chances, **identity))
    trials = without_unnamed(pd.DataFrame(rows), plan.study.problem.further_measures)
    request = JobRequests(plan).summary()
    configurations = summarise(trials, request)
    best = select(configurations, request)
    tested = _predict(random, dataset.targets[bench.splits.test], skill)
    mine = pd.concat(t for t in predicted if t["config_id"].iloc[0] == best.config_id)
    paths.tables.mkdir(parents=True)
    paths.final.mkdir(parents=True)
    paths.shards.mkdir(parents=True)
    write(paths.shard_tables("s0001")[2], pd.concat(predicted))
    write(paths.table("trials"), trials)
    write(paths.table("epochs"), _epochs(trials))
    write(paths.table("configurations"), configurations)
    write(paths.out_of_fold, mine)
    write(paths.final_model.test_predictions, _table(bench.splits.test, tested))
    inside().save(paths.final_model.inside)
    write(paths.final_model.importance, importance())
    best.write(paths.best)
    test = dataset.targets[bench.splits.test], tested
    _card(plan, best, bench.data_digest, test).write(paths.final_model.card)
    paths.report.write_text("<p>the report</p>")
    plan.ledger.append_to(paths.ledger)
    return paths


def _predict(random: np.random.Generator, targets: Any, skill: float) -> Any:
    right = random.random(len(targets)) < skill
    classes = np.where(right, targets, (targets + 1) % 3)
    return (0.8 * np.eye(3)[classes] + 0.2 / 3).astype(np.float32)


def _table(samples: Any, chances: Any, **identity: str) -> pd.DataFrame:
    return pd.DataFrame({**identity, "sample": samples, "prediction": list(chances)})


def _bookkeeping(training: int, validation: int) -> dict[str, Any]:
    return {
        "status": "finished",
        "failure": "",
        "reason": "",
        "epochs": 3,
        "epochs_trained": 3,
        "best_epoch": 3,
        "n_train": training,
        "n_validation": validation,
        "parameters": 100,
        "world_size": 1,
        "fit_seconds": 1.5,
        "seconds": 2.5,
    }


def _epochs(trials: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "config_id": row["config_id"],
                "split": row["split"],
                "epoch": epoch,
                "loss": 1 / epoch,
                "val_loss": 1.2 / epoch,
                "metric": 1 - 0.5 / epoch,
                "val_metric": 1 - 0.6 / epoch,
            }
            for _, row in trials.iterrows()
            for epoch in (1, 2, 3)
        ]
    )


def _card(plan: Plan, best: Selection, digest: str, test: Any) -> ModelCard:
    chosen = next(c for c in plan.configurations if c.id == best.config_id)
    tested = None
    if len(test[0]):
        value = Scorer(best.measure).score(*test)
        tested = HeldOutScore(len(test[0]), best.measure, value, value - 0.05, value + 0.05)
    return model_card(best, chosen.settings, digest, tested)
