"""What a configuration asks for is in force, or the trial says why it isn't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from searches import tuned
from studies import load, tiny_study
from workbench import Bench, prepare_bench, start_shard_job

from gridfold.errors import StudyError

MODELS = """
import keras

L = keras.layers


@keras.saving.register_keras_serializable(package="inforce")
class Strange(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.supports_jit = False

    def call(self, x):
        return 2 * x


def strange(hp):
    return keras.Sequential([Strange(name="odd"), L.Dense(3, activation="softmax")])


def own(hp):
    model = keras.Sequential([L.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    return model


def single(hp):
    return keras.Sequential([L.Dense(3, activation="softmax", dtype="float32")])
"""
XLA = {"epochs": 2, "jit_compile": True, "deterministic": False}


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models.py").write_text(MODELS)


def bench(folder: Path, build: str, **training: Any) -> Bench:
    model = {"python": {"build": f"models.py:{build}"}}
    study = tiny_study(model=model, training={"epochs": 2, **training}, search={})
    return prepare_bench(folder / build, study)


def refused(bench: Bench) -> str:
    (failure,) = [e.failure for e in bench.train(bench.work()) if e.failure]
    return failure.reason


@pytest.mark.parametrize("asked", [True, False])
def test_an_xla_program_is_compiled_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """XLA itself writes down each program that it compiles."""
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={tmp_path}/programs --xla_dump_hlo_as_text")
    study = tiny_study(training=XLA | {"jit_compile": asked}, search={})
    plan = prepare_bench(tmp_path, study).plan
    process = start_shard_job(plan, workers=1)
    assert process.wait(timeout=300) == 0
    programs = list((tmp_path / "programs").glob("*"))
    assert bool(programs) == asked
    steps = [f for f in programs if "train_step" in f.name]
    assert bool(steps) == asked, sorted(f.name for f in programs)


def combinations(**search: Any) -> dict[str, Any]:
    return tiny_study(training={"epochs": 2}, search=search)


def test_only_combinations_count_where_there_is_an_axis(tmp_path: Path) -> None:
    jit = {"training.jit_compile": [False, True]}
    both = {**jit, "training.deterministic": [False, True]}
    pair = {"training.jit_compile": True, "training.deterministic": True}
    found = load(tmp_path, combinations(space=both, exclude=[pair])).expansion.configurations
    assert len(found) == 3
    study = combinations(space={"training.deterministic": [False]})
    study["training"]["jit_compile"] = True
    assert len(load(tmp_path, study).expansion.configurations) == 1
    for search in (
        {"space": jit},
        {"space": both},
        {"space": both, "strategy": {"type": "random", "n": 2}},
    ):
        with pytest.raises(StudyError, match="makes Keras train without XLA") as caught:
            load(tmp_path, combinations(**search))
        assert len(caught.value.problems) == 1


def test_a_tuner_never_proposes_the_pair(tmp_path: Path) -> None:
    axes = {"training.jit_compile": [False, True], "training.deterministic": [False, True]}
    with pytest.raises(StudyError, match="makes Keras train without XLA"):
        load(tmp_path, tuned({"tuner": "random"}, axes))
    study = tuned({"tuner": "random"}, axes)
    study["search"]["exclude"] = [dict.fromkeys(axes, True)]
    load(tmp_path, study)


def test_a_layer_without_xla_is_named_on_the_first_trial(tmp_path: Path) -> None:
    assert "these layers with XLA: odd" in refused(bench(tmp_path, "strange", **XLA))


def test_a_model_compiled_for_xla_by_its_function_needs_the_study_to_say_so(
    tmp_path: Path,
) -> None:
    said = refused(bench(tmp_path, "own"))
    assert "the study has training.jit_compile: false" in said
    assert bench(tmp_path / "xla", "own", **XLA).trained().status == "finished"


def test_16_bit_that_no_layer_computes_in_is_refused(tmp_path: Path) -> None:
    said = refused(bench(tmp_path, "single", mixed_precision="bfloat16"))
    assert "training.mixed_precision has no effect" in said
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs)).save("start.keras")
    study = tiny_study(
        model={"saved": {"path": "start.keras"}},
        training={"epochs": 2},
        search={"space": {"training.mixed_precision": [True]}},
    )
    assert "layers of a saved model" in refused(prepare_bench(tmp_path / "saved", study))


COMPILED = """
import keras

L = keras.layers


def own(hp):
    model = keras.Sequential([L.Dense(3, activation="softmax")])
    rate = hp.Float("rate", 0.001, 1.0, default=0.05)
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), "sparse_categorical_crossentropy")
    return model


def scheduled(hp):
    model = keras.Sequential([L.Dense(3, activation="softmax")])
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def absolute(hp):
    model = keras.Sequential([L.Dense(1)])
    model.compile("adam", keras.losses.MeanAbsoluteError())
    return model
"""


@pytest.mark.parametrize(
    ("build", "training", "unmet"),
    [
        ("own", {"learning_rate": 0.01}, "training.learning_rate: 0.01 has no effect"),
        ("own", {"optimizer": "nadam"}, "training.optimizer: nadam has no effect"),
        ("own", {"clipnorm": 1.0}, "training.clipnorm: 1"),
        ("own", {"optimizer": "sgd", "momentum": 0.9}, "training.momentum: 0.9 has no effect"),
        ("own", {"schedule": {"kind": "cosine"}}, "training.schedule has no effect"),
        ("scheduled", {"learning_rate": 0.1}, "training.learning_rate: 0.1 has no effect"),
        (
            "scheduled",
            {"weight_decay": 0.1, "gradient_accumulation_steps": 2},
            "training.weight_decay: 0.1, training.gradient_accumulation_steps: 2 have no effect",
        ),
    ],
)
def test_what_the_own_optimiser_is_not_is_refused(
    tmp_path: Path, build: str, training: dict[str, Any], unmet: str
) -> None:
    Path("models.py").write_text(COMPILED)
    assert unmet in refused(bench(tmp_path, build, **training))


def test_what_the_own_optimiser_is_may_stand_in_the_study(tmp_path: Path) -> None:
    Path("models.py").write_text(COMPILED)
    same = {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.5}
    assert bench(tmp_path, "own", **same).trained().status == "finished"
    assert bench(tmp_path, "scheduled").trained().status == "finished"


@pytest.mark.parametrize(("loss", "is_met"), [("huber", False), ("mae", True)])
def test_a_loss_that_the_function_does_not_use_is_refused(
    tmp_path: Path, loss: str, is_met: bool
) -> None:
    Path("models.py").write_text(COMPILED)
    study = tiny_study(
        data={"source": "diabetes"},
        problem={"type": "regression", "loss": loss},
        model={"python": {"build": "models.py:absolute"}},
        training={"epochs": 1},
        search={},
        resampling={"method": "kfold", "folds": 2},
    )
    found = prepare_bench(tmp_path / loss, study)
    if is_met:
        assert found.trained().status == "finished"
    else:
        assert "problem.loss: huber has no effect" in refused(found)
