"""Whole studies of a table with gaps and of a folder of images, and what their models predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from digitfiles import write_digits
from patients import ROLES, patients
from workspaces import Workspace

from gridfold.data.description import DataDescription
from gridfold.final.inputs import ModelInputs
from gridfold.paths import description_file

PATIENTS: dict[str, Any] = {
    "study": "patients",
    "data": {"source": "csv", "path": "patients.csv", "test_fraction": 0.25, **ROLES},
    "problem": {"type": "binary"},
    "model": {"mlp": {"units": 8}},
    "training": {"epochs": 2, "learning_rate": 0.01},
    "resampling": {"method": "group", "folds": 2},
}
IMAGES: dict[str, Any] = {
    "study": "images",
    "data": {
        "source": "images",
        "path": "digits",
        "size": [10, 10],
        "color": "grayscale",
        "normalise": "global",
    },
    "problem": {"type": "multiclass"},
    "model": {"cnn": {"filters": 2, "dense_units": 8}},
    "training": {"epochs": 2, "learning_rate": 0.01},
    "search": {"space": {"training.augmentation.rotation": [0.0, 0.1]}},
    "resampling": {"method": "stratified", "folds": 2},
}


class Final:
    """What a finished study leaves for predictions."""

    def __init__(self, workspace: Workspace, study: str) -> None:
        folder = workspace.folder / "results" / study
        self.model = keras.saving.load_model(folder / "final" / "model.keras")
        self.inputs = ModelInputs.load(folder / "final" / "preprocessing.json")
        self.test = pd.read_parquet(folder / "final" / "test_predictions.parquet")
        self.card = json.loads((folder / "final" / "card.json").read_text())
        self.card_text = (folder / "final" / "card.md").read_text()

    def agrees(self, inputs: Any) -> None:
        """Compare the model's answers with the predictions of the test set."""
        answers = self.model.predict(inputs, verbose=0)
        np.testing.assert_allclose(answers, np.stack(self.test["prediction"]), atol=1e-5)


@pytest.fixture(scope="module")
def of_patients(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("patients"))
    patients().to_csv(workspace.folder / "patients.csv", index=False)
    workspace.snakemake(PATIENTS)
    return workspace


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("images"))
    write_digits(workspace.folder / "digits", 200)
    workspace.snakemake(IMAGES)
    return workspace


def test_raw_rows_get_the_predictions_of_the_test_set(of_patients: Workspace) -> None:
    final = Final(of_patients, "patients")
    table = pd.read_csv(of_patients.folder / "patients.csv").set_index("patient")
    rows = table.loc[final.test["id"]]
    assert rows.isna().any().any(), "there are gaps to fill"
    final.agrees(final.inputs.from_table(rows[rows.columns[::-1]]))
    assert set(rows["clinic"]).isdisjoint(table.drop(index=final.test["id"])["clinic"]), (
        "no clinic on both sides"
    )


def test_the_card_says_how_to_predict(of_patients: Workspace, of_images: Workspace) -> None:
    card = Final(of_patients, "patients").card_text
    assert "inputs.from_table(table)" in card
    assert "mean radius, mean texture, mean area, ward, grade" in card
    assert "inputs.from_images(files)" in Final(of_images, "images").card_text


def test_the_data_are_described_beside_the_arrays(
    of_patients: Workspace, of_images: Workspace
) -> None:
    table, digits = (
        DataDescription.read(description_file(workspace.folder / "results" / study / "data"))
        for workspace, study in ((of_patients, "patients"), (of_images, "images"))
    )
    assert [column.name for column in table.with_role("target")] == ["outcome"]
    assert digits.samples is not None
    assert digits.samples.number == 200
    assert digits.classes is not None
    assert sum(count.samples for count in digits.classes) == 200


def test_nothing_is_left_to_do(of_patients: Workspace, of_images: Workspace) -> None:
    assert not of_patients.planned_jobs(PATIENTS)
    assert not of_images.planned_jobs(IMAGES)


def test_image_files_get_the_predictions_of_the_test_set(of_images: Workspace) -> None:
    final = Final(of_images, "images")
    files = sorted(Path(of_images.folder / "digits").rglob("*.png"))
    final.agrees(final.inputs.from_images([files[row] for row in final.test["sample"]]))
    log = (of_images.folder / "results/images/logs/prepare_data.log").read_text()
    assert "200 images" in log


def test_a_new_image_is_noticed(of_images: Workspace) -> None:
    file = next((of_images.folder / "digits" / "7").glob("*.png"))
    new = file.with_name("new.png")
    new.write_bytes(file.read_bytes())
    try:
        assert "prepare_data" in of_images.planned_jobs(IMAGES)
    finally:
        new.unlink()
