"""The tables: from shards to one table, complete and in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.data.splits import Split
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChosenConfiguration
from gridfold.store.trials import TrialResult, TrialStore
from gridfold.tables import trials as tables
from gridfold.training.state import RESERVED

SPLITS = {
    "r0f0": Split(np.array([2, 3]), np.array([0, 1])),
    "r0f1": Split(np.array([0, 1]), np.array([2, 3])),
}


def write_shard(folder: Path, name: str, configurations: list[str], accuracy: float = 0.5) -> None:
    rows = []
    for config_id in configurations:
        for split in SPLITS:
            store = TrialStore(folder / "runs" / config_id / split, folder / "aside", {})
            store.open()
            result = TrialResult(
                "finished",
                2,
                epochs_trained=2,
                best_epoch=1,
                scores={"accuracy": accuracy},
                history=[
                    {
                        "epoch": epoch,
                        "loss": 1.0,
                        "val_loss": 2.0,
                        "metric": 0.5,
                        "val_metric": 0.25,
                        "learning_rate": 0.1,
                        "seconds": 0.5,
                    }
                    for epoch in (1, 2)
                ],
                segments=[{}, {}],
                n_train=2,
                n_validation=2,
                parameters=7,
                fit_seconds=1.0,
                seconds=2.0,
            )
            store.finish(result, np.float32([[0.1, 0.9], [0.8, 0.2]]))
            found = store.result(2)
            assert found is not None
            rows.append((TrialKey(config_id, split), found, store))
    files = [folder / f"{name}.{kind}.parquet" for kind in ("trials", "epochs", "predictions")]
    tables.write_shard(rows, SPLITS, *files)


def request(**axes: dict[str, Any]) -> StageFile:
    configurations = (
        ChosenConfiguration(name, f"label {name}", {"model": "mlp", **values}, {}, 2)
        for name, values in axes.items()
    )
    return StageFile("explore", tuple(SPLITS), tuple(configurations))


def files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"s*.{kind}.parquet"))


def collect(folder: Path, wanted: StageFile) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tables.collect(wanted, files(folder, "trials"), files(folder, "epochs"))


def test_shards_come_together_in_the_order_of_the_study(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["c", "a"])
    write_shard(tmp_path, "s0002", ["b"])
    trials, epochs = collect(tmp_path, request(a={"x.n": 1}, b={"x.n": 2}, c={"x.n": 3}))
    assert list(zip(trials["config_id"], trials["split"], strict=True)) == [
        (c, s) for c in "abc" for s in SPLITS
    ]
    assert list(trials["x.n"]) == [1, 1, 2, 2, 3, 3]
    assert len(epochs) == 12


def test_documented_columns_are_there_with_their_types(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a"])
    trials, epochs = collect(tmp_path, request(a={}))
    predictions = pd.read_parquet(files(tmp_path, "predictions")[0])
    checks = {"int": pd.api.types.is_integer_dtype, "float": pd.api.types.is_float_dtype}
    for table, columns in (
        (trials, tables.TRIAL_COLUMNS),
        (epochs, tables.EPOCH_COLUMNS),
        (predictions, tables.PREDICTION_COLUMNS),
    ):
        for column in columns:
            assert column.name in table.columns
            if column.type in checks:
                assert checks[column.type](table[column.name]), column.name
    assert set(trials["resumptions"]) == {1}


def test_metrics_of_the_user_can_not_take_the_names_of_columns() -> None:
    assert {column.name for column in tables.EPOCH_COLUMNS} == RESERVED


def test_measures_are_shown_where_they_always_are_or_where_they_are_named() -> None:
    names = ["cohen_kappa", "accuracy", "my_score", "brier_score", "old_cost", "f1", "mlp.units"]
    table = pd.DataFrame([[0.5] * len(names)], columns=names)
    shown = tables.without_unnamed(table, ["brier_score", "my_score"])
    assert tables.all_measures(shown) == ["accuracy", "f1", "brier_score", "my_score"]
    assert "mlp.units" in shown
    assert tables.all_measures(tables.without_unnamed(table, [])) == ["accuracy", "f1"]


def test_trials_that_left_the_study_are_left_out(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a", "b"])
    trials, epochs = collect(tmp_path, request(b={}))
    assert set(trials["config_id"]) == set(epochs["config_id"]) == {"b"}


def test_a_trial_in_two_shards_counts_once(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a"], accuracy=0.1)
    write_shard(tmp_path, "s0002", ["a"], accuracy=0.9)
    trials, epochs = collect(tmp_path, request(a={}))
    assert list(trials["accuracy"]) == [0.9, 0.9]
    assert len(epochs) == 4


def test_a_missing_trial_is_an_error(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a"])
    with pytest.raises(ValueError, match="2 trials are in no shard table"):
        collect(tmp_path, request(a={}, b={}))


def test_axes_of_any_kind_fit_into_a_table(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a", "b", "c"])
    wanted = request(
        a={"mlp.units": [64, 32], "python.mixed": 1, "mlp.layers": 2},
        b={"mlp.units": [64], "python.mixed": "auto"},
        c={"python.mixed": None},
    )
    trials, _ = collect(tmp_path, wanted)
    tables.write(tmp_path / "t.parquet", trials)
    tables.write(tmp_path / "t.csv", trials)
    again = pd.read_csv(tmp_path / "t.csv").drop_duplicates("config_id").set_index("config_id")
    assert again.loc["a", "mlp.units"] == "64-32"
    assert again.loc["b", "python.mixed"] == "auto"
    assert again.loc["a", "mlp.layers"] == 2
    assert pd.isna(again.loc["c", "mlp.layers"])


def test_null_and_mappings_are_values_and_not_gaps(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a", "b", "c"])
    constant, cosine = {"kind": "constant"}, {"kind": "cosine"}
    trials, _ = collect(
        tmp_path,
        request(
            a={"training.clipnorm": None, "training.schedule": constant},
            b={"training.clipnorm": 1.0, "training.schedule": cosine},
            c={},
        ),
    )
    rows = trials.drop_duplicates("config_id").set_index("config_id")
    assert rows.loc["a", "training.clipnorm"] == "null"
    assert rows.loc["c", ["training.clipnorm", "training.schedule"]].isna().all()
    # Hashable, so that configurations can be grouped by them.
    assert set(rows["training.schedule"].dropna()) == {
        '{"kind":"constant"}',
        '{"kind":"cosine"}',
    }


def test_predictions_of_one_configuration_know_their_samples(tmp_path: Path) -> None:
    write_shard(tmp_path, "s0001", ["a", "b"])
    found = tables.predictions_of("b", files(tmp_path, "predictions"))
    assert set(found["config_id"]) == {"b"}
    assert list(found["sample"]) == [0, 1, 2, 3]
    np.testing.assert_allclose(
        tables.stacked(found["prediction"])[:2], [[0.1, 0.9], [0.8, 0.2]], rtol=1e-6
    )


def test_a_shard_without_a_single_score_still_has_tables(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "runs" / "a" / "r0f0", tmp_path / "aside", {})
    result = TrialResult("failed", 2, kind="diverged", reason="loss is nan in epoch 1")
    outputs = [tmp_path / f"s0001.{kind}.parquet" for kind in ("trials", "epochs", "predictions")]
    tables.write_shard([(TrialKey("a", "r0f0"), result, store)], SPLITS, *outputs)
    assert list(pd.read_parquet(outputs[0])["reason"]) == ["loss is nan in epoch 1"]
    assert pd.read_parquet(outputs[2]).empty
