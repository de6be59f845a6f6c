"""What a request to train says of itself: whom it may follow in one process, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridfold.errors import TrialFailure
from gridfold.store.trials import TrialStore, TrialTask


def task(
    family: str = "mlp",
    units: int = 8,
    schedule: str = "constant",
    warmup: int = 0,
    training: dict[str, Any] | None = None,
    **changes: Any,
) -> TrialTask:
    settings = {
        "model": {"family": family, "units": units},
        "training": {
            "seed": 0,
            "learning_rate": 0.1,
            "epochs": 3,
            "schedule": {"kind": schedule},
            "warmup_epochs": warmup,
        }
        | (training or {}),
    }
    folder = Path("runs/cafe/r0f0")
    usual: dict[str, Any] = {"config_id": "cafe", "split": "r0f0", "epochs": 3}
    places = {"data": Path("data"), "splits": Path("splits.npz"), "folder": folder}
    return TrialTask(settings=settings, **usual | places | changes)


def test_trials_with_the_same_graphs_may_follow_each_other() -> None:
    assert task().shape is not None
    assert task().shape == task(training={"seed": 7}).shape
    assert task().shape == task(training={"learning_rate": 0.2}).shape
    assert task().shape == task(split="r0f1", config_id="bead").shape
    assert task().shape != task(units=9).shape
    assert task().shape != task(training={"epochs": 4}).shape
    assert task().shape != task(family="cnn").shape
    assert task().shape != task(threshold=0.3).shape


def test_a_schedule_is_a_part_of_the_graph() -> None:
    changed = {"learning_rate": 0.2}
    for how in ({"schedule": "cosine"}, {"warmup": 1}):
        assert task(**how).shape != task(training=changed, **how).shape
        assert task(**how).shape == task(training={"seed": 7}, **how).shape


@pytest.mark.parametrize(
    ("how", "may_share"),
    [
        ({"family": "mlp"}, True),
        ({"family": "cnn"}, True),
        ({"family": "python"}, False),
        ({"family": "custom"}, False),
        ({"own_measures": {"cost": "costs.py:cost"}}, False),
        ({"training": {"distribution": {"backend": "horovod"}}}, False),
        ({"training": {"distribution": None}}, True),
        ({"share_process": False}, False),
        ({"share_process": False, "family": "python"}, False),
        ({"share_process": True}, True),
        ({"share_process": True, "own_measures": {"cost": "costs.py:cost"}}, True),
        ({"share_process": True, "family": "python"}, True),
        ({"share_process": True, "family": "custom"}, False),
        ({"share_process": True, "family": "python", "must_be_loadable": True}, False),
        ({"share_process": True, "family": "mlp", "must_be_loadable": True}, True),
        ({"share_process": True, "training": {"distribution": {"backend": "mirrored"}}}, False),
    ],
)
def test_who_may_share_a_process(how: dict[str, Any], may_share: bool) -> None:
    assert (task(**how).shape is not None) == may_share


def test_asking_changes_no_settings() -> None:
    asked = task()
    assert asked.shape is not None
    assert asked.settings == task().settings


def test_a_task_and_its_store_stay_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = task().absolute()
    assert there.data == tmp_path / "data"
    assert there.splits == tmp_path / "splits.npz"
    assert there.folder == tmp_path / "runs" / "cafe" / "r0f0"
    assert (there.config_id, there.split, there.settings) == ("cafe", "r0f0", task().settings)
    store = TrialStore(Path("runs/cafe/r0f0"), Path("set_aside"), {"code": "a"})
    other = store.absolute()
    assert other.folder == there.folder
    assert store.folder == Path("runs/cafe/r0f0")
    other.open()
    other.fail(3, TrialFailure("diverged", "loss is nan"))
    changed = TrialStore(Path("runs/cafe/r0f0"), Path("set_aside"), {"code": "b"}).absolute()
    monkeypatch.chdir("/")
    assert other.result(3) is not None
    changed.open()
    assert len(list((tmp_path / "set_aside" / "cafe").iterdir())) == 1
