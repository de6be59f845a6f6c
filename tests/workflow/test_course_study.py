"""`config/mnist.yaml` from its first rung to its report, on a stand-in for its data.

The stand-in is made of scikit-learn's real digits, enlarged to 28 x 28, turned and shifted. It is
not MNIST, and nothing here calls it so.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import ndimage
from sklearn.datasets import load_digits
from workbench import ROOT
from workspaces import Workspace

from gridfold.plan.plan import Plan

STUDY = yaml.safe_load((ROOT / "config" / "mnist.yaml").read_text())
SAMPLES = 240


def write_stand_in(file: Path) -> None:
    """Write digits of 28 x 28 pixels, 0 to 255."""
    random = np.random.default_rng(0)
    images, labels = load_digits(return_X_y=True)
    chosen = random.permutation(len(images))[:SAMPLES]
    x = np.zeros((SAMPLES, 28, 28, 1), np.float32)
    for number, image in enumerate(images[chosen]):
        large = ndimage.zoom(image.reshape(8, 8), 2.5, order=1)
        turned = ndimage.rotate(large, random.uniform(-15, 15), reshape=False, order=1)
        top, left = random.integers(2, 7, 2)
        x[number, top : top + 20, left : left + 20, 0] = np.clip(turned, 0, 16) * 255 / 16
    np.savez(file, x=x, y=labels[chosen])


def stand_in_study(folder: Path, **training: int) -> dict[str, object]:
    """Return the study with the stand-in as its data, and shorter."""
    write_stand_in(folder / "stand_in.npz")
    study = json.loads(json.dumps(STUDY))
    study["study"] = "stand_in"
    study["data"] = {"source": "npz", "path": "stand_in.npz", "normalise": "global"}
    study["report"] = {"title": "Enlarged digits"}
    study["training"] |= training
    return dict(study)


def test_the_space_is_the_one_of_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(stand_in_study(tmp_path)))
    plan = Plan.load([file])
    space = STUDY["search"]["space"]
    assert space["cnn.filters"] == {"range": {"start": 8, "stop": 32, "step": 4}}
    assert {c.axes["cnn.filter_size"] for c in plan.configurations} == {3, 9}
    assert {c.axes["cnn.convolutions"] for c in plan.configurations} == {1, 2}
    rates = [c.axes["training.learning_rate"] for c in plan.configurations]
    assert 0.0001 <= min(rates) < 0.0005 < 0.002 < max(rates) <= 0.01
    assert [stage.max_configurations for stage in plan.stages] == [
        27,
        9,
        3,
        1,
        9,
        3,
        1,
        6,
        2,
        4,
        12,
        12,
        3,
    ]


@pytest.mark.daily("long studies", 2)
def test_the_study_runs_to_its_report(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    study = stand_in_study(tmp_path, epochs=3, batch_size=32)
    search = study["search"]
    assert isinstance(search, dict)
    search["refine"] |= {"rounds": 1, "max_configurations": 4, "epochs": 2}
    search["confirm"] = {"top": 2, "folds": 2, "repeats": 2}
    search["explore"]["training_fraction"] = 0.5
    answer = workspace.snakemake(study)
    assert "compared in full: cnn filters=" in answer.stderr
    results = tmp_path / "results" / "stand_in"
    steps = pd.read_parquet(results / "tables" / "search.parquet")
    assert list(dict.fromkeys(steps["stage"])) == ["b1r0", "b1r1", "b0r0", "refine1", "confirm"]
    # A configuration has one label, wherever it was found.
    assert (steps.groupby("config_id")["label"].nunique() == 1).all()
    # Two executions of each explored configuration, on half of the samples of the others.
    trials = pd.read_parquet(results / "tables" / "search_trials.parquet")
    explored = trials[trials["stage"].str.startswith("b")]
    assert set(explored["split"]) == {"r0f0@0.5", "r1f0@0.5"}
    whole = 0.8 * 0.8 * SAMPLES
    assert explored["n_train"].iloc[0] == pytest.approx(whole / 2, abs=1)
    assert set(trials[trials["stage"] == "confirm"]["split"]) == {
        "c0f0",
        "c0f1",
        "c1f0",
        "c1f1",
    }
    # What went on was not begun again.
    assert steps[steps["stage"] == "b1r1"]["new_epochs"].tolist() == [4]
    page = (results / "report.html").read_text()
    assert "Enlarged digits" in page
    assert "mnist" not in page.lower()
