"""What a user's model answers with: logits, probabilities, numbers; and what is none of these."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from finalmodels import save
from recorded import selected
from workbench import Bench, prepare_bench, stored_predictions

from gridfold.data.dataset import Dataset
from gridfold.errors import TrialFailure
from gridfold.final import ensemble, fit
from gridfold.paths import FinalModelPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.store.selection import Selection
from gridfold.training.answers import Answers, answers_of

LOSSES = keras.losses
SAMPLES = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)


@keras.saving.register_keras_serializable(package="answers")
class OwnLoss(LOSSES.Loss):
    """Says nothing of logits, and takes them."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y_true, y_pred.dtype), y_pred)


@keras.saving.register_keras_serializable(package="answers")
class OwnModel(keras.Model):
    """Judges itself, without a loss that it is compiled with."""

    def __init__(self) -> None:
        super().__init__()
        self.last = keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(inputs)

    def compute_loss(  # type: ignore[override]
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return keras.ops.mean(LOSSES.binary_crossentropy(y, y_pred, from_logits=True))


def of_function(targets: Any, outputs: Any) -> Any:
    return LOSSES.binary_crossentropy(targets, outputs, from_logits=True)


def of_classes(targets: Any, outputs: Any) -> Any:
    codes = tf.cast(tf.reshape(targets, [-1]), tf.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(codes, outputs)


def entropy(targets: Any, chances: Any) -> Any:
    log = keras.ops.log
    return -keras.ops.mean(targets * log(chances) + (1 - targets) * log(1 - chances))


def answers(
    problem: str, units: int, loss: Any, activation: str | None = None, dtype: str = "float32"
) -> Answers:
    """Return what is found out of a small compiled model."""
    last = keras.layers.Dense(units, activation=activation, dtype=dtype)
    model = keras.Sequential([keras.Input((4,)), last])
    model.compile("sgd", loss)
    outputs = 1 if problem in ("binary", "regression") else units
    return answers_of(model, problem, outputs, SAMPLES, keeps_loss=True)


@pytest.mark.parametrize(
    "loss",
    [
        LOSSES.BinaryCrossentropy(from_logits=True),
        LOSSES.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
        LOSSES.BinaryFocalCrossentropy(from_logits=True),
        [LOSSES.BinaryCrossentropy(from_logits=True)],
        functools.partial(LOSSES.binary_crossentropy, from_logits=True),
        functools.partial(LOSSES.binary_focal_crossentropy, from_logits=True),
        of_function,
        lambda y, p: of_function(y, p),
        OwnLoss(),
    ],
)
def test_one_output_for_a_loss_of_logits_is_a_logit(loss: Any) -> None:
    assert answers("binary", 1, loss).link == "sigmoid"


def test_a_mapping_of_losses_and_a_model_that_judges_itself_are_asked_too() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="only")(inputs))
    model.compile("sgd", {"only": LOSSES.BinaryCrossentropy(from_logits=True)})
    assert answers_of(model, "binary", 1, SAMPLES, keeps_loss=True).link == "sigmoid"
    own = OwnModel()
    own.compile("sgd")
    own(SAMPLES)
    assert answers_of(own, "binary", 1, SAMPLES, keeps_loss=True).link == "sigmoid"


@pytest.mark.parametrize(
    ("loss", "one_hot"),
    [
        (LOSSES.SparseCategoricalCrossentropy(from_logits=True), False),
        (LOSSES.CategoricalCrossentropy(from_logits=True), True),
        (LOSSES.CategoricalFocalCrossentropy(from_logits=True), True),
        (of_classes, False),
        (tf.nn.softmax_cross_entropy_with_logits, True),
    ],
)
@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_several_outputs_for_a_loss_of_logits_are_logits(
    problem: str, loss: Any, one_hot: bool
) -> None:
    found = answers(problem, 2 if problem == "binary" else 3, loss)
    assert (found.link, found.one_hot) == ("softmax", one_hot)
    predictions = found.predictions(keras.ops.convert_to_tensor([[1.0, 3.0, 0.0][: found.units]]))
    assert predictions.shape == (1, 1 if problem == "binary" else 3)
    assert predictions[0, 0] == pytest.approx(0.8808 if problem == "binary" else 0.1142, abs=1e-4)


@pytest.mark.parametrize(
    ("problem", "units", "activation", "loss", "one_hot"),
    [
        ("binary", 1, "sigmoid", "binary_crossentropy", False),
        ("binary", 1, "sigmoid", "mse", False),
        ("binary", 1, "sigmoid", "hinge", False),
        ("binary", 1, "sigmoid", entropy, False),
        ("binary", 2, "softmax", "sparse_categorical_crossentropy", False),
        ("binary", 2, "softmax", "binary_crossentropy", True),
        ("multiclass", 3, "softmax", "sparse_categorical_crossentropy", False),
        ("multiclass", 3, "softmax", "crossentropy", False),
        ("multiclass", 3, "softmax", LOSSES.SparseCategoricalCrossentropy(ignore_class=2), False),
        ("multiclass", 3, "softmax", "categorical_crossentropy", True),
        ("multiclass", 3, "softmax", LOSSES.CategoricalFocalCrossentropy(), True),
        ("multiclass", 3, "softmax", "kl_divergence", True),
        ("multiclass", 3, "softmax", "mse", True),
        # Keras sees the activation, warns, and goes back behind it.
        ("binary", 1, "sigmoid", LOSSES.BinaryCrossentropy(from_logits=True), False),
        ("multiclass", 3, "softmax", of_function, True),
        ("multiclass", 3, "softmax", LOSSES.CategoricalCrossentropy(from_logits=True), True),
        ("regression", 1, None, "mse", False),
        ("regression", 1, None, "poisson", False),
        ("multi_output", 3, None, "mse", False),
    ],
)
def test_probabilities_and_numbers_stay_what_they_are(
    problem: str, units: int, activation: str | None, loss: Any, one_hot: bool
) -> None:
    if loss is of_function:
        loss = functools.partial(LOSSES.sparse_categorical_crossentropy, from_logits=True)
        one_hot = False
    found = answers(problem, units, loss, activation)
    assert (found.link, found.one_hot) == ("linear", one_hot)


def test_outputs_in_zero_to_one_may_be_logits_of_their_loss() -> None:
    found = answers("multi_output", 3, LOSSES.BinaryCrossentropy(from_logits=True))
    assert found.link == "sigmoid"
    metric = found.metric("mae")
    metric.update_state(np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32))
    assert float(metric.result()) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("problem", "units", "activation", "loss", "said"),
    [
        ("binary", 1, None, "binary_crossentropy", "activation `sigmoid`, or compile"),
        ("binary", 2, None, "categorical_crossentropy", "activation `softmax`, or compile"),
        ("multiclass", 3, None, LOSSES.SparseCategoricalCrossentropy(), "`softmax`, or compile"),
        ("multiclass", 3, "sigmoid", "binary_crossentropy", "add up to"),
        ("binary", 1, "tanh", "hinge", "outputs from -"),
        ("binary", 1, "sigmoid", OwnLoss(), "leave out one of the two"),
        (
            "multiclass",
            3,
            "softmax",
            LOSSES.CategoricalFocalCrossentropy(from_logits=True),
            "leave out one of the two",
        ),
        ("binary", 3, "softmax", "categorical_crossentropy", "1 outputs are needed (or 2)"),
    ],
)
def test_outputs_that_are_no_probabilities_are_refused_before_the_training(
    problem: str, units: int, activation: str | None, loss: Any, said: str
) -> None:
    with pytest.raises(TrialFailure) as caught:
        answers(problem, units, loss, activation)
    assert said in caught.value.reason


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16"])
def test_probabilities_in_16_bit_are_probabilities(dtype: str) -> None:
    found = answers("multiclass", 40, "sparse_categorical_crossentropy", "softmax", dtype)
    assert found.tolerance > 0.001
    with pytest.raises(TrialFailure):
        found.check("multiclass", np.full((2, 40), 0.03))


# -- in studies -----------------------------------------------------------------------------------

MODELS = """
import keras

L, S = keras.layers, keras.losses


def compiled(last, loss):
    model = keras.Sequential([L.Dense(16, activation="relu"), *last])
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def logit(hp):
    return compiled([L.Dense(1)], S.BinaryCrossentropy(from_logits=True))


def two_logits(hp):
    return compiled([L.Dense(2)], S.SparseCategoricalCrossentropy(from_logits=True))


def one_hot(hp):
    return compiled([L.Dense(3, activation="softmax")], "categorical_crossentropy")


def linear(hp):
    return keras.Sequential([L.Dense(16, activation="relu"), L.Dense(3)])


class Two(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden = L.Dense(units, activation="relu")
        self.last = L.Dense(3, activation="softmax")

    def call(self, x):
        return self.last(self.hidden(x))


class Unstorable(Two):
    def call(self, x):
        return super().call(keras.ops.convert_to_tensor(x.numpy() if hasattr(x, "numpy") else [x]))


def subclass(hp):
    return Two(hp.Int("units", 8, 16))


def unstorable(hp):
    return Unstorable(hp.Int("units", 8, 16))
"""

LOOP = """
import keras


def train(trial):
    x, y = trial.training_data
    model = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True))
    if not COMPILED:
        other = keras.Sequential([model])
    model.fit(x, y, epochs=1, verbose=0)
    trial.report(1, loss=0.1)
    return model if COMPILED else other
"""


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models.py").write_text(MODELS)


def bench_of(folder: Path, build: str, **sections: Any) -> Bench:
    source = sections.pop("source", "breast_cancer")
    kind = "binary" if source == "breast_cancer" else "multiclass"
    study = {
        "study": build,
        "data": {"source": source},
        "problem": {"type": kind},
        "model": {"python": {"build": f"models.py:{build}"}},
        "training": {"epochs": 3},
        "resampling": {"method": "stratified", "folds": 2},
        **sections,
    }
    return prepare_bench(folder / build, study)


def refused(bench: Bench) -> str:
    (failure,) = [e.failure for e in bench.train(bench.work()) if e.failure]
    return failure.reason


def test_logits_are_scored_as_the_probabilities_that_they_stand_for(tmp_path: Path) -> None:
    result = bench_of(tmp_path, "logit").trained()
    assert result.scores["log_loss"] < 0.2
    assert result.scores["accuracy"] > 0.9
    # What is followed is the accuracy at logit 0.
    assert result.history[-1]["val_metric"] == pytest.approx(result.scores["accuracy"], abs=1e-6)
    # The same study by its text, and so the same seeds.
    chances = MODELS.replace("L.Dense(1)", 'L.Dense(1, activation="sigmoid")')
    Path("models.py").write_text(chances.replace("S.BinaryCrossentropy(from_logits=True)", '"bce"'))
    same = bench_of(tmp_path / "other", "logit").trained()
    assert same.scores["log_loss"] == pytest.approx(result.scores["log_loss"], abs=1e-4)
    assert [r["metric"] for r in same.history] == pytest.approx(
        [r["metric"] for r in result.history]
    )


def test_early_stopping_follows_the_accuracy_of_logits(tmp_path: Path) -> None:
    stopping = {"monitor": "val_metric", "patience": 1}
    training = {"epochs": 20, "early_stopping": stopping}
    bench = bench_of(tmp_path, "logit", training=training)
    result = bench.trained()
    best = max(row["val_metric"] for row in result.history)
    assert result.history[result.best_epoch - 1]["val_metric"] == best
    assert result.scores["accuracy"] == pytest.approx(best, abs=1e-6)


def test_an_output_for_each_of_two_classes_answers_for_the_second(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "two_logits")
    result = bench.trained()
    assert result.scores["log_loss"] < 0.2
    predictions = stored_predictions(bench.work().store, 3)
    assert predictions is not None
    assert predictions.shape[1] == 1


def selection_of(bench: Bench) -> Selection:
    (configuration,) = bench.plan.configurations
    return selected(configuration.id, "own", final_epochs=3)


@pytest.mark.parametrize("build", ["logit", "two_logits"])
def test_the_final_model_and_the_ensemble_answer_with_probabilities(
    tmp_path: Path, build: str
) -> None:
    bench = bench_of(tmp_path, build)
    request, selection = JobRequests(bench.plan).ensemble(), selection_of(bench)
    Path("final/ensemble").mkdir(parents=True)
    splits = [n for n in bench.splits.by_name if n != "final"]
    together = ensemble.fit_ensemble(request, selection, bench.plan.paths, 0)
    together.save(
        [f"final/ensemble/{n}.keras" for n in splits],
        [f"final/ensemble/{n}.json" for n in splits],
        "final/ensemble/scores.json",
    )
    assert together.scores.test is not None
    assert together.scores.test.scores["log_loss"] < 0.2
    made = fit.fit_final(request, selection, bench.plan.paths, 0, together.scores)
    save(made, FinalModelPaths(Path("final")))
    assert made.card.test is not None
    assert made.card.test.scores["log_loss"] < 0.2
    assert "logits" in made.card.answers
    assert "the probability of the class benign" in Path("final/card.md").read_text()
    expected = np.stack(made.predictions["prediction"].to_numpy())
    assert ((expected >= 0) & (expected <= 1)).all()
    assert made.inside.predictions.shape[1] == 1

    dataset = Dataset.load(bench.plan.paths.data)
    np.save("raw.npy", dataset.features[bench.splits.test])
    program = Path(sys.executable).parent / "gridfold"
    for options in ([], ["--ensemble"]):
        command = [program, "predict", "final", "raw.npy", "-o", "out.csv", *options]
        subprocess.run(command, check=True, capture_output=True)
        table = pd.read_csv("out.csv")
        if not options:
            np.testing.assert_allclose(table["p(benign)"], expected[:, 0], atol=1e-5)
        right = (
            table["prediction"]
            == np.array(["malignant", "benign"])[dataset.targets[bench.splits.test]]
        )
        assert right.mean() > 0.9


@pytest.mark.parametrize(("compiled", "known"), [(True, True), (False, False)])
def test_an_own_loop_returns_logits_with_the_loss_that_says_so(
    tmp_path: Path, compiled: bool, known: bool
) -> None:
    Path("loop.py").write_text(f"COMPILED = {compiled}\n{LOOP}")
    model = {"custom": {"train": "loop.py:train"}}
    bench = bench_of(tmp_path, "loop", model=model, training={"epochs": 1})
    if known:
        assert bench.trained().scores["log_loss"] < 1
    else:
        assert "end it with the activation `sigmoid`" in refused(bench)


@pytest.mark.parametrize("last", [None, "sigmoid"])
def test_a_saved_model_keeps_to_what_its_loss_said(tmp_path: Path, last: str | None) -> None:
    inputs = keras.Input((30,))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation=last)(hidden))
    model.compile("adam", LOSSES.BinaryCrossentropy(from_logits=True))
    model.save("start.keras")
    saved = {"path": "start.keras", "freeze": ["hidden"], "frozen_epochs": 1}
    training = {"epochs": 6, "learning_rate": 0.03}
    bench = bench_of(tmp_path, "saved", model={"saved": saved}, training=training)
    result = bench.trained()
    assert result.scores["log_loss"] < 0.3
    if last is None:
        model.compile("adam", "mse")
        model.save("start.keras")
        other = bench_of(tmp_path, "plain", model={"saved": saved}, training=training)
        assert "end it with the activation `sigmoid`" in refused(other)


def test_a_loss_that_compares_with_all_classes_gets_a_number_for_each(tmp_path: Path) -> None:
    first = bench_of(tmp_path, "one_hot", source="iris").trained()
    sparse = MODELS.replace('"categorical_crossentropy"', '"sparse_categorical_crossentropy"')
    Path("models.py").write_text(sparse)
    second = bench_of(tmp_path / "other", "one_hot", source="iris").trained()
    for one, other in zip(first.history, second.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["val_metric"] == pytest.approx(other["val_metric"])


def test_an_uncompiled_model_that_ends_in_numbers_is_refused(tmp_path: Path) -> None:
    assert "activation `softmax`" in refused(bench_of(tmp_path, "linear", source="iris"))


def test_a_class_with_a_call_alone_trains_and_is_saved(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "subclass", source="iris")
    assert bench.trained().parameters == 4 * 8 + 8 + 8 * 3 + 3
    made = fit.fit_final(JobRequests(bench.plan).final(), selection_of(bench), bench.plan.paths, 0)
    fit.save_model(made.model, Path("model.keras"), must_be_loadable=True)
    loaded = keras.saving.load_model("model.keras")
    dataset = Dataset.load(bench.plan.paths.data)
    expected = np.stack(made.predictions["prediction"].to_numpy())
    found = loaded.predict(dataset.features[bench.splits.test], verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_class_that_can_not_be_saved_is_refused_on_the_first_trial(tmp_path: Path) -> None:
    said = refused(bench_of(tmp_path, "unstorable", source="iris"))
    assert "Unstorable can't be saved" in said
    assert "get_config" in said
