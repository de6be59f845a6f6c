"""What a trained model costs: all of its weights, and the time of a prediction."""

from __future__ import annotations

import keras
import numpy as np

from gridfold.training import costs


class _Slow(keras.Model):
    """Counts its calls; a step of its clock is what a call takes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return x


def test_weights_that_are_not_trained_count() -> None:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    model.layers[0].trainable = False
    found = costs.measured(["parameters"], model, np.zeros((4, 3), np.float32))
    # 3 x 2 and 2 of the frozen layer; scale, offset, mean and variance of two outputs.
    assert found == {"parameters": 8 + 8}


def test_the_time_is_the_median_of_calls_after_the_first(monkeypatch) -> None:
    model, clock = _Slow(), iter(np.cumsum([0.0, 0.02] * 40))
    monkeypatch.setattr(costs.time, "perf_counter", lambda: float(next(clock)))
    samples = np.zeros((4, 3), np.float32)
    assert np.isclose(costs.seconds_per_sample(model, samples), 0.02 / 4)
    assert model.calls == 11


def test_a_real_model_is_timed() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    samples = np.zeros((8, 3), np.float32)
    before = [w.copy() for w in model.get_weights()]
    assert 0 < costs.seconds_per_sample(model, samples) < 1
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
