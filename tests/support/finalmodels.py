"""What a finished study leaves for those who use it, computed once more by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from recorded import selected
from workbench import prepare_bench

from gridfold.final import fit
from gridfold.paths import FinalModelPaths
from gridfold.plan.job_requests import JobRequests


def final_model(folder: Path, study: dict[str, Any]) -> Path:
    """Return the results of a study of which only the final model is made, without Snakemake."""
    bench = prepare_bench(folder, study)
    configuration = bench.plan.configurations[0]
    selection = selected(configuration.id, configuration.label, final_epochs=2)
    paths = bench.plan.paths
    result = fit.fit_final(JobRequests(bench.plan).final(), selection, paths, 0)
    save(result, paths.final_model)
    return paths.root


def save(result: fit.FittedModel, files: FinalModelPaths) -> None:
    """Save a final model as the rule `fit_final` does."""
    result.save(
        {
            "model": str(files.model),
            "predictions": str(files.test_predictions),
            "preprocessing": str(files.preprocessing),
            "card": str(files.card),
            "card_text": str(files.card_text),
            "inside": str(files.inside),
            "importance": str(files.importance),
        }
    )


def ensemble_score(results: Path, splits: list[str]) -> float:
    """Return the ensemble's accuracy on the test set, after comparing it with all records of it.

    Parameters
    ----------
    results : Path
        Of a study of images or numbers that are not encoded.
    splits : list of str
        Whose models it must have, in any order.
    """
    told = json.loads((results / "final" / "ensemble.json").read_text())
    del told["checksum"]
    assert sorted(told["members"]) == sorted(splits)
    card = json.loads((results / "final" / "card.json").read_text())
    assert card["ensemble"] == told
    with np.load(results / "splits.npz") as parts:
        test = parts["test"]
    samples = np.load(results / "data" / "features.npy")[test]
    truth = np.load(results / "data" / "targets.npy")[test]
    files = [results / "final" / "ensemble" / f"{name}.keras" for name in splits]
    outputs = [keras.saving.load_model(f).predict(samples, verbose=0) for f in files]
    score = float(np.mean(np.mean(outputs, axis=0).argmax(axis=1) == truth))
    assert np.isclose(score, told["test"]["score"])
    return score
