"""Models that users bring: backbones, saved models, own loops, several inputs and outputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from finalmodels import save
from recorded import selected
from studies import load, write_study
from workbench import (
    Bench,
    final_state,
    kill_hard,
    prepare_bench,
    start_shard_job,
    stored_predictions,
    wait_for,
    without_times,
)

from gridfold.errors import StudyError
from gridfold.final import fit
from gridfold.final.inference import FinalModel, NotReady
from gridfold.paths import FinalModelPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.loading import load_study
from gridfold.plan.plan import Plan
from gridfold.study.sections.pretrained import Application
from gridfold.training.loading import load_model


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def study(name: str, model: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {
        "study": name,
        "data": {"source": "digits", "subset": 200, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": model,
        "training": {"epochs": 2, "learning_rate": 0.003},
        "resampling": {"method": "stratified", "folds": 2},
        **sections,
    }


def problems(folder: Path, content: dict[str, Any]) -> str:
    with pytest.raises(StudyError) as caught:
        load(folder, content)
    return str(caught.value)


# -- backbones of Keras ---------------------------------------------------------------------------

SMALL = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "image_size": 32}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small backbone, as Keras publishes those of ImageNet."""
    file = tmp_path_factory.mktemp("weights") / "small_notop.weights.h5"
    backbone = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25
    )
    backbone.save_weights(file)
    return file


def test_the_backbones_are_those_that_keras_has() -> None:
    known = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(Application.model_fields["backbone"].annotation.__args__) == known  # type: ignore[union-attr]


def fine_tuned(weights: Path, epochs: int) -> dict[str, Any]:
    model = SMALL | {"weights": str(weights), "frozen_epochs": 1}
    model |= {"fine_tune_learning_rate": 0.0001, "fine_tune_layers": 6, "dropout": 0.1}
    training = {
        "epochs": epochs,
        "checkpoint_every": 1,
        "learning_rate": 0.01,
        "schedule": {"kind": "cosine"},
    }
    return study("tuned", {"application": model}, training=training)


def test_a_backbone_is_frozen_first_then_fine_tuned_and_resumes_exactly(
    tmp_path: Path, weights: Path
) -> None:
    bench = prepare_bench(tmp_path / "a", fine_tuned(weights, 3))
    result = bench.trained()
    rates = [row["learning_rate"] for row in result.history]
    assert rates[0] < 0.01
    assert 0 < rates[1] < 0.0001, "the second phase has a rate and a schedule of its own"
    assert len(result.segments) == 1

    other = prepare_bench(tmp_path / "b", fine_tuned(weights, 3))
    for stop_after in (1, 2):
        killed_after(other, stop_after)
    assert without_times(other.trained().history) == without_times(result.history)
    for one, two in zip(
        final_state(bench.work().task.folder, 3),
        final_state(other.work().task.folder, 3),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def killed_after(bench: Bench, epochs: int) -> None:
    """Kill the training job of a study as soon as one of its trials has so many epochs."""
    folder = bench.work().task.folder
    process = start_shard_job(bench.plan, workers=1)
    try:
        wait_for(lambda: (folder / f"checkpoint-{epochs:05d}.npz").exists(), 180)
    finally:
        kill_hard(process)


def test_frozen_layers_keep_the_weights_of_the_file(tmp_path: Path, weights: Path) -> None:
    model = SMALL | {"weights": str(weights), "frozen_epochs": "all", "dense_units": 4}
    training = {"epochs": 1}
    bench = prepare_bench(tmp_path, study("frozen", {"application": model}, training=training))
    result = bench.trained()
    assert result.parameters == 256 * 4 + 4 + 4 * 10 + 10
    settings = bench.plan.configurations[0].settings
    assert settings["preprocessing"]["normalise"] == "none", "the backbone takes raw pixels"


def test_new_weights_in_the_same_file_are_other_code(tmp_path: Path, weights: Path) -> None:
    file = tmp_path / "w.weights.h5"
    file.write_bytes(weights.read_bytes())
    content = study("digest", {"application": SMALL | {"weights": str(file)}})
    plan = Plan.load([write_study(tmp_path / "s.yaml", content)])
    before = JobRequests(plan).train("s0001")
    file.write_bytes(weights.read_bytes() + b"0")
    os.utime(file, ns=(0, 0))
    assert JobRequests(plan).train("s0001") != before


def test_bad_backbones_are_refused_when_the_study_is_loaded(tmp_path: Path) -> None:
    imagenet = {"application": SMALL | {"weights": "imagenet"}}
    assert "Nothing is downloaded" in problems(tmp_path, study("s", imagenet))
    missing = {"application": SMALL | {"weights": "none.h5"}}
    assert 'no such file: "none.h5"' in problems(tmp_path, study("s", missing))
    random = {"application": SMALL | {"frozen_epochs": 2}}
    assert "random weights would be kept" in problems(tmp_path, study("s", random))
    unknown = {"application": {"backbone": "ResNet51"}}
    assert "model.application.backbone" in problems(tmp_path, study("s", unknown))
    one = {"application": SMALL | {"fine_tune_learning_rate": 0.1}}
    assert "one phase only" in problems(tmp_path, study("s", one))


# -- saved models ---------------------------------------------------------------------------------

LAYERS = """
import keras


class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A saved model with a layer of its own."""
    (tmp_path / "layers.py").write_text(LAYERS)
    scope: dict[str, Any] = {}
    exec(LAYERS, scope)
    inputs = keras.Input((8, 8, 1))
    tensor = keras.layers.Conv2D(2, 3, name="conv_1")(inputs)
    tensor = keras.layers.Flatten()(scope["Twice"]()(tensor))
    outputs = keras.layers.Dense(10, activation="softmax")(tensor)
    keras.Model(inputs, outputs).save(tmp_path / "start.keras")
    return tmp_path / "start.keras"


def test_a_saved_model_is_trained_further_with_frozen_layers(tmp_path: Path, saved: Path) -> None:
    model = {"path": str(saved), "objects": "layers.py", "freeze": ["conv_*"]}
    start = load_model(saved, "layers.py")
    before = [w.numpy() for w in start.get_layer("conv_1").weights]
    content = study("further", {"saved": model | {"frozen_epochs": "all", "head": "new"}})
    bench = prepare_bench(tmp_path, content)
    result = bench.trained()
    assert result.history[1]["loss"] < result.history[0]["loss"]
    variables = final_state(bench.work().task.folder, 2)
    for weight in before:
        assert any(v.shape == weight.shape and (v == weight).all() for v in variables)


def test_a_saved_model_keeps_the_precision_of_its_layers(tmp_path: Path, saved: Path) -> None:
    wanted = study("s", {"saved": {"path": str(saved)}})
    wanted["training"]["mixed_precision"] = "bfloat16"
    assert "no layer of" in problems(tmp_path, wanted)
    inputs = keras.Input((8, 8, 1))
    body = keras.layers.Dense(4, dtype="mixed_bfloat16")(keras.layers.Flatten()(inputs))
    outputs = keras.layers.Dense(10, activation="softmax", dtype="float32")(body)
    keras.Model(inputs, outputs).save(tmp_path / "small.keras")
    wanted["model"]["saved"]["path"] = "small.keras"
    assert load(tmp_path, wanted).study.training.mixed_precision == "bfloat16"


def test_saved_models_that_do_not_fit_are_refused(tmp_path: Path, saved: Path) -> None:
    Path("text.keras").write_text("no archive")
    said = problems(tmp_path, study("s", {"saved": {"path": "text.keras"}}))
    assert "is not in Keras' format" in said
    said = problems(tmp_path, study("s", {"saved": {"path": str(saved), "freeze": ["a"]}}))
    assert "allowed: both, or neither" in said
    axis = {"space": {"saved.path": [str(saved)]}}
    said = problems(tmp_path, study("s", {"saved": {"path": str(saved)}}, search=axis))
    assert "allowed: one file, in the section `model`" in said
    model = {"path": str(saved), "objects": "layers.py", "freeze": ["none*"], "frozen_epochs": 1}
    events = prepare_bench(tmp_path, study("layers", {"saved": model}))
    (failure,) = [e.failure for e in events.train(events.work()) if e.failure]
    assert "no layer is called `none*`" in failure.reason
    assert "conv_1" in failure.reason


# -- the user's own loop --------------------------------------------------------------------------

LOOP = """
import os
import keras
import numpy as np


def train(trial):
    x, y = trial.training_data
    keras.utils.set_random_seed(trial.seed)
    inputs = keras.Input(trial.input_shape)
    hidden = keras.layers.Dense(trial.hp.Int("units", 4, 64), activation="relu")
    outputs = keras.layers.Dense(trial.outputs, activation="softmax")
    model = keras.Model(inputs, outputs(hidden(keras.layers.Flatten()(inputs))))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    file = trial.folder / "mine.weights.h5"
    if file.exists():
        model.load_weights(file)
    for epoch in range(len(trial.history) + 1, trial.epochs + 1):
        order = np.random.default_rng([trial.seed, epoch]).permutation(len(x))
        for start in range(0, len(x), 32):
            rows = order[start : start + 32]
            model.train_on_batch(x[rows], y[rows])
        model.save_weights(file)
        val_loss = np.nan
        if trial.validation_data is not None:
            val_loss = model.evaluate(*trial.validation_data, verbose=0)
        trial.report(epoch, loss=model.evaluate(x, y, verbose=0), val_loss=val_loss)
        if epoch == 2 and os.path.exists("die"):
            os._exit(9)
    return model
"""


@pytest.fixture
def loop(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "loop.py").write_text(LOOP)
    return study("loop", {"custom": {"train": "loop.py:train", "hp": {"units": 8}}})


def test_any_loop_trains_dies_and_goes_on(tmp_path: Path, loop: dict[str, Any]) -> None:
    loop["training"]["epochs"] = 3
    whole = prepare_bench(tmp_path / "whole", loop)
    expected = whole.trained()
    assert expected.scores["accuracy"] > 0.2
    assert [row["epoch"] for row in expected.history] == [1, 2, 3]

    bench = prepare_bench(tmp_path / "torn", loop)
    work = bench.work()
    Path("die").touch()
    (failed,) = [event.failure for event in bench.train(work) if event.failure]
    assert failed.kind == "killed"
    Path("die").unlink()
    result = bench.trained()
    assert len(result.segments) == 2
    assert without_times(result.history) == without_times(expected.history)
    np.testing.assert_array_equal(
        stored_predictions(bench.work().store, 3), stored_predictions(whole.work().store, 3)
    )


def test_a_loop_may_be_searched_and_must_keep_the_contract(
    tmp_path: Path, loop: dict[str, Any]
) -> None:
    loop["search"] = {"space": {"custom.units": [4, 8]}}
    del loop["model"]["custom"]["hp"]
    assert [c.axes["custom.units"] for c in load(tmp_path, loop).expansion.configurations] == [4, 8]
    loop["search"] = {"space": {"custom.unit": [4, 8]}}
    assert "did you mean `custom.units`?" in problems(tmp_path, loop)
    loop["search"] = {}
    loop["training"]["early_stopping"] = {}
    assert "whose function trains by itself" in problems(tmp_path, loop)
    del loop["training"]["early_stopping"]
    for wrong, said in (
        ("return None", "returned NoneType, not a keras.Model"),
        ("return keras.Sequential([keras.layers.Flatten()])", "never called trial.report"),
        ("trial.report(1, loss=float('nan'))", "loss is nan in epoch 1"),
        (
            "trial.report(1, 0.1)\n    return keras.Sequential([keras.layers.Flatten()])",
            "10 outputs are needed",
        ),
    ):
        Path("loop.py").write_text(f"import keras\n\n\ndef train(trial):\n    {wrong}\n")
        bench = prepare_bench(tmp_path / str(len(said)), loop)
        (failure,) = [e.failure for e in bench.train(bench.work()) if e.failure]
        assert said in failure.reason


# -- several inputs and outputs, own losses --------------------------------------------------------

MODELS = """
import keras


class Scaled(keras.layers.Layer):
    def call(self, x):
        return 3 * x


@keras.saving.register_keras_serializable(package="mine")
def my_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def two_inputs(hp, input_shape, outputs):
    size, rest = keras.Input((2,), name="size"), keras.Input((1,), name="rest")
    both = keras.layers.Concatenate()([Scaled()(size), rest])
    hidden = keras.layers.Dense(8, activation="relu")(both)
    return keras.Model(
        {"size": size, "rest": rest},
        {f"out_{i}": keras.layers.Dense(1)(hidden) for i in range(outputs)},
    )


def compiled(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    model = keras.Model(inputs, keras.layers.Dense(outputs)(Scaled()(inputs)))
    model.compile(keras.optimizers.SGD(0.5), my_loss)
    return model
"""


def exercise(build: str, **model: Any) -> dict[str, Any]:
    content = study("exercise", {"python": {"build": f"models.py:{build}", **model}})
    content["data"] = {"source": "linnerud", "scale_targets": "standard", "test_fraction": 0.2}
    content["problem"] = {"type": "regression"}
    content["resampling"] = {"method": "kfold", "folds": 2}
    return content


def test_several_inputs_and_outputs_are_one_model_to_a_study(tmp_path: Path) -> None:
    Path("models.py").write_text(MODELS)
    content = exercise("two_inputs", inputs={"rest": "0:1", "size": "1:3"})
    bench = prepare_bench(tmp_path, content)
    result = bench.trained()
    assert result.parameters == 3 * 8 + 8 + 3 * (8 + 1)
    predictions = stored_predictions(bench.work().store, 2)
    assert predictions is not None
    assert predictions.shape[1] == 3
    content = exercise("two_inputs", inputs={"rest": ["a"], "size": "1:3"})
    bench = prepare_bench(tmp_path, content)
    (failure,) = [e.failure for e in bench.train(bench.work()) if e.failure]
    assert "model.python.inputs.rest: no column a" in failure.reason


def test_the_inputs_of_a_table_are_named_by_its_columns(tmp_path: Path) -> None:
    Path("models.py").write_text(MODELS.replace("(2,)", "(3,)"))
    rows = "".join(f"{i},{'ab'[i % 2]},{i * i},{i % 3}\n" for i in range(40))
    Path("table.csv").write_text(f"age,kind,income,score\n{rows}")
    content = exercise("two_inputs", inputs={"size": ["kind", "age"], "rest": ["income"]})
    content["data"] = {"source": "csv", "path": "table.csv", "targets": ["score"]}
    result = prepare_bench(tmp_path, content).trained()
    assert result.parameters == 4 * 8 + 8 + 9


def test_a_compiled_model_keeps_its_own_loss_and_optimiser(tmp_path: Path) -> None:
    Path("models.py").write_text(MODELS)
    # A learning rate of the study would have no effect, and is refused.
    bench = prepare_bench(tmp_path, exercise("compiled") | {"training": {"epochs": 2}})
    result = bench.trained()
    assert {row["learning_rate"] for row in result.history} == {0.5}
    # The mean absolute error is both its loss and what gridfold follows.
    assert result.history[-1]["loss"] == pytest.approx(result.history[-1]["metric"], rel=1e-5)


def final_of(bench: Bench, folder: Path) -> None:
    """Train the final model, and save it in `folder`."""
    (configuration,) = bench.plan.configurations
    selection = selected(configuration.id, "own", final_epochs=2)
    result = fit.fit_final(JobRequests(bench.plan).final(), selection, bench.plan.paths, 0)
    save(result, FinalModelPaths(folder))


@pytest.mark.parametrize("kind", ["several inputs", "own loop"])
def test_final_models_of_ones_own_predict_in_another_process(
    tmp_path: Path, loop: dict[str, Any], kind: str
) -> None:
    Path("models.py").write_text(MODELS)
    content = loop
    if kind == "several inputs":
        content = exercise("two_inputs", inputs={"rest": "0:1", "size": "1:3"})
    bench = prepare_bench(tmp_path, content)
    final_of(bench, tmp_path / "final")
    np.save("raw.npy", np.load(bench.plan.paths.data / "features.npy"))
    program = Path(sys.executable).parent / "gridfold"
    answer = subprocess.run(
        [program, "predict", "final", "raw.npy"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    header = answer.stdout.splitlines()[0]
    expected = "prediction,p(0)" if kind == "own loop" else "Weight,Waist,Pulse"
    assert header.startswith(expected)
    if kind == "several inputs":
        assert answer.stderr == ""
        Path("models.py").write_text(MODELS + "\n\nEDITED = True\n")
        edited = subprocess.run(
            [program, "predict", "final", "raw.npy"], capture_output=True, text=True, check=False
        )
        assert edited.stdout == answer.stdout
        assert "models.py has changed since the model was trained" in edited.stderr
        card = Path("final/card.md").read_text()
        code = card.partition("```python")[2].partition("```")[0]
        shutil.copy("models.py", "final")
        Path("final/shown.py").write_text(
            f"import numpy as np\n\nsamples = np.load('../raw.npy')\n{code}"
        )
        subprocess.run([sys.executable, "shown.py"], cwd="final", check=True)
        Path("models.py").unlink()
        answer = subprocess.run(
            [program, "predict", "final", "raw.npy"], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 1
        assert "the model's own code is missing: models.py;" in answer.stderr
        assert "Traceback" not in answer.stderr


UNSAVABLE = """
import keras


class Residual(keras.Model):
    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = keras.layers.Dense(width), keras.layers.Dense(1)

    def call(self, x):
        return x + self.outer(self.inner(x))


def build(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(outputs)(Residual(4)(inputs)))
"""


def test_a_model_that_can_not_be_saved_and_need_not_be_leaves_a_note(tmp_path: Path) -> None:
    Path("models.py").write_text(UNSAVABLE)
    content = exercise("build") | {"final": {"loadable": False}}
    bench = prepare_bench(tmp_path, content)
    assert not [e.failure for e in bench.train(bench.work()) if e.failure]
    final_of(bench, tmp_path / "final")
    assert json.loads(Path("final/card.json").read_text())["test"]["score"] is not None
    np.save("raw.npy", np.load(bench.plan.paths.data / "features.npy"))
    model = FinalModel.load(Path("final"))
    with pytest.raises(NotReady, match=r"model.keras: The model can't be saved: NotImplementedEr"):
        model.predict(Path("raw.npy"))
    refused = prepare_bench(tmp_path / "refused", exercise("build"))
    (failure,) = [e.failure for e in refused.train(refused.work()) if e.failure]
    assert "or is a keras.Model, a get_config" in failure.reason


def test_new_families_leave_the_ids_of_the_others_alone() -> None:
    # As before they existed.
    Path("model.py").write_text("def build(hp):\n    hp.Int('units', 1, 9)\n")
    content = study("ids", {"mlp": {}, "python": {"build": "model.py:build", "hp": {"units": 2}}})
    file = write_study(Path("ids.yaml"), content)
    settings = [c.settings for c in load_study([file]).expansion.configurations]
    assert set(settings[1]["model"]) == {"family", "build", "hp"}
    assert json.dumps(settings).count("frozen") == 0
