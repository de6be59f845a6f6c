"""Training one trial: what it learns, what stops it, what it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import final_state, prepare_bench, stored_predictions, without_times

from gridfold.data.splits import FINAL
from gridfold.training.trial import train_trial


def digits(**training: Any) -> dict[str, Any]:
    return {
        "study": "digits",
        "data": {"source": "digits", "subset": 600, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 32, "dropout": 0.2}},
        "training": {"epochs": 6, "learning_rate": 0.003, **training},
        "resampling": {"method": "stratified", "folds": 3},
    }


PROBLEMS = {
    "regression": (
        {"source": "diabetes", "scale_targets": "standard"},
        {"units": 16, "dropout": 0.1},
        "r2",
        0.3,
    ),
    "multi_output": (
        {"source": "linnerud", "scale_targets": "minmax", "test_fraction": 0.1},
        {"units": 8},
        "mse",
        None,
    ),
    "binary": ({"source": "breast_cancer"}, {"units": 16}, "roc_auc", 0.98),
    "multiclass": ({"source": "wine"}, {"units": 16}, "accuracy", 0.9),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_kind_of_problem_learns_from_real_data(tmp_path: Path, problem: str) -> None:
    data, mlp, measure, at_least = PROBLEMS[problem]
    bench = prepare_bench(
        tmp_path,
        {
            "study": problem,
            "data": data,
            "problem": {"type": problem},
            "model": {"mlp": mlp},
            "training": {"epochs": 30, "learning_rate": 0.01},
            "resampling": {"method": "kfold", "folds": 3},
        },
    )
    result = bench.trained()
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    if at_least is not None:
        assert result.scores[measure] > at_least
    predictions = stored_predictions(bench.work().store, 30)
    assert predictions is not None
    assert len(predictions) == len(bench.splits.by_name["r0f0"].validation)


def test_multi_output_predictions_lie_between_zero_and_one(tmp_path: Path) -> None:
    data, mlp, *_ = PROBLEMS["multi_output"]
    bench = prepare_bench(
        tmp_path,
        {
            "study": "outputs",
            "data": data,
            "problem": {"type": "multi_output"},
            "model": {"mlp": mlp},
            "training": {"epochs": 2},
            "resampling": {"method": "kfold", "folds": 3},
        },
    )
    bench.trained()
    predictions = stored_predictions(bench.work().store, 2)
    assert predictions is not None
    assert predictions.shape[1] == 3
    assert predictions.min() >= 0
    assert predictions.max() <= 1


@pytest.mark.parametrize(
    "model",
    [
        {"mlp": {"layers": 0}},
        {"mlp": {"units": [24, 12], "batch_norm": True, "l2": 1e-4, "activation": "tanh"}},
        {"cnn": {"filters": 4, "dense_units": 0}},
        {
            "cnn": {
                "blocks": 2,
                "convolutions": 2,
                "filters": [4, 8],
                "pooling": "average",
                "batch_norm": True,
                "dense_units": [16, 8],
                "dropout": 0.1,
                "initializer": "he_normal",
            }
        },
        {"cnn": {"filters": 4, "stride": 2, "padding": "valid", "pooling": "none"}},
    ],
)
def test_model_hyperparameters_take_effect_and_learn(tmp_path: Path, model: dict[str, Any]) -> None:
    study = digits(epochs=15, learning_rate=0.01) | {"model": model}
    result = prepare_bench(tmp_path, study).trained()
    assert result.scores["accuracy"] > 0.6


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05},
        {"optimizer": "sgd", "learning_rate": 1.0, "clipnorm": 1.0},
        {"optimizer": "adamw", "weight_decay": 1e-3, "clipnorm": 1.0},
        {"optimizer": "rmsprop"},
        {"optimizer": "nadam", "jit_compile": True, "deterministic": False},
        {"schedule": {"kind": "cosine"}, "warmup_epochs": 1},
        {"mixed_precision": True},
        {"class_weights": "balanced"},
        {"class_weights": {"3": 5.0}},
        {"steps_per_execution": 4, "batch_size": 50},
        {"deterministic": False},
    ],
    ids=lambda options: "-".join(options),
)
def test_training_options_train_to_a_sensible_score(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    result = prepare_bench(tmp_path, digits(**options)).trained()
    assert result.scores["accuracy"] > 0.7


def test_the_same_request_gives_the_same_numbers_bit_for_bit(tmp_path: Path) -> None:
    first, second = (prepare_bench(tmp_path / name, digits()) for name in "ab")
    one, two = first.trained(), second.trained()
    assert without_times(one.history) == without_times(two.history)
    assert one.scores == two.scores
    for a, b in zip(
        final_state(first.work().task.folder, 6),
        final_state(second.work().task.folder, 6),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_steps_per_execution_changes_no_number(tmp_path: Path) -> None:
    auto = prepare_bench(tmp_path / "a", digits()).trained()
    single = prepare_bench(tmp_path / "b", digits(steps_per_execution=1)).trained()
    assert single.scores == auto.scores
    np.testing.assert_allclose(
        [row["loss"] for row in single.history], [row["loss"] for row in auto.history], rtol=1e-5
    )


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    one = prepare_bench(tmp_path / "a", digits()).trained()
    two = prepare_bench(tmp_path / "b", digits(seed=1)).trained()
    assert one.history[0]["loss"] != two.history[0]["loss"]


STATEFUL = {
    "dropout": digits(),
    "momentum": digits(optimizer="sgd", momentum=0.9, learning_rate=0.05),
    "batch norm": digits() | {"model": {"mlp": {"batch_norm": True, "dropout": 0.3}}},
    "schedule": digits(schedule={"kind": "exponential", "rate": 0.7}, warmup_epochs=2),
    "early stopping": digits(early_stopping={"patience": 2, "min_delta": 0.05}),
    "inner part": digits(early_stopping={"patience": 2, "min_delta": 0.05, "on": "inner"}),
    "mixed precision": digits(mixed_precision=True),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_raising_the_epochs_continues_as_if_never_stopped(tmp_path: Path, name: str) -> None:
    study = STATEFUL[name]
    straight = prepare_bench(tmp_path / "straight", study)
    expected = straight.trained()

    shorter = study | {"training": {**study["training"], "epochs": 3}}
    stopped = prepare_bench(tmp_path / "stopped", shorter)
    stopped.trained()
    raised = prepare_bench(tmp_path / "stopped", study)
    result = raised.trained()

    assert [s["first"] for s in result.segments] == [1, 4]
    assert without_times(result.history) == without_times(expected.history)
    assert result.scores == expected.scores
    assert result.best_epoch == expected.best_epoch
    for a, b in zip(
        final_state(raised.work().task.folder, 6),
        final_state(straight.work().task.folder, 6),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_both_answers_are_kept_when_epochs_are_raised_and_lowered(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, digits(epochs=4))
    four = bench.trained()
    lowered = prepare_bench(tmp_path, digits(epochs=2))
    two = lowered.trained()
    store = lowered.work().store
    assert store.result(4) == four
    assert without_times(two.history) == without_times(four.history[:2])


def test_early_stopping_scores_the_best_epoch(tmp_path: Path) -> None:
    study = digits(
        epochs=60,
        learning_rate=0.02,
        early_stopping={"patience": 3, "monitor": "val_metric"},
    )
    result = prepare_bench(tmp_path, study).trained()
    assert result.epochs_trained < 60
    assert result.best_epoch == result.epochs_trained - 3
    best = max(row["val_metric"] for row in result.history)
    assert result.scores["accuracy"] == pytest.approx(best, abs=1e-6)
    assert result.history[result.best_epoch - 1]["val_metric"] == best


def test_stopping_by_an_inner_part_never_sees_the_samples_that_are_scored(tmp_path: Path) -> None:
    study = digits(
        epochs=60,
        learning_rate=0.02,
        class_weights="balanced",
        early_stopping={"patience": 3, "monitor": "accuracy", "on": "inner"},
    )
    bench = prepare_bench(tmp_path / "as it is", study)
    result = bench.trained()
    split = bench.splits.by_name["r0f0"]
    inner = split.parts(study["training"]["early_stopping"])[1]
    # What is followed is the inner part: its steps are one sample of it.
    followed = np.array([row["val_metric"] for row in result.history]) * len(inner)
    np.testing.assert_allclose(followed, np.round(followed), atol=1e-3)
    assert result.best_epoch == int(followed.argmax()) + 1 == result.epochs_trained - 3
    assert (result.n_train, result.n_validation) == (len(split.training), len(split.validation))
    # With other labels on the scored part, the same weights: nothing of it was looked at.
    other = prepare_bench(tmp_path / "other labels", study)
    file = other.plan.paths.array("targets")
    targets = np.load(file)
    targets[split.validation] = np.roll(targets[split.validation], 1)
    np.save(file, targets)
    again = other.trained()
    assert without_times(again.history) == without_times(result.history)
    assert again.scores["accuracy"] < result.scores["accuracy"]
    for one, two in zip(
        final_state(bench.work().task.folder, 60),
        final_state(other.work().task.folder, 60),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", ["kfold", "forward"])
def test_scores_of_several_outputs_are_on_the_scale_that_was_fitted_without_the_inner_part(
    tmp_path: Path, method: str
) -> None:
    bench = prepare_bench(
        tmp_path,
        {
            "study": "outputs",
            "data": {"source": "linnerud", "scale_targets": "minmax", "test_fraction": 0.1},
            "problem": {"type": "multi_output"},
            "model": {"mlp": {"units": 8}},
            "training": {"epochs": 3, "early_stopping": {"on": "inner", "inner_fraction": 0.4}},
            "resampling": {"method": method, "folds": 2},
        },
    )
    result = bench.trained()
    work = bench.work()
    predictions = stored_predictions(work.store, 3)
    assert predictions is not None
    again, _ = train_trial(work.task, lambda row: None, known=(result, predictions))
    assert again.scores == pytest.approx(result.scores)


def test_a_stopped_trial_stays_stopped_when_epochs_are_raised(tmp_path: Path) -> None:
    options: dict[str, Any] = {"learning_rate": 0.02, "early_stopping": {"patience": 2}}
    first = prepare_bench(tmp_path, digits(epochs=60, **options)).trained()
    again = prepare_bench(tmp_path, digits(epochs=80, **options)).trained()
    assert again.epochs_trained == first.epochs_trained < 60
    assert again.scores == first.scores
    assert len(again.segments) == 1


def test_a_diverging_trial_fails_with_its_reason_and_is_not_tried_again(tmp_path: Path) -> None:
    study = digits(optimizer="sgd", learning_rate=1e12, epochs=10)
    study["model"] = {"mlp": {"units": [64, 64], "activation": "relu"}}
    study["problem"] = {"type": "regression"}
    study["data"] = {"source": "diabetes"}
    study["resampling"] = {"method": "kfold", "folds": 3}
    bench = prepare_bench(tmp_path, study)
    work = bench.work()
    (failure,) = [event.failure for event in bench.train(work) if event.failure]
    assert failure.kind == "diverged"
    assert "loss is" in failure.reason
    assert "epoch" in failure.reason
    work.store.fail(work.task.epochs, failure)
    result = bench.work().store.result(10)
    assert result is not None
    assert result.status == "failed"


def test_class_weights_for_an_unknown_class_fail_with_the_known_ones(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, digits(class_weights={"eleven": 2.0}))
    (failure,) = [event.failure for event in bench.train(bench.work()) if event.failure]
    assert "eleven" in failure.reason
    assert "classes: 0, 1, 2" in failure.reason


def test_class_weights_shift_the_predictions(tmp_path: Path) -> None:
    plain = prepare_bench(tmp_path / "a", digits(epochs=3))
    plain.trained()
    heavy = prepare_bench(tmp_path / "b", digits(epochs=3, class_weights={"8": 50.0}))
    heavy.trained()
    chance = [stored_predictions(b.work().store, 3)[:, 8].mean() for b in (plain, heavy)]  # type: ignore[index]
    assert chance[1] > chance[0] + 0.1


MODEL_FUNCTION = """
import keras


def build_model(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for i in range(hp.Int("layers", 1, 3)):
        model.add(keras.layers.Dense(hp.Int(f"units_{i}", 8, 64, step=8), activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def build_for_shape(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hp.Choice("units", [16, 32]), activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


@pytest.mark.parametrize(
    ("function", "hp", "parameters"),
    [
        ("build_model", {"layers": 2, "units_0": 24, "units_1": 16, "learning_rate": 0.01}, 2130),
        ("build_for_shape", {"units": 32}, 2410),
    ],
)
def test_a_keras_tuner_model_function_serves_unchanged(
    tmp_path: Path, function: str, hp: dict[str, Any], parameters: int
) -> None:
    file = tmp_path / "my_model.py"
    file.write_text(MODEL_FUNCTION)
    study = digits(learning_rate=0.01)
    study["model"] = {"python": {"build": f"{file}:{function}", "hp": hp}}
    result = prepare_bench(tmp_path, study).trained()
    assert result.parameters == parameters
    assert result.scores["accuracy"] > 0.8


def test_a_hyperparameter_that_the_function_never_asks_for_fails(tmp_path: Path) -> None:
    file = tmp_path / "my_model.py"
    file.write_text(MODEL_FUNCTION)
    study = digits()
    study["model"] = {"python": {"build": f"{file}:build_model", "hp": {"units_9": 8}}}
    bench = prepare_bench(tmp_path, study)
    (failure,) = [event.failure for event in bench.train(bench.work()) if event.failure]
    assert "never asks hp for units_9" in failure.reason


def test_a_trial_leaves_at_most_five_files(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, digits(early_stopping={"patience": 2}))
    bench.trained()
    assert len(list(bench.work().task.folder.iterdir())) <= 5


def test_the_final_split_trains_on_all_but_the_test_set(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, digits(epochs=2))
    final = bench.splits.by_name[FINAL]
    assert len(final.training) + len(bench.splits.test) == 600
    assert final.validation.size == 0
