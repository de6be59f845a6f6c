"""Speed and efficiency from the tables of a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import tiny_study, write_study

from gridfold.figures.scaling import SCALING_COLUMNS, draw_scaling, scaling_table
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan


def measured(folder: Path, seconds: dict[int, float], epochs_trained: int = 3) -> pd.DataFrame:
    """Return the scaling table of a study in which an epoch takes so long by world size."""
    axes = {
        "training.distribution.world_size": list(seconds),
        "training.batch_size": [32, 64],
    }
    training = {"epochs": epochs_trained, "distribution": {"backend": "horovod"}}
    study = tiny_study(training=training, search={"space": axes})
    plan = Plan.load([write_study(folder / "study.yaml", study)], results=folder)
    trials, epochs = [], []
    for configuration in plan.configurations:
        parallel = configuration.settings["training"].get("distribution")
        size = parallel["world_size"] if parallel else 1
        for split in plan.splits:
            identity = {"config_id": configuration.id, "split": split}
            about = {"status": "finished", "model": "mlp", "device": "CPU", "precision": "float32"}
            trials.append(
                {**identity, **about, "world_size": size, "batch_size": 32, "n_train": 600}
            )
            # The first epoch builds the graph.
            taken = [99.0, seconds[size], seconds[size]][:epochs_trained]
            epochs += [
                {**identity, "epoch": number + 1, "training_seconds": value}
                for number, value in enumerate(taken)
            ]
    request = JobRequests(plan).scaling()
    return scaling_table(request, pd.DataFrame(trials), pd.DataFrame(epochs))


def test_speed_is_compared_with_one_replica_of_the_same_case(tmp_path: Path) -> None:
    table = measured(tmp_path, {1: 6.0, 2: 4.0, 4: 3.0})
    assert list(table.columns) == [column.name for column in SCALING_COLUMNS]
    assert len(table) == 6
    assert table["case"].nunique() == 2
    for _, rows in table.groupby("case"):
        by_size = rows.set_index("world_size")
        assert by_size["samples_per_second"].to_dict() == {1: 100, 2: 150, 4: 200}
        assert by_size["speedup"].to_dict() == {1: 1, 2: 1.5, 4: 2}
        assert by_size["efficiency"].to_dict() == {1: 1, 2: 0.75, 4: 0.5}
        assert set(by_size["backend"]) == {"single", "horovod"}
    assert set(table["series"]) == {"batch_size=32", "batch_size=64"}


def test_without_one_replica_there_is_a_speed_but_no_efficiency(tmp_path: Path) -> None:
    table = measured(tmp_path, {2: 4.0, 4: 3.0})
    assert table["samples_per_second"].notna().all()
    assert table["efficiency"].isna().all()
    drawing = draw_scaling(table)
    assert "None has a counterpart with one replica" in drawing.alt


def test_an_only_epoch_counts(tmp_path: Path) -> None:
    table = measured(tmp_path, {1: 6.0, 2: 4.0}, epochs_trained=1)
    assert set(table["epoch_seconds"]) == {99.0}


def test_the_figure_says_what_it_shows(tmp_path: Path) -> None:
    drawing = draw_scaling(measured(tmp_path, {1: 6.0, 2: 4.0, 4: 3.0}))
    assert "highest, 0.75" in drawing.alt
    assert "lowest, 0.50" in drawing.alt
    upper, lower = drawing.figure.axes
    assert len(upper.lines) == 2
    assert lower.get_xlabel() == "world size (replicas)"
    np.testing.assert_allclose(upper.lines[0].get_xdata(), [1, 2, 4])
    assert pytest.approx([100, 150, 200]) == upper.lines[0].get_ydata()
