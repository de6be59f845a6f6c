"""The training loop: what it feeds, and that it does what Keras' `fit` does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from gridfold.arrays import Windows
from gridfold.training.feeds import BLOCKS_TOGETHER
from gridfold.training.loop import TrainingLoop, epoch_order, steps_per_epoch


class Recorder(keras.Model):
    """Remembers the samples of each step instead of learning from them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[int]] = []
        self.layer = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.layer(x)

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        def remember(x: Any, y: Any) -> Any:
            np.testing.assert_array_equal(2 * x, y)
            self.steps.append([int(value) for value in x[:, 0]])
            return np.int64(0)

        tf.numpy_function(remember, list(data[:2]), tf.int64)
        return {}


class Log(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.rows.append({"epoch": epoch, **(logs or {})})


def recorded(samples: int, batch_size: int, first: int, last: int, **options: Any) -> list[Any]:
    model = Recorder()
    model.compile("sgd", "mse")
    x = np.arange(samples, dtype=np.float32)[:, None]
    TrainingLoop(model, (x, 2 * x), None, batch_size, seed=7, **options).run(first, last, [])
    return model.steps


@pytest.mark.parametrize("at_once", ["auto", 1, 2])
def test_every_sample_comes_once_in_every_epoch(at_once: Any) -> None:
    steps = recorded(23, 5, 0, 3, steps_per_execution=at_once)
    each = steps_per_epoch(23, 5)
    assert len(steps) == 3 * each
    for epoch in range(3):
        seen = [i for batch in steps[epoch * each : (epoch + 1) * each] for i in batch]
        assert sorted(seen) == list(range(23))
        assert seen != sorted(seen)
    assert len(steps[each - 1]) == 3


def test_starting_later_gives_what_would_have_come() -> None:
    assert recorded(23, 5, 2, 4) == recorded(23, 5, 0, 4)[2 * 5 :]


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = [epoch_order(50, s, e).numpy().tolist() for s, e in ((7, 0), (7, 1), (8, 0))]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert orders[0] == epoch_order(50, 7, 0).numpy().tolist()


@pytest.mark.parametrize(("samples", "block"), [(1000, 16), (1003, 10), (50, 7), (5, 64), (1, 2)])
def test_blocks_are_mixed_with_a_few_others(samples: int, block: int) -> None:
    order = epoch_order(samples, 7, 3, block).numpy()
    assert order.dtype == np.int32
    assert sorted(order) == list(range(samples))
    # Samples of a block are never farther from each other than ten blocks.
    places = np.argsort(order)
    spans = [np.ptp(places[start : start + block]) for start in range(0, samples, block)]
    assert max(spans) < BLOCKS_TOGETHER * block
    # Fewer than ten blocks are all mixed with each other.
    if samples > BLOCKS_TOGETHER * block:
        assert list(order) != sorted(order)
        assert list(order) != list(epoch_order(samples, 7, 3).numpy())
        assert list(order) != list(epoch_order(samples, 7, 4, block).numpy())
        assert list(order) != list(epoch_order(samples, 8, 3, block).numpy())
    assert list(order) == list(epoch_order(samples, 7, 3, block).numpy())


def test_blocks_come_in_any_order_and_so_do_their_samples() -> None:
    samples, block = 400, 4
    orders = np.array([epoch_order(samples, seed, 0, block).numpy() for seed in range(400)])
    # No block is among the first ten more often than by chance: 40 of 400, give or take 6.
    firsts = np.bincount(orders[:, :40].ravel() // block, minlength=100) / block
    assert (abs(firsts - 40) < 30).all()
    # Nor does a sample come before its neighbour.
    places = np.argsort(orders, axis=1)
    before = (places[:, 0] < places[:, 1]).mean()
    assert abs(before - 0.5) < 0.12


def small_model() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("weighted", [False, True])
def test_it_learns_what_fit_learns(weighted: bool) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 4)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    w = generator.uniform(0.5, 2, 30).astype(np.float32)
    ours, theirs = small_model(), small_model()
    log = Log()
    arrays = (x, y, w) if weighted else (x, y)
    TrainingLoop(ours, arrays, (x[:7], y[:7]), 8, seed=1).run(0, 3, [log])
    for epoch, row in enumerate(log.rows):
        order = epoch_order(30, 1, epoch).numpy()
        history = theirs.fit(
            x[order],
            y[order],
            batch_size=8,
            shuffle=False,
            sample_weight=w[order] if weighted else None,
            validation_data=(x[:7], y[:7]),
            verbose=0,
        ).history
        for name in ("loss", "mae", "val_loss", "val_mae"):
            assert row[name] == pytest.approx(history[name][0], rel=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [30, 32, 5])
def test_xla_changes_nothing_but_rounding(samples: int) -> None:
    x = np.random.default_rng(0).normal(size=(samples, 4)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    losses = []
    for steps, epochs in ((False, False), (True, False), (False, True)):
        model, log = small_model(), Log()
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=steps)
        loop = TrainingLoop(model, (x, y), (x, y), 8, seed=1, compiles_epochs=epochs)
        loop.run(0, 3, [log])
        losses.append([row[name] for row in log.rows for name in ("loss", "val_loss")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] == pytest.approx(losses[2], rel=1e-4)


def test_a_callback_can_stop_the_training() -> None:
    x = np.ones((8, 4), np.float32)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    log = Log()
    TrainingLoop(small_model(), (x, x[:, :1]), None, 8, seed=1).run(0, 9, [log, Stop()])
    assert [row["epoch"] for row in log.rows] == [0, 1]


@pytest.mark.parametrize("jit_compile", [False, "epoch"])
def test_windows_give_what_an_array_of_them_gives(jit_compile: Any) -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((120, 3)).astype(np.float32)
    windows = [Windows(rows, np.r_[0:40, 60 + shift : 110], 7) for shift in (0, 5)]
    runs = []
    for kept in (lambda some: some, lambda some: some[:]):
        keras.utils.set_random_seed(1)
        features = [kept(some) for some in windows]
        targets = [np.asarray(some)[:, -1, :1].copy() for some in windows]
        validation = (features[1][:], targets[1])
        inputs = keras.Input((7, 3))
        outputs = keras.layers.Dense(1)(keras.layers.Flatten()(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse", jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        log = Log()
        given = (features[0], targets[0])
        loop = TrainingLoop(
            model, given, validation, 8, seed=3, compiles_epochs=jit_compile == "epoch"
        )
        loop.run(0, 2, [log])
        # Then another part, of another number of windows.
        assert loop.fits((features[1], targets[1]), validation)
        assert not loop.fits((features[1][:, :, :2], targets[1]), validation)
        loop.renew(model, (features[1], targets[1]), validation, seed=4)
        loop.run(0, 2, [log])
        runs.append((log.rows, [v.numpy() for v in model.variables]))
    (rows_of_windows, weights), (rows_of_array, weights_of_array) = runs
    # XLA compiles the whole, and may round in another order.
    tolerance = 1e-5 if jit_compile else 0.0
    for row, other in zip(rows_of_windows, rows_of_array, strict=True):
        assert row == pytest.approx(other, rel=tolerance, abs=0.0)
    for values, others in zip(weights, weights_of_array, strict=True):
        np.testing.assert_allclose(values, others, rtol=tolerance, atol=tolerance)


class Largest(keras.metrics.Metric):
    """Keeps what it has seen in a variable, and how often it began anew in none."""

    def __init__(self) -> None:
        super().__init__(name="largest")
        self.begun = 0
        self.value = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y: Any, predicted: Any, sample_weight: Any = None) -> None:
        self.value.assign(keras.ops.maximum(self.value, keras.ops.max(y)))

    def result(self) -> Any:
        return self.value

    def reset_state(self) -> None:
        self.begun += 1
        self.value.assign(0.0)


class Adding(keras.layers.Layer):
    """Adds up what it sees; the answer of Keras' metric is its variable."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = keras.metrics.Sum("sum")

    def call(self, x: Any) -> Any:
        self.sum.update_state(x)
        return x


@pytest.mark.parametrize("own", [False, True])
def test_metrics_begin_anew_before_each_part_of_each_epoch(own: bool) -> None:
    model = keras.Sequential([keras.Input((1,)), Adding(), keras.layers.Dense(1)])
    largest = Largest()
    model.compile("sgd", "mse", metrics=["mae", largest] if own else ["mae"])
    model.optimizer.build(model.trainable_variables)
    x = np.array([[1.0], [4.0]], np.float32)
    # As if something had been counted before.
    model.evaluate(100 + x, x, verbose=0)
    log = Log()
    loop = TrainingLoop(model, (x, x), (x[:1], x[:1]), batch_size=2, seed=7)
    loop.run(0, 2, [log])
    expected = model.evaluate(x[:1], x[:1], verbose=0, return_dict=True)
    assert {name: log.rows[-1][f"val_{name}"] for name in expected} == pytest.approx(expected)
    assert [(row["sum"], row["val_sum"]) for row in log.rows] == [(5.0, 1.0)] * 2
    if own:
        assert [(row["largest"], row["val_largest"]) for row in log.rows] == [(4.0, 1.0)] * 2
        begun = largest.begun
        loop.run(2, 4, [log])
        assert largest.begun == begun + 5
