"""The estimate of what a study costs, before anything runs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import load, tiny_study

from gridfold.data.parquetfile import parquet_shape
from gridfold.plan.cost import CostModel, flops_per_sample, sample_shape
from gridfold.wording import format_seconds


def seconds(folder: Path, **sections: Any) -> float:
    loaded = load(folder, tiny_study(search=None, **sections))
    return CostModel.of(loaded.study).mean_seconds(loaded.expansion.configurations[:1])


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


def test_shapes_of_original_files_come_from_their_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, count in (("train-images-idx3-ubyte", 300), ("t10k-images-idx3-ubyte.gz", 50)):
        head = bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">u4").tobytes()
        write = gzip.open if name.endswith(".gz") else open
        with write(name, "wb") as stream:
            stream.write(head + bytes(count * 28 * 28))
    assert shape(tmp_path, source="mnist", path=".") == (350, 28, 28, 1)
    Path("other").mkdir()
    assert shape(tmp_path, source="fashion_mnist", path="other") == (70_000, 28, 28, 1)


@pytest.mark.parametrize("compression", ["snappy", "zstd", None])
def test_a_parquet_file_says_its_rows_and_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(np.zeros((1234, 5)), columns=list("abcde"))
    table = table.assign(f=["x"] * len(table), g=[[1, 2]] * len(table))
    table.to_parquet("a.parquet", compression=compression)
    assert parquet_shape(Path("a.parquet")) == (1234, 7)
    assert shape(tmp_path, source="parquet", path="a.parquet", targets=["e"]) == (1234, 6)
    Path("b.parquet").write_bytes(Path("a.parquet").read_bytes()[:-1] + b"X")
    assert parquet_shape(Path("b.parquet")) is None
    content = bytearray(Path("a.parquet").read_bytes())
    content[-60:-8] = bytes(52)
    Path("b.parquet").write_bytes(content)
    found = parquet_shape(Path("b.parquet"))
    assert found is None or len(found) == 2
