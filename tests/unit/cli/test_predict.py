"""`gridfold predict`, as a user types it, with models that were trained for it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from finalmodels import final_model
from PIL import Image

from gridfold.cli.main import main
from gridfold.final.inference import FinalModel
from gridfold.paths import StudyPaths
from gridfold.store.model_card import ModelCard
from gridfold.usercode import functions

PROGRAM = Path(sys.executable).with_name("gridfold")
STUDY: dict[str, Any] = {
    "problem": {"type": "binary"},
    "model": {"mlp": {"units": 4}},
    "training": {"epochs": 2, "learning_rate": 0.05},
    "resampling": {"method": "stratified", "folds": 2},
}


@pytest.fixture(scope="module")
def table_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study on a table that names its rows."""
    folder = tmp_path_factory.mktemp("patients")
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"age": random.integers(20, 80, 80), "ward": random.choice(["e", "w"], 80)}
    )
    table["outcome"] = np.where(table["age"] > 50, "ill", "well")
    table["patient"] = [f"{number:03}" for number in range(80)]
    table.to_csv(folder / "patients.csv", index=False)
    data = {"source": "csv", "path": str(folder / "patients.csv"), "targets": ["outcome"]}
    data |= {"id": "patient", "categories": ["ward"]}
    return final_model(folder, {"study": "patients", "data": data, **STUDY})


@pytest.fixture(scope="module")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study on pictures of dark and of light."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, light in (("dark", 90), ("light", 250)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(light - 80, light, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:02}.png")
    data = {"source": "images", "path": str(folder / "photos")}
    return final_model(folder, {"study": "photos", "data": data, **STUDY})


def test_a_small_file_is_answered_quietly(table_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("ward,patient,age\ne,007,70\nw,8,25\n")
    answer = subprocess.run(
        [PROGRAM, "predict", table_model, file], capture_output=True, text=True, check=True
    )
    assert answer.stderr == ""
    header, *rows = answer.stdout.splitlines()
    assert header == "patient,prediction,p(ill),p(well)"
    assert [row.split(",")[0] for row in rows] == ["007", "8"]


def test_pictures_are_named_by_file_in_order(
    image_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = image_model.parents[1] / "photos"
    out = tmp_path / "answers.csv"
    big = tmp_path / "big.png"
    Image.new("RGB", (30, 10), "white").save(big)
    assert main(["predict", str(image_model), str(photos), str(big), "-o", str(out)]) == 0
    streams = capsys.readouterr()
    assert streams.out == f"{out}: 41 predictions\n"
    assert "1 of 41 images had another size than the model's 8 x 8 pixels" in streams.err
    table = pd.read_csv(out)
    assert list(table) == ["file", "prediction", "p(dark)", "p(light)"]
    assert list(table["file"]) == [*map(str, sorted(photos.rglob("*.png"))), str(big)]
    alone = FinalModel.load(image_model).predict(Path(table["file"][25]))
    np.testing.assert_allclose(alone["p(light)"], table["p(light)"][25], atol=1e-6)


def test_what_is_predicted_before_an_error_is_kept_and_told(
    image_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("1.png", "2.png", "4.png"):
        Image.new("RGB", (8, 8), "gray").save(folder / name)
    (folder / "3.png").write_bytes(b"no picture")
    out = tmp_path / "answers.csv"
    assert main(["predict", str(image_model), str(folder), "-o", str(out)]) == 1
    error, note = capsys.readouterr().err.splitlines()
    assert re.match(r"1 image can't be decoded: .*3\.png", error)
    unfinished = tmp_path / "answers.unfinished.csv"
    assert note == f"{unfinished} has the predictions of the first 2 samples."
    assert not out.exists()
    assert len(pd.read_csv(unfinished)) == 2


def test_unknown_categories_are_told_or_refused(
    table_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.csv"
    file.write_text("ward,patient,age\nmars,1,70\nw,2,25\n")
    assert main(["predict", str(table_model), str(file)]) == 0
    streams = capsys.readouterr()
    assert "column ward in 1 row: 'mars' (1); taken as unknown" in streams.err
    assert len(streams.out.splitlines()) == 3
    out = tmp_path / "answers.csv"
    words = ["predict", str(table_model), str(file), "--unknown", "refuse", "-o", str(out)]
    assert main(words) == 1
    assert "'mars' (1)" in capsys.readouterr().err
    assert not out.exists()


def test_samples_are_not_overwritten_by_their_predictions(
    table_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("new.csv").write_text("ward,patient,age\ne,1,70\n")
    assert main(["predict", str(table_model), str(Path("new.csv").resolve()), "-o", "new.csv"]) == 1
    assert "new.csv holds the samples; name another file with -o" in capsys.readouterr().err
    assert Path("new.csv").read_text().startswith("ward,patient,age")


def test_a_folder_that_was_copied_away_predicts_too(
    table_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.csv"
    file.write_text("ward,patient,age\ne,1,70\n")
    copy = tmp_path / "model"
    (table_model / "final").rename(copy)
    try:
        assert main(["predict", str(copy), str(file)]) == 0
    finally:
        copy.rename(table_model / "final")
    assert capsys.readouterr().out.startswith("patient,prediction,")


FOREIGN = """
from pathlib import Path

import keras

Path("it-has-run").touch()


class Same(keras.layers.Layer):
    def call(self, inputs):
        return inputs
"""


@pytest.fixture
def foreign(image_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return results from elsewhere, which name code that lies with them."""
    folder = tmp_path / "downloads" / "foreign"
    shutil.copytree(image_model / "final", folder / "final")
    (folder / "layers.py").write_text(FOREIGN)
    files = StudyPaths(folder).final_model
    card = ModelCard.read(files.card)
    card.configuration.settings["model"]["objects"] = str(folder / "layers.py")
    card.write(files.card)
    monkeypatch.chdir(tmp_path)
    return folder


def test_code_that_a_model_is_not_made_of_is_not_run(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 8), "gray").save("photo.png")
    assert main(["predict", str(foreign), "photo.png"]) == 0
    assert not Path("it-has-run").exists()


@pytest.mark.parametrize("verb", ["predict", "export"])
def test_code_that_only_the_results_name_runs_when_it_is_trusted(
    verb: str,
    foreign: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, model = foreign / "layers.py", StudyPaths(foreign).final_model.model
    own = functions.load_file(code)
    keras.Sequential([keras.saving.load_model(model), own.Same()]).save(model)
    functions.forget()
    Path("it-has-run").unlink()
    if verb == "predict":
        Image.new("RGB", (8, 8), "gray").save("photo.png")
        words = ["predict", str(foreign), "photo.png"]
    else:
        words = ["export", str(foreign), "-o", "exported"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"  {code}\n" in said
    assert "--trust" in said
    assert not Path("it-has-run").exists()
    functions.forget()
    assert main([*words, "--trust"]) == 0
    assert Path("it-has-run").exists()
