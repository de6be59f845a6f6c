"""The chance level: permuted labels, the range that chance explains, and a leak that shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorded import selected
from studies import tiny_study, write_study
from workbench import Bench, prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.final.chance import Shuffle, train_permuted
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.store.chance import ChanceLevel
from gridfold.store.trials import TrialStore

LEAKING = """
import keras
import numpy as np

def train(trial):
    x, y = trial.{part}
    x, y = np.asarray(x), np.asarray(y)
    model = keras.Sequential([
        keras.Input(trial.input_shape), keras.layers.Dense(64, "relu"),
        keras.layers.Dense(trial.outputs, "sigmoid"),
    ])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    for epoch in range(1, trial.epochs + 1):
        loss = model.fit(x, y, epochs=1, verbose=0).history["loss"][0]
        trial.report(epoch, loss=loss)
    return model
"""


LevelOf = Callable[..., ChanceLevel]


@pytest.fixture(scope="module")
def level_of() -> Iterator[LevelOf]:
    """Return a function that trains in a process of its own, as the job does.

    Here, TensorFlow may have been started with other threads by other tests.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:

        def level(bench: Bench, measure: str = "accuracy") -> ChanceLevel:
            configuration = bench.plan.configurations[0]
            best = selected(configuration.id, configuration.label, measure)
            request = JobRequests(bench.plan).permuted()
            return process.submit(train_permuted, request, best, bench.plan.paths, 1).result()

        yield level


def dataset(targets: Any, groups: Any) -> Dataset:
    targets, groups = np.asarray(targets), np.asarray(groups)
    features = np.zeros((len(groups), 1), np.float32)
    return Dataset(features, targets, groups, None, ["a", "b"], ["a", "b"], "")


def shuffled(data: Dataset, rows: Any, seed: int = 0) -> tuple[str, np.ndarray[Any, Any]]:
    rows = np.asarray(rows)
    shuffle = Shuffle.of(data, rows)
    return shuffle.among, shuffle.apply(data.targets[rows], rows, np.random.default_rng(seed))


def test_labels_change_places_and_stay_as_many() -> None:
    data = dataset([0, 1] * 50, range(100))
    rows = np.arange(0, 100, 3)
    among, labels = shuffled(data, rows)
    assert among == "samples"
    assert sorted(labels) == sorted(data.targets[rows])
    assert (labels != data.targets[rows]).any()


def test_labels_stay_in_their_group() -> None:
    groups = np.repeat([7, 3, 5], [10, 20, 30])
    order = np.random.default_rng(1).permutation(60)
    data = dataset(np.r_[[0, 1] * 5, [0] * 15, [1] * 5, [1] * 29, [0]][order], groups[order])
    among, labels = shuffled(data, np.arange(60))
    assert among == "samples within groups"
    for group in (3, 5, 7):
        mine = data.groups == group
        assert labels[mine].sum() == data.targets[mine].sum()
    assert (labels != data.targets).any()


def test_groups_of_one_label_exchange_them() -> None:
    groups = np.repeat(np.arange(20), 3)
    data = dataset(groups % 2, groups)
    among, labels = shuffled(data, np.arange(60))
    assert among == "groups"
    by_group = labels.reshape(20, 3)
    assert (by_group == by_group[:, :1]).all()
    assert sorted(by_group[:, 0]) == sorted(data.targets[::3])
    assert (labels != data.targets).any()


def test_numbers_of_several_outputs_are_permuted_as_rows() -> None:
    targets = np.arange(40, dtype=np.float32).reshape(20, 2)
    data = replace(dataset(targets, range(20)), class_names=None)
    _, rows = shuffled(data, np.arange(20))
    assert {tuple(row) for row in rows} == {tuple(row) for row in targets}


def test_a_training_with_permuted_labels_reaches_what_chance_gives(
    tmp_path: Path, level_of: LevelOf
) -> None:
    bench = prepare_bench(
        tmp_path, tiny_study(data={"source": "breast_cancer"}, problem={"type": "binary"})
    )
    level = level_of(bench)
    assert level.obstacle == ""
    assert level.score is not None
    assert level.low is not None
    assert level.high is not None
    assert level.low <= level.high < 0.75
    assert not level.is_above_chance
    assert (level.permuted, level.split) == ("samples", "r0f0")
    split = bench.splits.by_name["r0f0"]
    assert (level.n_train, level.n_validation) == (len(split.training), len(split.validation))
    # The same again, from its last checkpoint.
    assert replace(level_of(bench), seconds=level.seconds) == level


def test_trials_never_go_on_from_a_training_with_permuted_labels(
    tmp_path: Path, level_of: LevelOf
) -> None:
    bench = prepare_bench(tmp_path, tiny_study())
    level_of(bench)
    work = bench.work()
    assert work.store.result(work.task.epochs) is None
    assert isinstance(work.store, TrialStore)


@pytest.mark.parametrize(("part", "leaks"), [("training_data", False), ("validation_data", True)])
def test_a_training_that_sees_the_labels_it_is_scored_by_is_found(
    tmp_path: Path, level_of: LevelOf, part: str, leaks: bool
) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(160, 12)), columns=[f"x{i}" for i in range(12)])
    frame.assign(y=random.integers(0, 2, 160)).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "own.py").write_text(LEAKING.format(part=part))
    bench = prepare_bench(
        tmp_path,
        tiny_study(
            data={"source": "csv", "path": str(tmp_path / "t.csv"), "targets": ["y"]},
            problem={"type": "binary", "measure": "accuracy"},
            model={"custom": {"train": f"{tmp_path / 'own.py'}:train"}},
            search={"space": {}},
            training={"epochs": 15},
        ),
    )
    assert level_of(bench).is_above_chance is leaks


def test_a_training_that_fails_leaves_the_reason(tmp_path: Path, level_of: LevelOf) -> None:
    bench = prepare_bench(
        tmp_path,
        tiny_study(
            data={"source": "diabetes"},
            problem={"type": "regression"},
            training={"epochs": 3, "optimizer": "sgd", "learning_rate": 1e12},
        ),
    )
    level = level_of(bench, "mse")
    assert level.score is None
    assert level.obstacle
    assert not level.is_above_chance


def planned(folder: Path, **sections: Any) -> Plan:

    return Plan.load([write_study(folder / "s.yaml", tiny_study(**sections))])


def test_it_is_measured_where_it_costs_a_tenth_at_most(tmp_path: Path) -> None:
    assert not planned(tmp_path).measures_chance
    assert planned(tmp_path, resampling={"method": "kfold", "folds": 5}).measures_chance
    assert planned(tmp_path, report={"chance_level": True}).measures_chance
    never = {"report": {"chance_level": False}, "resampling": {"method": "kfold", "folds": 9}}
    assert not planned(tmp_path, **never).measures_chance
    distributed = {"epochs": 2, "distribution": {"backend": "horovod", "world_size": 2}}
    assert not planned(
        tmp_path, training=distributed, report={"chance_level": True}
    ).measures_chance
