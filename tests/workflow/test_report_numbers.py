"""The numbers of reports, reckoned anew with SciPy and scikit-learn, in studies of five kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reportnumbers
from workspaces import Workspace

MLP = {"mlp": {"units": 4}}
SPACE = {"mlp.units": [2, 8], "training.learning_rate": [0.02, 0.002]}
TRAINING = {"epochs": 3, "batch_size": 16}
STUDIES: dict[str, dict[str, Any]] = {
    "binary": {
        "data": {"source": "breast_cancer", "normalise": "standard", "test_fraction": 0.2},
        "problem": {"type": "binary"},
        "search": {"space": SPACE | {"mlp.activation": ["relu", "tanh"]}},
        "resampling": {"method": "stratified", "folds": 3},
    },
    # Each sample is predicted twice.
    "multiclass": {
        "data": {"source": "wine", "normalise": "standard", "test_fraction": 0.25},
        "problem": {"type": "multiclass"},
        "search": {"space": SPACE},
        "resampling": {"method": "stratified", "folds": 3, "repeats": 2},
    },
    # The best one is the lowest.
    "regression": {
        "data": {
            "source": "diabetes",
            "normalise": "standard",
            "scale_targets": "standard",
            "test_fraction": 0.2,
        },
        "problem": {"type": "regression"},
        "search": {"space": SPACE},
        "resampling": {"method": "kfold", "folds": 4},
    },
    "outputs": {
        "data": {"source": "linnerud", "scale_targets": "minmax", "test_fraction": 0.25},
        "problem": {"type": "multi_output"},
        "search": {"space": SPACE},
        "resampling": {"method": "kfold", "folds": 3},
    },
    # Samples depend on each other, in the test set, too.
    "grouped": {
        "data": {
            "source": "csv",
            "path": "visits.csv",
            "targets": ["ill"],
            "groups": "patient",
            "test_fraction": 0.25,
        },
        "problem": {"type": "binary"},
        "search": {"space": SPACE},
        "resampling": {"method": "group", "folds": 4},
    },
}


def write_visits(folder: Path) -> None:
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 6)
    x = random.normal(size=(240, 3)) + random.normal(size=(40, 3))[patient]
    ill = (x[:, 0] + random.normal(size=240) > 0).astype(int)
    table = pd.DataFrame(x.round(4), columns=["age", "weight", "pressure"])
    table.assign(patient=patient, ill=ill).to_csv(folder / "visits.csv", index=False)


@pytest.mark.parametrize("kind", STUDIES)
def test_every_number_of_the_answer_and_its_tables_is_right(kind: str, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, is_lean=False)
    write_visits(tmp_path)
    workspace.snakemake({"study": kind, "model": MLP, "training": TRAINING} | STUDIES[kind])
    results = tmp_path / "results" / kind
    card = json.loads((results / "final" / "card.json").read_text())
    assert card["test"]["samples"] > 0
    assert card["configuration"]["id"] in (results / "report.html").read_text()
    reportnumbers.check(results)
