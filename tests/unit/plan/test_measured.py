"""Estimates follow trials that have ended: of the study, or of others on this machine."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import tiny_study, write_study

from gridfold.plan.cost import CostModel
from gridfold.plan.measured import measured_correction
from gridfold.plan.plan import Plan


def planned(folder: Path, name: str = "tiny", **sections: Any) -> Plan:
    file = write_study(folder / f"{name}.yaml", {**tiny_study(**sections), "study": name})
    return Plan.load([file], results=folder / "results")


def finish(plan: Plan, slowness: float, host: str | None = None) -> None:
    """Write what trials leave that took so many times as long as the rough model says."""
    plan.paths.manifest.parent.mkdir(parents=True, exist_ok=True)
    cost = CostModel.of(plan.study)
    plan.paths.manifest.write_text(json.dumps({"sample_shape": list(cost.shape)}))
    for configuration in plan.configurations:
        folder = plan.paths.trial(configuration.id, "r0f0")
        folder.mkdir(parents=True)
        took = slowness * cost.seconds(configuration.settings, configuration.epochs)
        result = {
            "status": "finished",
            "epochs_trained": configuration.epochs,
            "n_train": cost.training,
            "fit_seconds": 0.9 * took,
            "seconds": took,
            "segments": [{"host": host or platform.node()}],
            "fingerprint": {"settings": configuration.settings},
        }
        (folder / f"result-{configuration.epochs:05d}.json").write_text(json.dumps(result))


def test_without_trials_the_model_is_rough(tmp_path: Path) -> None:
    found = measured_correction(planned(tmp_path))
    assert (found.factor, found.trials) == (1.0, 0)
    assert str(found) == "rough model, good to a factor of three"


def test_trials_of_another_study_on_this_machine_correct_it(tmp_path: Path) -> None:
    finish(planned(tmp_path, "demo", search={"space": {"mlp.units": [4, 8, 12]}}), 0.2)
    found = measured_correction(planned(tmp_path))
    assert found.factor == pytest.approx(0.2)
    assert str(found) == "from 3 finished trials of study demo on this machine"


def test_trials_of_the_study_itself_count_more(tmp_path: Path) -> None:
    finish(planned(tmp_path, "demo"), 0.2)
    plan = planned(tmp_path)
    # Wherever they ran: its next ones will run there, too.
    finish(plan, 3.0, host="node7")
    found = measured_correction(plan)
    assert found.factor == pytest.approx(3.0)
    assert str(found) == "from 2 finished trials of this study"


def test_other_machines_families_and_sizes_say_nothing(tmp_path: Path) -> None:
    finish(planned(tmp_path, "there"), 5.0, host="elsewhere")
    images = {"source": "digits"}
    finish(planned(tmp_path, "cnn", data=images, model={"cnn": {}}, search=None), 5.0)
    large = planned(tmp_path, "large", model={"mlp": {"units": 8192}}, search=None)
    finish(large, 5.0)
    assert measured_correction(planned(tmp_path)).trials == 0


def test_the_nearest_in_size_decide(tmp_path: Path) -> None:
    finish(planned(tmp_path, "near"), 2.0)
    many = {"space": {"mlp.units": [100 + number for number in range(30)]}}
    finish(planned(tmp_path, "far", search=many), 9.0)
    found = measured_correction(planned(tmp_path, search={"space": {"mlp.units": [8]}}))
    assert "near" in found.studies
    assert found.trials == 24


def test_damaged_records_are_passed_over(tmp_path: Path) -> None:
    demo = planned(tmp_path, "demo")
    finish(demo, 2.0)
    for file in demo.paths.runs.glob("*/*/result-*.json"):
        file.write_text("{")
        break
    assert measured_correction(planned(tmp_path)).trials == 1


def test_reading_takes_no_longer_than_half_a_second(tmp_path: Path) -> None:
    many = {"space": {"mlp.units": list(range(1, 301))}}
    for name in ("a", "b", "c"):
        finish(planned(tmp_path, name, search=many), 2.0)
    plan = planned(tmp_path)
    began = time.monotonic()
    assert measured_correction(plan).trials == 24
    assert time.monotonic() - began < 2.0


def test_a_local_mnist_is_as_large_as_its_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.zeros((1600, 28, 28), np.uint8)
    np.savez("mnist.npz", x_train=images, x_test=images[:400], y_train=[0], y_test=[0])
    local = {"source": "mnist", "path": "mnist.npz"}
    small = CostModel.of(planned(tmp_path, "small", data=local).study)
    assert small.shape == (28, 28, 1)
    assert small.training == pytest.approx(2000 * 0.8 / 2)
    usual = CostModel.of(planned(tmp_path, "usual", data={"source": "mnist"}).study)
    assert usual.training == pytest.approx(35 * small.training)
