"""Augmentation: training images are changed, no others, and always in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets
from studies import configurations, tiny_study
from workbench import Bench, final_state, prepare_bench, without_times

from gridfold.errors import TrialFailure
from gridfold.study.sections.training import Augmentation as Section
from gridfold.training.augmentation import Augmenter
from gridfold.training.devices import Devices
from gridfold.training.loop import TrainingLoop

IMAGES = datasets.load_digits().images[:200, ..., np.newaxis].astype(np.float32)
EVERYTHING = {
    "flip": "horizontal",
    "rotation": 0.1,
    "translation": 0.2,
    "zoom": 0.2,
    "contrast": 0.5,
}


def augmentation(seed: int = 7, **options: Any) -> Augmenter:
    return Augmenter(Section(**options).model_dump(), (8, 8, 1), seed, Devices())


def changed(layer: Augmenter, epoch: int = 0, step: int = 0) -> np.ndarray[Any, Any]:
    """Return all images as one step of an epoch would see them."""

    @tf.function  # type: ignore[untyped-decorator]
    def apply(seed: Any, number: Any) -> Any:
        return layer.apply(tf.constant(IMAGES), seed, number)

    return apply(tf.constant(layer.seed_of(epoch)), tf.constant(step)).numpy()  # type: ignore[no-any-return]


def test_flips_mirror_about_half_of_the_images() -> None:
    found = changed(augmentation(flip="horizontal"))
    mirrored = (found == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (found == IMAGES).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 60 < mirrored.sum() < 140


@pytest.mark.parametrize("kind", ["rotation", "translation", "zoom", "contrast"])
def test_each_kind_changes_images_a_little(kind: str) -> None:
    found = changed(augmentation(**{kind: 0.2}))
    assert found.shape == IMAGES.shape
    assert not np.array_equal(found, IMAGES)
    alike = np.corrcoef(found.ravel(), IMAGES.ravel())[0, 1]
    assert 0.2 < alike < 0.999


def test_contrast_keeps_the_mean_and_cuts_nothing_off() -> None:
    found = changed(augmentation(contrast=0.9))
    np.testing.assert_allclose(
        found.mean(axis=(1, 2)), IMAGES.mean(axis=(1, 2)), rtol=1e-4, atol=1e-4
    )
    assert found.min() < 0


def test_the_same_epoch_and_step_always_see_the_same_images() -> None:
    first = changed(augmentation(**EVERYTHING), epoch=3, step=5)
    layer = augmentation(**EVERYTHING)
    changed(layer, epoch=1)
    np.testing.assert_array_equal(changed(layer, epoch=3, step=5), first)
    for other in (
        changed(layer, epoch=3, step=6),
        changed(layer, epoch=4, step=5),
        changed(augmentation(seed=8, **EVERYTHING), epoch=3, step=5),
    ):
        assert not np.array_equal(other, first)


def test_samples_that_are_no_images_are_refused() -> None:
    with pytest.raises(TrialFailure, match=r"needs images .* not samples of shape \(4,\)"):
        Augmenter(Section(flip="both").model_dump(), (4,), 0, Devices())


def test_only_training_is_augmented() -> None:
    """With images in place of zeros, the loss of training is not 0 and that of validation is."""

    class Sum(keras.Model):
        def call(self, x: Any) -> Any:
            return keras.ops.sum(keras.ops.abs(x), axis=(1, 2, 3))[:, None]

    class Log(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.logs = logs

    # The mean of each image is 0, so that contrast changes a sum of absolute values.
    centred = IMAGES - IMAGES.mean(axis=(1, 2), keepdims=True)
    totals = np.abs(centred).sum(axis=(1, 2, 3))[:, None]
    model, log = Sum(), Log()
    model.compile("sgd", "mae")
    data = (centred, totals)
    TrainingLoop(model, data, data, 50, 1, augmentation=augmentation(contrast=0.5)).run(0, 1, [log])
    assert log.logs["val_loss"] < 1e-2
    assert log.logs["loss"] > 1


# -- in a study -----------------------------------------------------------------------------------


def study(epochs: int, **training: Any) -> dict[str, Any]:
    return {
        "study": "augmented",
        "data": {"source": "digits", "subset": 200, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"cnn": {"filters": 2, "dense_units": 8, "dropout": 0.1}},
        "training": {"epochs": epochs, "augmentation": EVERYTHING, **training},
        "resampling": {"method": "stratified", "folds": 2},
    }


def train(*benches: Bench) -> list[Any]:
    works = [bench.work() for bench in benches]
    failures = [event.failure for event in benches[0].train(*works) if event.failure]
    assert not failures, failures
    return [work.store.result(work.task.epochs) for work in works]


def test_a_resumed_training_sees_what_an_uninterrupted_one_sees_bit_for_bit(tmp_path: Path) -> None:
    straight = prepare_bench(tmp_path / "straight", study(4))
    other = prepare_bench(tmp_path / "other", study(4, augmentation={"flip": "vertical"}))
    expected, different, _ = train(straight, other, prepare_bench(tmp_path / "stopped", study(2)))
    raised = prepare_bench(tmp_path / "stopped", study(4))
    (result,) = train(raised)
    assert [segment["first"] for segment in result.segments] == [1, 3]
    assert without_times(result.history) == without_times(expected.history)
    assert without_times(result.history) != without_times(different.history)
    for a, b in zip(
        final_state(raised.work().task.folder, 4),
        final_state(straight.work().task.folder, 4),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_each_kind_can_be_an_axis_and_its_absence_changes_no_id(tmp_path: Path) -> None:
    plain = configurations(tmp_path, tiny_study(data={"source": "digits"}))
    axes = {"mlp.units": [4, 8], "training.augmentation.rotation": [0.0, 0.1]}
    searched = configurations(
        tmp_path, tiny_study(data={"source": "digits"}, search={"space": axes})
    )
    assert len(searched) == 4
    assert {c.id for c in plain} < {c.id for c in searched}
    assert all("augmentation" not in c.settings["training"] for c in plain)
