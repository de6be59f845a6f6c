"""The estimate of what a study costs, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import load, tiny_study

from gridfold.plan.cost import flops_per_sample, sample_shape, seconds_per_trial
from gridfold.wording import format_seconds


def seconds(folder: Path, **sections: Any) -> float:
    loaded = load(folder, tiny_study(search=None, **sections))
    return seconds_per_trial(loaded.study, loaded.expansion.configurations[0])


def shape(folder: Path, **data: Any) -> tuple[int, ...]:
    return sample_shape(load(folder, tiny_study(data=data)).study)


def test_more_work_costs_more(tmp_path: Path) -> None:
    base = seconds(tmp_path)
    assert seconds(tmp_path, training={"epochs": 30}) > base
    assert seconds(tmp_path, model={"mlp": {"units": 4096}}) > base
    assert seconds(tmp_path, training={"epochs": 3, "batch_size": 1}) > base
    assert seconds(tmp_path, data={"source": "iris", "subset": 30}) < base


def test_a_dense_layer_multiplies_and_adds_once_for_each_weight() -> None:
    mlp = {"family": "mlp", "units": [64], "layers": 1}
    assert flops_per_sample(mlp, (8, 8, 1)) == 2 * (64 * 64 + 64 * 10)


def test_a_convolution_pays_for_each_pixel() -> None:
    cnn = {
        "family": "cnn",
        "filters": [16],
        "blocks": 1,
        "convolutions": 1,
        "filter_size": 3,
        "stride": 1,
        "pooling": "max",
        "pool_size": 2,
        "dense_units": [],
    }
    assert flops_per_sample(cnn, (8, 8, 1)) == 2 * (9 * 16 * 64 + 4 * 4 * 16 * 10)


def test_shapes_come_from_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shape(tmp_path, source="digits") == (1797, 8, 8, 1)
    np.savez("a.npz", x=np.zeros((70, 4, 5), np.uint8), y=np.zeros(70))
    assert shape(tmp_path, source="npz", path="a.npz") == (70, 4, 5)
    assert shape(tmp_path, source="npz", path="a.npz", subset=50, reshape=[20]) == (50, 20)
    table = pd.DataFrame(np.zeros((500, 6)), columns=list("abcdef"))
    table.to_csv("a.csv", index=False)
    rows, columns = shape(tmp_path, source="csv", path="a.csv", targets=["f"])
    assert rows == pytest.approx(500, rel=0.1)
    assert columns == pytest.approx(6, abs=1)


@pytest.mark.parametrize(
    ("number", "text"),
    [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h"), (259_200, "3.0 days")],
)
def test_durations_read_as_people_say_them(number: float, text: str) -> None:
    assert format_seconds(number) == text
