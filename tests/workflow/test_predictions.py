"""Predictions for raw rows by a finished study: its model, its ensemble, and what is exported."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from patients import NUMBERS, ROLES, patients
from sklearn.metrics import accuracy_score
from workspaces import Workspace

from gridfold.cli.main import main
from gridfold.errors import DataError
from gridfold.final.inference import FinalModel, NotReady
from gridfold.final.inputs import ModelInputs

STUDY: dict[str, Any] = {
    "study": "patients",
    "data": {"source": "csv", "path": "patients.csv", **ROLES},
    "problem": {"type": "binary"},
    "model": {"mlp": {"units": 8}},
    "training": {"epochs": 3, "learning_rate": 0.01},
    "resampling": {"method": "group", "folds": 2},
}


def run(folder: Path, study: dict[str, Any]) -> None:
    Workspace(folder).snakemake(study, "--", "results/patients/final/card.json")


def stamps(folder: Path) -> dict[str, int]:
    return {str(f): f.stat().st_ino for f in folder.glob("results/patients/runs/*/*/result-*")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a study that was asked for an ensemble after it had been finished."""
    folder = tmp_path_factory.mktemp("patients")
    patients().to_csv(folder / "patients.csv", index=False)
    run(folder, STUDY)
    before = stamps(folder)
    run(folder, STUDY | {"final": {"ensemble": True}})
    assert stamps(folder) == before, "an ensemble trains nothing"
    return folder / "results" / "patients"


@pytest.fixture(scope="module")
def test_rows(finished: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The raw rows of the test set, and what the study has predicted for them."""
    known = pd.read_parquet(finished / "final" / "test_predictions.parquet")
    table = patients().set_index("patient").loc[known["id"]].reset_index()
    return table, known


def in_file(folder: Path, table: pd.DataFrame, name: str = "rows.csv") -> Path:
    file = folder / name
    table.to_csv(file, index=False)
    return file


def test_raw_rows_get_the_predictions_of_the_study(
    finished: Path, test_rows: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    table, known = test_rows
    shuffled = table[table.columns[::-1]].drop(columns=["outcome", "importance"])
    answer = FinalModel.load(finished).predict(in_file(tmp_path, shuffled))
    assert list(answer) == ["patient", "prediction", "p(benign)", "p(malignant)"]
    assert list(answer["patient"]) == list(table["patient"])
    expected = np.stack(known["prediction"].to_list())[:, 0]
    np.testing.assert_allclose(answer["p(malignant)"], expected, atol=1e-6)
    np.testing.assert_allclose(answer["p(benign)"] + answer["p(malignant)"], 1)
    assert list(answer["prediction"]) == list(np.where(expected >= 0.5, "malignant", "benign"))


def test_the_ensemble_has_the_score_that_the_card_tells(
    finished: Path, test_rows: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    table, _ = test_rows
    file = in_file(tmp_path, table)
    card = json.loads((finished / "final" / "card.json").read_text())
    assert card["ensemble"]["members"] == ["r0f0", "r0f1"]
    model = FinalModel.load(finished, ensemble=True)
    answer = model.predict(file)
    score = accuracy_score(table["outcome"], answer["prediction"])
    assert score == pytest.approx(card["ensemble"]["test"]["score"])
    each = [FinalModel(model.files, model.card, [m]).predict(file) for m in model.members]
    mean = np.mean([a["p(benign)"] for a in each], axis=0)
    np.testing.assert_allclose(answer["p(benign)"], mean)
    assert np.abs(each[0]["p(benign)"] - each[1]["p(benign)"]).max() > 1e-3
    assert "mean of the models of 2 splits" in (finished / "final" / "card.md").read_text()


def test_the_command_line_writes_what_it_predicts(
    finished: Path,
    test_rows: tuple[pd.DataFrame, pd.DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = in_file(tmp_path, test_rows[0])
    assert main(["predict", str(finished), str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "patient,prediction,p(benign),p(malignant)"
    out = tmp_path / "deep" / "answer.parquet"
    assert main(["predict", str(finished), str(file), "-o", str(out), "--ensemble"]) == 0
    assert len(pd.read_parquet(out)) == len(printed) - 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns=[NUMBERS[0]]), f"column {NUMBERS[0]}"),
        (lambda t: t.assign(**{NUMBERS[1]: "wide"}), NUMBERS[1]),
    ],
    ids=["missing column", "text for a number"],
)
def test_rows_that_do_not_fit_are_refused_by_the_columns_name(
    finished: Path,
    test_rows: tuple[pd.DataFrame, pd.DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Any,
    said: str,
) -> None:
    file = in_file(tmp_path, change(test_rows[0]))
    assert main(["predict", str(finished), str(file)]) == 1
    assert said in capsys.readouterr().err


def test_files_of_another_kind_are_refused(finished: Path, tmp_path: Path) -> None:
    model = FinalModel.load(finished)
    for name, said in (("none.csv", "no such file"), ("rows.txt", "unknown kind of file")):
        if name == "rows.txt":
            (tmp_path / name).write_text("1 2")
        with pytest.raises(DataError, match=said):
            model.predict(tmp_path / name)
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"shape \(3,\); this model takes \(5,\)"):
        model.predict(tmp_path / "x.npy")


def test_exported_models_answer_like_the_saved_one(
    finished: Path, test_rows: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    import tensorflow as tf

    model_inputs = ModelInputs.load(finished / "final" / "preprocessing.json")
    inputs = model_inputs.from_table(test_rows[0])
    expected = keras.saving.load_model(finished / "final" / "model.keras").predict(inputs)
    saved = tmp_path / "saved"
    assert main(["export", str(finished), "-o", str(saved)]) == 0
    # The module must outlive its function.
    loaded = tf.saved_model.load(saved)
    np.testing.assert_allclose(loaded.serve(inputs), expected, atol=1e-6)
    assert ModelInputs.load(saved / "preprocessing.json") == model_inputs
    assert main(["export", str(finished), "-o", str(saved)]) == 1

    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "model.onnx"
    assert main(["export", str(finished), "--format", "onnx", "-o", str(file)]) == 0
    session = onnxruntime.InferenceSession(file)
    (answer,) = session.run(None, {session.get_inputs()[0].name: inputs})
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_onnx_without_its_package_says_what_to_install(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r'pip install "gridfold\[onnx\]"'):
        FinalModel.load(finished).export("onnx", tmp_path / "model.onnx")
