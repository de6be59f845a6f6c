"""Another threshold of a binary problem: what is scored anew, and what is trained anew."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics
from workbench import Bench, final_state, prepare_bench, stored_predictions, without_times

from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL
from gridfold.plan.job_requests import JobRequests
from gridfold.store.seals import sealed
from gridfold.training.answers import Answers
from gridfold.usercode import functions


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    functions.forget()


def tumours(threshold: float | None = None, epochs: int = 3, **training: Any) -> dict[str, Any]:
    chosen = {} if threshold is None else {"threshold": threshold}
    return {
        "study": "tumours",
        "data": {"source": "breast_cancer", "normalise": "standard", "subset": 200},
        "problem": {"type": "binary", "positive": "malignant", **chosen},
        "model": {"mlp": {"units": 4}},
        "training": {"epochs": epochs, "learning_rate": 0.003, **training},
        "resampling": {"method": "stratified", "folds": 2},
    }


def stopped_by(monitor: str, threshold: float | None = None) -> dict[str, Any]:
    return tumours(threshold, 8, early_stopping={"monitor": monitor, "patience": 2})


def predicted(bench: Bench) -> tuple[Any, Any]:
    """Return true classes and stored probabilities of the validation part."""
    work = bench.work()
    targets = Dataset.load(bench.plan.paths.data).targets
    chances = stored_predictions(work.store, work.task.epochs)
    assert chances is not None
    return targets[bench.splits.by_name["r0f0"].validation], chances[:, 0]


def followed(history: list[dict[str, float]]) -> list[float]:
    return [row[name] for row in history for name in ("metric", "val_metric")]


def without_followed(history: list[dict[str, float]]) -> list[dict[str, float]]:
    dropped = ("metric", "val_metric")
    return [{k: v for k, v in row.items() if k not in dropped} for row in without_times(history)]


# -- what is scored anew --------------------------------------------------------------------------


def test_trials_are_scored_at_the_threshold_and_scored_again_at_another_one(
    tmp_path: Path,
) -> None:
    before = prepare_bench(tmp_path, tumours()).trained()
    checkpoint = prepare_bench(tmp_path, tumours()).work().task.folder / "checkpoint-00003.npz"
    inode = checkpoint.stat().st_ino
    for threshold in (0.3, 0.6):
        bench = prepare_bench(tmp_path, tumours(threshold))
        assert bench.work().store.result(3) is None, "not at this threshold"
        result = bench.trained()
        targets, chances = predicted(bench)
        labels = chances >= np.float32(threshold)
        assert result.threshold == threshold
        assert result.scores["accuracy"] == pytest.approx(metrics.accuracy_score(targets, labels))
        assert result.scores["f1"] == pytest.approx(metrics.f1_score(targets, labels))
        expected = metrics.recall_score(targets, labels)
        assert result.scores["sensitivity"] == pytest.approx(expected)
        for name in ("roc_auc", "log_loss", "average_precision", "brier_score"):
            assert result.scores[name] == before.scores[name]
        assert result.scores != before.scores
        assert without_followed(result.history) == without_followed(before.history)
        assert (result.usage, result.fit_seconds) == (before.usage, before.fit_seconds)
    assert checkpoint.stat().st_ino == inode
    assert prepare_bench(tmp_path, tumours()).trained().scores == before.scores


def test_what_was_followed_at_another_threshold_is_left_out(tmp_path: Path) -> None:
    before = prepare_bench(tmp_path, tumours()).trained()
    assert not any(map(math.isnan, followed(before.history)))
    # Two epochs more, from the checkpoint of the three before.
    result = prepare_bench(tmp_path, tumours(0.3, 5)).trained()
    assert [(s["first"], s["last"]) for s in result.segments] == [(1, 3), (4, 5)]
    assert all(map(math.isnan, followed(result.history[:3])))
    assert not any(map(math.isnan, followed(result.history[3:])))
    assert result.history[-1]["val_metric"] == pytest.approx(result.scores["accuracy"])
    assert [row["loss"] for row in result.history[:3]] == [row["loss"] for row in before.history]


def test_the_losses_and_weights_are_those_of_any_threshold(tmp_path: Path) -> None:
    usual = prepare_bench(tmp_path / "usual", tumours())
    other = prepare_bench(tmp_path / "other", tumours(0.2))
    one, two = usual.trained(), other.trained()
    assert without_followed(one.history) == without_followed(two.history)
    for first, second in zip(
        final_state(usual.work().task.folder, 3),
        final_state(other.work().task.folder, 3),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


# -- what is followed in training -----------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["val_metric", "accuracy", "f1"])
def test_what_stops_a_training_is_what_is_reported(tmp_path: Path, monitor: str) -> None:
    result = prepare_bench(tmp_path, stopped_by(monitor, 0.2)).trained()
    # The accuracy is what is followed in any training.
    measure = "f1" if monitor == "f1" else "accuracy"
    column = "val_f1" if monitor == "f1" else "val_metric"
    scores = [row[column] for row in result.history]
    assert result.best_epoch == np.argmax(scores) + 1
    assert result.scores[measure] == pytest.approx(scores[result.best_epoch - 1], rel=1e-5)


@pytest.mark.parametrize(
    ("monitor", "trains"),
    [("val_metric", True), ("f1", True), ("val_loss", False), ("average_precision", False)],
)
def test_only_what_followed_the_threshold_is_trained_anew(
    tmp_path: Path, monitor: str, trains: bool
) -> None:
    before = prepare_bench(tmp_path, stopped_by(monitor)).trained()
    bench = prepare_bench(tmp_path, stopped_by(monitor, 0.05))
    work = bench.work()
    assert (work.store.unscored(8) is None) == trains
    assert bool(list(tmp_path.rglob("r0f0-*"))) == trains, "records that are set aside"
    after = bench.trained()
    assert after.threshold == 0.05
    assert after.scores["accuracy"] != before.scores["accuracy"]
    if not trains:
        assert after.best_epoch == before.best_epoch
        assert after.scores["roc_auc"] == before.scores["roc_auc"]


OUTPUTS = {
    "probability": (Answers(), [[0.2], [0.3], [0.4], [0.1]]),
    "logit": (Answers("sigmoid"), [[-1.4], [-0.8], [-0.4], [-2.2]]),
    "two probabilities": (
        Answers(of_second_class=True, units=2),
        [[0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1]],
    ),
    "two logits": (
        Answers("softmax", of_second_class=True, units=2),
        [[0.0, -1.4], [0.0, -0.8], [0.0, -0.4], [0.0, -2.2]],
    ),
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("targets", ["flat", "column", "one-hot"])
def test_the_metric_of_a_training_is_that_of_predictions(kind: str, targets: str) -> None:
    says, outputs = OUTPUTS[kind]
    codes = np.array([1, 1, 0, 0])
    given = {"flat": codes, "column": codes[:, np.newaxis], "one-hot": np.eye(2)[codes]}[targets]
    chances = says.predictions(keras.ops.convert_to_tensor(np.float32(outputs)))
    for threshold in (0.15, 0.3, 0.35, 0.8):
        metric = says.metric("accuracy", threshold)
        metric.update_state(given.astype(np.float32), np.float32(outputs))
        expected = np.mean((chances[:, 0] >= np.float32(threshold)) == codes)
        assert float(metric.result()) == expected, threshold
        assert metric.name == "accuracy"


# -- what stays as before -------------------------------------------------------------------------


def test_without_a_threshold_ids_and_fingerprints_are_as_before(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, tumours())
    requests = JobRequests(bench.plan)
    texts = [
        requests.data(),
        requests.splits(),
        requests.collect(),
        requests.summary(),
        requests.comparison(),
        requests.final(),
        *(requests.train(shard) for shard in bench.plan.all_shards),
    ]
    assert not [request for request in texts if "threshold" in request.text()]
    # As it was before the key; stored results depend on it.
    assert [c.id for c in bench.plan.configurations] == ["fd0aaebe2e0f"]
    bench.trained()
    work = bench.work()
    (file,) = work.task.folder.glob("result-*.json")
    recorded = json.loads(file.read_text())["fingerprint"]
    assert sorted(recorded) == ["code", "data", "settings", "split", "versions"]
    assert recorded["settings"] == work.task.settings
    assert sorted(recorded["settings"]["problem"]) == ["loss", "output_activation", "type"]


def test_the_usual_threshold_written_out_is_none(tmp_path: Path) -> None:
    plain = JobRequests(prepare_bench(tmp_path, tumours()).plan)
    written = JobRequests(prepare_bench(tmp_path, tumours(0.5)).plan)
    assert written.final().text() == plain.final().text()
    assert written.comparison().text() == plain.comparison().text()


def test_another_threshold_changes_scores_and_no_id(tmp_path: Path) -> None:
    plain, other = (prepare_bench(tmp_path, tumours(t)).plan for t in (None, 0.3))
    assert [c.id for c in plain.configurations] == [c.id for c in other.configurations]
    before, after = JobRequests(plain), JobRequests(other)
    for same in ("data", "splits", "collect", "summary"):
        assert getattr(before, same)().text() == getattr(after, same)().text()
    assert after.conditions.positive_from == after.comparison().positive_from == 0.3
    assert after.conditions.code == before.conditions.code


def test_results_of_earlier_versions_are_those_of_the_usual_threshold(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, tumours())
    before, work = bench.trained(), bench.work()
    file = work.task.folder / "result-00003.json"
    content = json.loads(file.read_text())
    assert content.pop("threshold") == 0.5
    del content["checksum"]
    file.write_text(json.dumps(sealed(content)))
    assert work.store.result(3) == before
    assert prepare_bench(tmp_path, tumours(0.3)).work().store.unscored(3) is not None


def test_the_final_model_keeps_its_training(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, tumours())
    before = bench.trained(split=FINAL)
    bench = prepare_bench(tmp_path, tumours(0.3))
    after = bench.trained(split=FINAL)
    assert without_followed(after.history) == without_followed(before.history)
    assert after.segments == before.segments
