"""A study that can't be run is refused before anything runs, and says what to write instead."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import MODEL_FILE, tiny_study, tiny_text, write_study

from gridfold.cli.main import main
from gridfold.errors import Problem, StudyError, format_path
from gridfold.plan.loading import load_study


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL_FILE, encoding="utf-8")
    Path("broken.py").write_text("def build_model(hp:\n", encoding="utf-8")
    Path("latin.py").write_bytes(b"# caf\xe9\ndef build_model(hp): ...\n")
    Path("table.csv").write_text("x,y,when,who,sick\n1,2,3,4,yes\n2,3,4,5,no\n", "utf-8")
    Path("photos/cat").mkdir(parents=True)
    own = "def {}(targets, predictions): ...\n"
    names = ("brier_score", "val_loss", "my_score")
    Path("scores.py").write_text("".join(map(own.format, names)), "utf-8")
    Path("others.py").write_text(own.format("my_score"), "utf-8")
    Path("nul.py").write_bytes(b"a = 1\0\n")


def refusal(text: str | bytes) -> StudyError:
    """Return the error with which `load_study` refuses a study file."""
    file = Path("study.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError) as caught:
        load_study([file])
    return caught.value


def space(axes: str, **others: str) -> dict[str, str]:
    """Return the `search` section with these axes."""
    rest = "".join(f", {key}: {text}" for key, text in others.items())
    return {"search": f"{{space: {{{axes}}}{rest}}}"}


def random(axes: str, n: int) -> dict[str, str]:
    return space(axes, strategy=f"{{type: random, n: {n}}}")


DIABETES = {"data": "{source: diabetes}", "problem": "{type: regression}"}
BOTH = {"data": "{source: digits}", "model": "{mlp: {}, cnn: {}}"}
PYTHON = {"model": '{python: {build: "model.py:build_model"}}'}
NO_SEARCH = {"search": None}
BLOCKED = "{method: blocked}"


def table(data: str, resampling: str | None = None) -> dict[str, str | None]:
    """Return the `data` section of a CSV file with the columns x, y, when and who."""
    sections: dict[str, str | None] = {"data": f"{{source: csv, path: table.csv, {data}}}"}
    return sections | ({"resampling": resampling} if resampling else {})


WIDE = ", ".join(
    f"{axis}: {{range: {{start: 1, stop: 1000}}}}"
    for axis in ("mlp.units", "training.batch_size", "training.seed")
)

# id, sections that differ from the tiny study, key path, part of what was found, part of what is
# allowed.
BAD: list[tuple[str, dict[str, str | None], str, str, str]] = [
    # -- misspelt keys, at every level
    ("key at the top", {"reprot": "{}"}, "reprot", "unknown key", "did you mean `report`"),
    ("key in data", {"data": "{source: iris, subet: 9}"}, "data.subet", "unknown", "`subset`"),
    ("key of another source", {"data": "{source: iris, path: a}"}, "data.path", "unknown", "subs"),
    ("key in problem", {"problem": "{type: multiclass, los: a}"}, "problem.los", "unknown", "loss"),
    ("key in model", {"model": "{mlp: {}, cmn: {}}"}, "model.cmn", "unknown key", "`cnn`"),
    ("layers beyond memory", {"model": "{mlp: {layers: 1000000}}"}, "model.mlp.layers", "1000000",
     "at most 10000"),
    ("units beyond memory", {"search": "{space: {mlp.units: [4, 100000000]}}"},
     'search.space["mlp.units"][1]', "100000000", "at most 10000000"),
    ("weights beyond memory", {"model": "{mlp: {layers: 3, units: 1000000}}", **NO_SEARCH},
     "model.mlp", "2,000,000,000,000 weights", "at most 100,000,000,000"),
    ("filters beyond memory",
     {**BOTH, "model": "{cnn: {blocks: 9, filters: 1000000}}", **NO_SEARCH},
     "model.cnn", "72,000,000,000,000 weights", "at most 100,000,000,000"),
    ("splits beyond memory", {"resampling": "{method: kfold, folds: 1000, repeats: 1000}"},
     "resampling", "1,000,000 splits", "at most 100,000"),
    ("epochs beyond time", {"training": "{epochs: 10000000}"}, "training.epochs", "10000000",
     "at most 1000000"),
    ("workers beyond machines", {"execution": "{workers: 1000000}"}, "execution.workers",
     "1000000", "at most 100000"),
    ("a timeout of nothing", {"execution": "{trial_timeout: 0}"}, "execution.trial_timeout", "0",
     "above 0"),
    ("key in mlp", {"model": "{mlp: {unit: 8}}"}, "model.mlp.unit", "unknown key", "`units`"),
    ("key in cnn", {**BOTH, "model": "{cnn: {filtres: 8}}", **NO_SEARCH}, "model.cnn.filtres",
     "unknown key", "`filters`"),
    ("key in training", {"training": "{epoch: 3}"}, "training.epoch", "unknown", "`epochs`"),
    ("key in schedule", {"training": "{schedule: {kind: cosine, final: 0}}"},
     "training.schedule.final", "unknown key", "allowed: kind, final_fraction"),
    ("key in early_stopping", {"training": "{early_stopping: {patiance: 3}}"},
     "training.early_stopping.patiance", "unknown key", "`patience`"),
    ("key in search", {"search": "{spcae: {}}"}, "search.spcae", "unknown key", "`space`"),
    ("key in strategy", {"search": "{strategy: {type: grid, n: 3}}"}, "search.strategy.n",
     "unknown key", "allowed: type"),
    ("key in axis", space("mlp.units: {gird: [4]}"), 'search.space["mlp.units"].gird',
     "unknown key", "did you mean `grid`"),
    ("key in range", space("mlp.units: {range: {start: 1, stop: 4, steps: 1}}"),
     'search.space["mlp.units"].range.steps', "unknown key", "`step`"),
    ("key in resampling", {"resampling": "{method: kfold, fold: 2}"}, "resampling.fold",
     "unknown key", "`folds`"),
    ("key in execution", {"execution": "{worker: 2}"}, "execution.worker", "unknown", "`workers`"),
    ("key in report", {"report": "{titel: a}"}, "report.titel", "unknown key", "`title`"),
    ("key that YAML 1.1 merges", {"<<": "{study: a}"}, "<<", "unknown key", "allowed: study, data"),
    ("key that is a number", {"1": "a"}, "1", "unknown key", "allowed: study, data"),
    # -- axes that do not exist
    ("axis misspelt", space("mlp.unit: [4]"), 'search.space["mlp.unit"]', "unknown", "`mlp.units`"),
    ("axis without section", space("units: [4]"), "search.space.units", "unknown", "`mlp.units`"),
    ("axis of an unused family", space("cnn.filters: [4]"), 'search.space["cnn.filters"]',
     "unknown key", "allowed: mlp.<name>, training.<name>"),
    ("axis of data", space("data.subset: [40]"), 'search.space["data.subset"]', "unknown", "mlp.<"),
    ("axis with an empty name", space("mlp.: [4]"), 'search.space["mlp."]', "unknown", "mlp.units"),
    ("axis below a value", space("mlp.units.first: [4]"), 'search.space["mlp.units.first"][0]',
     '{"first": 4}', "a whole number, or a list"),
    ("axis misspelt in a nested section", space("training.early_stopping.patiance: [4]"),
     'search.space["training.early_stopping.patiance"]', "unknown key", "`patience`"),
    ("axis of a schedule without a kind", space("training.schedule.rate: [0.5]"), "search.space",
     "training.schedule.kind: missing", "exponential"),
    ("axis without effect", space("training.checkpoint_every: [1, 2]"),
     'search.space["training.checkpoint_every"]', "can't change a result", "under `training`"),
    # -- wrong types
    ("number for text", {"study": "5"}, "study", "5", "allowed: text"),
    ("bad study name", {"study": "My Study"}, "study", '"My Study"', "lower-case letters"),
    ("number for a section", {"data": "5"}, "data", "5", "a mapping with `source: digits |"),
    ("list for a section", {"training": "[1]"}, "training", "[1]", "a mapping"),
    ("nothing for a section", {"training": ""}, "training", "null", "a mapping"),
    ("word for a number", {"training": "{batch_size: big}"}, "training.batch_size", '"big"',
     "a whole number"),
    ("quoted number", {"training": '{epochs: "3"}'}, "training.epochs", '"3"', "a whole number"),
    ("fraction for a whole number", {"training": "{epochs: 2.5}"}, "training.epochs", "2.5",
     "a whole number"),
    ("true for a number", {"training": "{epochs: true}"}, "training.epochs", "true", "a whole"),
    ("YAML 1.1 truth", {"training": "{deterministic: yes}"}, "training.deterministic", '"yes"',
     "true or false"),
    ("word for widths", {"model": "{mlp: {units: wide}}"}, "model.mlp.units", '"wide"',
     "a whole number, or a list"),
    ("word in a list", {"model": "{mlp: {units: [8, wide]}}"}, "model.mlp.units[1]", '"wide"',
     "a whole number"),
    ("word for a nested section", {"training": "{schedule: cosine}"}, "training.schedule",
     '"cosine"', "a mapping with `kind: constant | cosine"),
    ("true for a nested section", {"training": "{early_stopping: true}"},
     "training.early_stopping", "true", "keys: monitor, patience"),
    ("number for an axis", space("mlp.units: 4"), 'search.space["mlp.units"]', "4",
     "a list of values, or a mapping"),
    ("word in an axis", space("mlp.units: [4, wide]"), 'search.space["mlp.units"][1]', '"wide"',
     "a whole number"),
    ("word in a written-out axis", space("mlp.units: {grid: [4, wide]}"),
     'search.space["mlp.units"].grid[1]', '"wide"', "a whole number"),
    ("mapping for exclude", space("mlp.units: [4]", exclude="{mlp.units: 4}"), "search.exclude",
     '{"mlp.units": 4}', "a list"),
    ("flat zip", space("mlp.units: [4]", zip="[mlp.units]"), "search.zip[0]", '"mlp.units"',
     "a list"),
    # -- values that do not exist
    ("model family", {"model": "{transformer: {}}"}, "model.transformer", "unknown", "mlp, cnn"),
    ("no model family", {"model": "{}", **NO_SEARCH}, "model", "no model family", "mlp, cnn"),
    ("data source", {"data": "{source: mnists}"}, "data.source", '"mnists"', "digits, iris"),
    ("problem type", {"problem": "{type: multi}"}, "problem.type", '"multi"', "multiclass"),
    ("optimiser", {"training": "{optimizer: adamm}"}, "training.optimizer", '"adamm"', "adamw"),
    ("schedule", {"training": "{schedule: {kind: linear}}"}, "training.schedule.kind", '"linear"',
     "allowed: constant, cosine"),
    ("strategy", {"search": "{strategy: bayes}"}, "search.strategy", '"bayes"', "grid, random"),
    ("method", {"resampling": "{method: kfolds}"}, "resampling.method", '"kfolds"', "stratified"),
    ("role", space("mlp.units: {grid: [4], role: nuissance}"), 'search.space["mlp.units"].role',
     '"nuissance"', "scientific, nuisance or fixed"),
    ("class weights", {"training": "{class_weights: heavy}"}, "training.class_weights", '"heavy"',
     "none or balanced, or a mapping"),
    ("trials per job", {"execution": "{trials_per_job: many}"}, "execution.trials_per_job",
     '"many"', "auto, split or configuration, or a whole number"),
    ("loss of another problem", {"problem": "{type: multiclass, loss: mse}"}, "problem",
     "`loss: mse` does not fit", "sparse_categorical_crossentropy"),
    # -- what is missing
    ("no study name", {"study": None}, "study", "missing", "required: Name of the study"),
    ("no model", {"model": None}, "model", "missing", "required: The model families"),
    ("no resampling", {"resampling": None}, "resampling", "missing", "required"),
    ("no source", {"data": "{subset: 90}"}, "data.source", "missing", "digits, iris, wine"),
    ("no path", {"data": "{source: npz}"}, "data.path", "missing", "required: The file"),
    ("no n", {"search": "{strategy: random}"}, "search.strategy.n", "missing", "Number of conf"),
    ("no stop", space("mlp.units: {range: {start: 1}}"), 'search.space["mlp.units"].range.stop',
     "missing", "required: Last value"),
    # -- numbers out of range
    ("no epochs", {"training": "{epochs: 0}"}, "training.epochs", "0", "above 0"),
    ("test set of everything", {"data": "{source: iris, test_fraction: 1.0}"},
     "data.test_fraction", "1.0", "below 1"),
    ("one fold", {"resampling": "{method: kfold, folds: 1}"}, "resampling.folds", "1", "least 2"),
    ("negative class weight", {"training": "{class_weights: {setosa: -1}}"},
     "training.class_weights.setosa", "-1", "at least 0"),
    ("negative width in an axis", space("mlp.units: [4, -4]"), 'search.space["mlp.units"][1]', "-4",
     "above 0"),
    ("end of an interval", random("mlp.units: {int: {min: 0, max: 9}}", 3),
     'search.space["mlp.units"].int.min', "0", "above 0"),
    ("values of a linspace", space("mlp.dropout: {linspace: {start: 0, stop: 2, num: 5}}"),
     'search.space["mlp.dropout"].linspace', "1.0", "below 1"),
    ("NaN", {"training": "{learning_rate: .nan}"}, "training.learning_rate", "nan", "finite"),
    ("infinity", {"training": "{learning_rate: .inf}"}, "training.learning_rate", "inf", "finite"),
    ("a number beyond floats", {"training": "{learning_rate: 1e999}"}, "training.learning_rate",
     "inf", "finite"),
    ("NaN in an axis", space("mlp.dropout: [.nan, 0.1]"), 'search.space["mlp.dropout"][0]', "nan",
     "finite numbers"),
    ("NaN in a condition", space("mlp.units: [4]", exclude="[{mlp.units: .nan}]"),
     'search.exclude[0]["mlp.units"]', "nan", "finite numbers"),
    ("NaN for a model function", {"model": '{python: {build: "model.py:build_model", '
     "hp: {width: .nan}}}", **NO_SEARCH}, "model.python.hp.width", "nan", "finite numbers"),
    ("infinite range", space("mlp.units: {range: {start: 1, stop: .inf}}"),
     'search.space["mlp.units"].range.stop', "inf", "finite"),
    ("whole number beyond 64 bits", {"training": f"{{seed: 1{'0' * 19}}}"}, "training.seed",
     "20 digits", "64 bits"),
    ("whole number of 5,000 digits", {"training": f"{{seed: 1{'0' * 5000}}}"}, "training.seed",
     "5001 digits", "64 bits"),
    # -- data-parallel training
    ("TensorFlow's own strategy for several machines",
     {"training": "{distribution: {backend: multiworker, world_size: 2}}"},
     "training.distribution.backend", "keras issue 20585", "`backend: horovod`"),
    ("unknown backend", {"training": "{distribution: {backend: ddp}}"},
     "training.distribution.backend", '"ddp"', "single, mirrored"),
    ("several replicas without a backend", {"training": "{distribution: {world_size: 2}}"},
     "training.distribution", "`world_size: 2` with `backend: single`", "horovod or mirrored"),
    ("no replica", {"training": "{distribution: {world_size: 0}}"},
     "training.distribution.world_size", "0", "above 0"),
    ("compiled replicas",
     {"training": "{jit_compile: true, distribution: {backend: horovod, world_size: 2}}"},
     "training", "`jit_compile: true` with a world size of 2", "jit_compile false"),
    ("compiled epochs of replicas",
     {"training": "{jit_compile: epoch, distribution: {backend: horovod, world_size: 2}}"},
     "training", "`jit_compile: epoch` with a world size of 2", "jit_compile false"),
    ("a part of a compiled epoch", {"training": "{jit_compile: epoch, steps_per_execution: 5}"},
     "training", "`steps_per_execution: 5` with `jit_compile: epoch`", "auto"),
    ("something else than an epoch", {"training": "{jit_compile: step}"},
     "training.jit_compile", '"step"', "epoch"),
    ("a loss of probabilities without them",
     {"data": "{source: linnerud}", "problem":
      "{type: multi_output, loss: binary_crossentropy, output_activation: linear}"},
     "problem", "`output_activation: linear`", "sigmoid, or another loss"),
    ("XLA without what it can't keep", {"training": "{jit_compile: true}"},
     "training.jit_compile", "`deterministic: true`", "deterministic false, or jit_compile false"),
    ("XLA in some combinations",
     space("training.jit_compile: [false, true]"), "search.space",
     "`jit_compile: true` with `deterministic: true`", "deterministic false"),
    ("XLA as a tuner would choose it",
     {"search": "{strategy: {type: keras_tuner, tuner: random}, space: "
                "{training.jit_compile: [false, true]}}"},
     "search.space", "`jit_compile: true` with `deterministic: true`", "deterministic false"),
    ("more replicas than samples in a batch",
     {"training": "{batch_size: 2, distribution: {backend: horovod, world_size: 4}}"},
     "training", "`batch_size: 2` for 4 replicas", "per_replica"),
    ("scaling a rate without a larger batch", {"training":
     "{distribution: {backend: horovod, world_size: 2, learning_rate_scaling: linear}}"},
     "training.distribution", "`learning_rate_scaling: linear` with `batch: global`", "none, or"),
    ("Adasum of three",
     {"training": "{distribution: {backend: horovod, world_size: 3, reduction: adasum}}"},
     "training.distribution", "`reduction: adasum` with `world_size: 3`", "a power of 2"),
    ("Horovod's options for mirrored",
     {"training": "{distribution: {backend: mirrored, world_size: 2, compression: fp16}}"},
     "training.distribution", "with `backend: mirrored`", "or backend horovod"),
    ("accumulation under MirroredStrategy", {"training":
     "{gradient_accumulation_steps: 2, distribution: {backend: mirrored, world_size: 2}}"},
     "training", "`gradient_accumulation_steps: 2` with `backend: mirrored`", "allowed: 1"),
    ("combination of a world size and a backend",
     space("training.distribution.world_size: [1, 2]"), "search.space",
     "`world_size: 2` with `backend: single` (in model=mlp", "horovod or mirrored"),
    # -- options that contradict each other
    ("momentum with adam", {"training": "{momentum: 0.9}"}, "training", "`momentum: 0.9`", "sgd"),
    ("warm-up as long as training", {"training": "{epochs: 3, warmup_epochs: 3}"}, "training",
     "`warmup_epochs: 3`", "fewer warm-up epochs"),
    ("steps out of order", {"training": "{schedule: {kind: step, at: [5, 3]}}"},
     "training.schedule", "[5, 3]", "ascending"),
    ("layers against units", {"model": "{mlp: {layers: 3, units: [8, 4]}}"}, "model.mlp",
     "`layers: 3` contradicts `units: [8, 4]`", "one of the two"),
    ("filters against blocks", {**BOTH, "model": "{cnn: {blocks: 3, filters: [8, 4]}}",
     **NO_SEARCH}, "model.cnn", "`blocks: 3`", "one for each block"),
    ("bad combination of axes", space("training.optimizer: [adam, sgd], training.momentum: [0.9]"),
     "search.space", "`momentum: 0.9` has no effect", "sgd or rmsprop"),
    ("reversed range", space("mlp.units: {range: {start: 9, stop: 1}}"),
     'search.space["mlp.units"].range', "start 9, stop 1", "stop >= start"),
    ("reversed interval", space("mlp.units: {int: {min: 9, max: 1}}"),
     'search.space["mlp.units"].int', "min 9, max 1", "max above min"),
    ("logarithm of zero", random("mlp.l2: {float: {min: 0, max: 1, log: true}}", 3),
     'search.space["mlp.l2"].float', "min 0", "above 0"),
    ("logspace from zero", space("mlp.l2: {logspace: {start: 0, stop: 1, num: 3}}"),
     'search.space["mlp.l2"].logspace', "start 0", "above 0"),
    ("holdout with folds", {"resampling": "{method: holdout, folds: 3}"}, "resampling.folds",
     "unknown key", "validation_fraction"),
    # -- the search space
    ("empty axis", space("mlp.units: []"), 'search.space["mlp.units"]', "[]", "at least 1 value"),
    ("axis without a form", space("mlp.units: {role: nuisance}"), 'search.space["mlp.units"]',
     "forms given: none", "exactly one of grid"),
    ("axis with two forms", space("mlp.units: {grid: [4], choice: [8]}"),
     'search.space["mlp.units"]', "grid and choice", "exactly one"),
    ("fixed axis with two values", space("mlp.units: {grid: [4, 8], role: fixed}"),
     'search.space["mlp.units"]', "2 values", "one value"),
    ("fixed range", space("mlp.units: {range: {start: 4, stop: 6}, role: fixed}"),
     'search.space["mlp.units"].role', "3 values", "one value"),
    ("fixed interval", random("mlp.l2: {float: {min: 0, max: 1}, role: fixed}", 2),
     'search.space["mlp.l2"]', "an interval", "one value"),
    ("interval in a grid", space("mlp.l2: {float: {min: 0, max: 1}}"),
     'search.space["mlp.l2"].float', "a real interval in a grid", "type: random"),
    ("zip of unequal lengths", space("mlp.units: [4, 8], mlp.l2: [0]", zip="[[mlp.units, mlp.l2]]"),
     "search.zip[0]", "mlp.units has 2, mlp.l2 has 1", "equal lengths"),
    ("axis in two zips", space("mlp.units: [4], mlp.l2: [0], mlp.dropout: [0]",
     zip="[[mlp.units, mlp.l2], [mlp.l2, mlp.dropout]]"), "search.zip[1][0]",
     "mlp.l2 stands in two groups", "one group"),
    ("axis twice in a zip", space("mlp.units: [4, 8]", zip="[[mlp.units, mlp.units]]"),
     "search.zip[0][1]", "two groups", "one group"),
    ("zip of one axis", space("mlp.units: [4]", zip="[[mlp.units]]"), "search.zip[0]",
     '["mlp.units"]', "at least 2 values"),
    ("zip of an unknown axis", space("mlp.units: [4, 8]", zip="[[mlp.units, mlp.unit]]"),
     "search.zip[0][1]", "unknown axis `mlp.unit`", "did you mean `mlp.units`"),
    ("zip of an interval", random("mlp.units: [4, 8], mlp.l2: {float: {min: 0, max: 1}}", 2)
     | {"search": "{strategy: {type: random, n: 2}, zip: [[mlp.units, mlp.l2]], "
        "space: {mlp.units: [4, 8], mlp.l2: {float: {min: 0, max: 1}}}}"}, "search.zip[0][1]",
     "mlp.l2 is an interval", "lists"),
    ("zip with different conditions",
     space("mlp.units: {grid: [4, 8], when: {mlp.layers: 2}}, mlp.l2: [0, 1], mlp.layers: [1, 2]",
           zip="[[mlp.units, mlp.l2]]"), "search.zip[0]", "different `when`", "same condition"),
    ("zip across families", BOTH | space("mlp.units: [4, 8], cnn.filters: [4, 8]",
     zip="[[mlp.units, cnn.filters]]"), "search.zip[0]", "cnn, mlp", "one of them"),
    ("when on an unknown axis", space("mlp.units: {grid: [4], when: {mlp.dropuot: 1}}, "
     "mlp.dropout: [0.1]"), 'search.space["mlp.units"].when["mlp.dropuot"]', "unknown key",
     "`mlp.dropout`"),
    ("when on an impossible value", space("mlp.units: {grid: [4], when: {mlp.l2: 1}}, "
     "mlp.l2: [0]"), 'search.space["mlp.units"].when["mlp.l2"]', "1 is no value", "allowed: 0"),
    ("when on an unused model", space("mlp.units: {grid: [4], when: {model: cnn}}"),
     'search.space["mlp.units"].when.model', '"cnn" is no value', '"mlp"'),
    ("when on an interval", random("mlp.units: {grid: [4], when: {mlp.l2: 0.1}}, "
     "mlp.l2: {float: {min: 0, max: 1}}", 1), 'search.space["mlp.units"].when["mlp.l2"]',
     "a condition on an interval", "axes with a list"),
    ("circular when", space("mlp.units: {grid: [4], when: {mlp.l2: 0}}, "
     "mlp.l2: {grid: [0], when: {mlp.units: 4}}"), 'search.space["mlp.units"].when',
     "mlp.units, mlp.l2 wait for each other", "without a circle"),
    ("when on itself", space("mlp.units: {grid: [4], when: {mlp.units: 4}}"),
     'search.space["mlp.units"].when', "wait for each other", "without a circle"),
    ("when that never holds", BOTH | space("mlp.units: {grid: [4], when: {cnn.filters: 8}}, "
     "cnn.filters: [8]"), 'search.space["mlp.units"]', "never active", "leave each axis somewhere"),
    ("exclude on an unknown axis", space("mlp.units: [4]", exclude="[{mlp.unit: 4}]"),
     'search.exclude[0]["mlp.unit"]', "unknown key", "`mlp.units`"),
    ("exclude of an impossible value", space("mlp.units: [4]", exclude="[{mlp.units: 5}]"),
     'search.exclude[0]["mlp.units"]', "5 is no value", "allowed: 4"),
    ("exclude of everything", space("mlp.units: [4]", exclude="[{mlp.units: 4}]"),
     "search.exclude", "nothing is left", "at least one configuration"),
    ("exclude of everything, at random", space("mlp.units: [4]", exclude="[{model: mlp}]",
     strategy="{type: random, n: 1}"), "search.exclude", "nothing is left", "at least one"),
    ("empty exclude", space("mlp.units: [4]", exclude="[{}]"), "search.exclude[0]", "{}", "1 val"),
    ("a thousand million configurations", space(WIDE), "search.space", "up to 1,000,000,000",
     "at most 10,000"),
    ("nearly all of them excluded", space(WIDE, exclude="[{model: mlp}]"), "search.space",
     "nearly all excluded", "at most 200,000 combinations"),
    ("huge range", space("mlp.units: {range: {start: 1, stop: 1000000000}}"),
     'search.space["mlp.units"].range', "1,000,000,000 values", "at most 10,000"),
    ("huge range, at random", random("mlp.units: {range: {start: 1, stop: 1000000000}}", 2),
     'search.space["mlp.units"].range', "1,000,000,000 values", "at most 10,000"),
    ("more draws than configurations", random("mlp.units: [4, 8]", 3), "search.strategy.n",
     "3 configurations from a space of 2", "at most 2"),
    ("more draws than the limit", random("mlp.l2: {float: {min: 0, max: 1}}", 10**9),
     "search.strategy.n", "1,000,000,000 configurations", "at most 10,000"),
    ("limit without limit", {"search": "{max_configurations: 100000000}"},
     "search.max_configurations", "100000000", "at most 1000000"),
    # -- measures, and the positive class
    ("measure of another problem", {"problem": "{type: multiclass, measure: r2}"},
     "problem.measure", '"r2" with `type: multiclass`', "allowed: accuracy, balanced_accuracy"),
    ("measure misspelt", {"problem": "{type: multiclass, measures: [log_loss, cohens_kappa]}"},
     "problem.measures[1]", '"cohens_kappa"', "did you mean `cohen_kappa`"),
    ("measure that is a mean over classes", {"problem": "{type: multiclass, measure: f1}"},
     "problem.measure", "a mean over the classes", "allowed: `f1_macro`, the same numbers"),
    ("area that is a mean over classes", {"problem": "{type: multiclass, measures: [roc_auc]}"},
     "problem.measures[0]", "a mean over the classes", "allowed: `roc_auc_ovr`"),
    ("relative error of outputs in [0, 1]", {"data": "{source: linnerud, scale_targets: minmax}",
     "problem": "{type: multi_output, measures: [mape]}"}, "problem.measures[0]", '"mape"',
     "median_absolute_error"),
    ("own measure in a missing file", {"problem": "{type: multiclass, measures: [no.py:my_score]}"},
     "problem.measures[0]", "no such file: no.py", "a Python file"),
    ("own measure without a function", {"problem":
     "{type: multiclass, measures: [log_loss, model.py:my_score]}"}, "problem.measures[1]",
     "no function `my_score` in model.py", "build_model"),
    ("own measure that does not say which end is good", {"problem":
     "{type: multiclass, measures: [model.py:build_model]}"}, "problem.measures[0]",
     "with the name `build_model`", "`_score`, `_gain` at its end where higher is better"),
    ("own measure with a name of ours", {"problem":
     "{type: multiclass, measures: [scores.py:brier_score]}"}, "problem.measures[0]",
     "with the name `brier_score`", "none of mse"),
    ("own measure with the name of a column", {"problem":
     "{type: multiclass, measures: [scores.py:val_loss]}"}, "problem.measures[0]",
     "with the name `val_loss`", "a name in small letters"),
    ("own measures with one name", {"problem":
     "{type: multiclass, measures: [scores.py:my_score, others.py:my_score]}"},
     "problem.measures[0]", "a second measure with the name `my_score`", "each name once"),
    ("own measure that ranks and is nowhere", {"problem": "{type: multiclass, measure: my_score}"},
     "problem.measure", '"my_score" with `type: multiclass`',
     "or one of your own, with `file.py:my_score` in `problem.measures`"),
    ("own measure misspelt where it ranks", {"problem":
     "{type: multiclass, measure: my_scores, measures: [scores.py:my_score]}"},
     "problem.measure", '"my_scores"', "did you mean `my_score`?"),
    ("early stopping by nothing", {"training": "{early_stopping: {monitor: val_accuracy}}"},
     "training.early_stopping.monitor", '"val_accuracy" with `type: multiclass`',
     "val_loss, val_metric, accuracy"),
    ("early stopping by another problem's measure", {"training":
     "{early_stopping: {monitor: f1}}"}, "training.early_stopping.monitor", "`f1`", "`f1_macro`"),
    ("early stopping on an axis", {"training": "{early_stopping: {}}"}
     | space("training.early_stopping.monitor: [val_loss, r2]"),
     'search.space["training.early_stopping.monitor"][1]', '"r2" with `type: multiclass`',
     "log_loss"),
    ("early stopping on an axis of sections",
     space("training.early_stopping: [null, {monitor: mse}]"),
     'search.space["training.early_stopping"][1].monitor', '"mse"', "log_loss"),
    ("positive of several classes", {"problem": "{type: multiclass, positive: setosa}"},
     "problem.positive", '"setosa" with `type: multiclass`', "of two classes"),
    ("positive class that there is not", {"data": "{source: breast_cancer}", "problem":
     "{type: binary, positive: Malignant}"}, "problem.positive", 'no class "Malignant"',
     'allowed: "malignant", "benign"'),
    ("positive class that a small table lacks", table("targets: [sick], features: [x]")
     | {"problem": "{type: binary, positive: 1}"}, "problem.positive", "no class 1",
     'allowed: "no", "yes"'),
    ("threshold of several classes", {"problem": "{type: multiclass, threshold: 0.3}"},
     "problem.threshold", "0.3 with `type: multiclass`", "only `type: binary`"),
    ("threshold of numbers", DIABETES | {"problem": "{type: regression, threshold: 0.5}"},
     "problem.threshold", "0.5 with `type: regression`", "leave it out"),
    ("threshold of outputs", {"data": "{source: linnerud, scale_targets: minmax}",
     "problem": "{type: multi_output, threshold: 0.5}"}, "problem.threshold",
     "0.5 with `type: multi_output`", "leave it out"),
    ("threshold that all samples pass", {"problem": "{type: binary, threshold: 0}"},
     "problem.threshold", "0", "a number above 0"),
    ("threshold that no sample passes", {"problem": "{type: binary, threshold: 1.0}"},
     "problem.threshold", "1.0", "a number below 1"),
    ("threshold in percent", {"problem": "{type: binary, threshold: 30}"},
     "problem.threshold", "30", "a number below 1"),
    ("threshold as text", {"problem": "{type: binary, threshold: low}"},
     "problem.threshold", '"low"', "number"),
    ("threshold as an axis", space("problem.threshold: [0.3, 0.5]"),
     'search.space["problem.threshold"]', "unknown", "training"),
    # -- sections that do not fit together, and files
    ("regression of classes", {"problem": "{type: regression}"}, "problem.type",
     "`regression` with `data.source: iris`", "allowed: multiclass"),
    ("strata without classes", DIABETES | {"resampling": "{method: stratified}"},
     "resampling.method", "`stratified` with `problem.type: regression`", "kfold"),
    ("group without groups", {"resampling": "{method: group}"}, "resampling.method",
     "`group` without `data.groups`", "name the groups"),
    ("class weights without classes", DIABETES | {"training": "{class_weights: balanced}"},
     "training.class_weights", '"balanced" with', "need classes"),
    ("scaled classes", {"data": "{source: iris, scale_targets: minmax}"}, "data.scale_targets",
     "`minmax` with classes", "none"),
    ("cnn on tabular data", {"model": "{cnn: {}}", **NO_SEARCH}, "model.cnn", "shape [4]",
     "images (height, width, channels)"),
    ("cnn on a table", table("targets: [y]") | {"model": "{cnn: {}}", **NO_SEARCH},
     "model.cnn", "rows of a table", "images (height, width, channels)"),
    ("reshape to another size", {"data": "{source: digits, reshape: [9, 9]}"}, "data.reshape",
     "[9, 9]", "64 values"),
    ("more folds than samples", {"resampling": "{method: kfold, folds: 121}"}, "resampling.folds",
     "121 folds of 120 samples", "at most 120"),
    ("target among the features", {"data": "{source: csv, path: table.csv, targets: [y], "
     "features: [x, y]}"}, "data.features", "`y` is among the features", "one role"),
    ("missing npz", {"data": "{source: npz, path: none.npz}"}, "data.path", "no such file",
     "relative to the working directory"),
    ("file name beyond all limits", {"data": f"{{source: npz, path: {'x' * 5000}}}"}, "data.path",
     "no such file", "a file"),
    ("half a test set", {"data": "{source: npz, path: model.py, test_features: x_test}"}, "data",
     "only one of", "both, or neither"),
    ("missing column", table("targets: [Y]"), "data.targets[0]", 'no column "Y" in table.csv',
     "allowed: x, y, when, who"),
    ("missing weights", table("targets: [y], weight: w"), "data.weight", 'no column "w"', "x, y"),
    ("column in two roles", table("targets: [y], weight: x, time: x"), "data.time",
     "`x` has another role", "each column in one role"),
    ("target as weight", table("targets: [y], weight: y"), "data.weight", "`y` has another role",
     "one role"),
    ("category that is no feature", table("targets: [y], features: [x], categories: [who]"),
     "data.categories[0]", "`who` is not among the features", "allowed: x"),
    ("windows without time", table("targets: [y], sequence: {length: 3}", BLOCKED),
     "data.sequence", "without `data.time`", "the column of time"),
    ("windows of another shape", table("targets: [y], time: when, sequence: {length: 3}, "
     "reshape: [3, 1]", BLOCKED), "data.reshape", "[3, 1] with `data.sequence`", "[3, columns]"),
    ("windows that are shuffled", table("targets: [y], time: when, sequence: {length: 3}"),
     "resampling.method", "windows overlap", "blocked or forward"),
    ("no window at all", table("targets: [y], time: when, sequence: {length: 0}", BLOCKED),
     "data.sequence.length", "0", "a number above 0"),
    ("unknown imputation", table("targets: [y], missing: {numbers: guess}"),
     "data.missing.numbers", '"guess"', "refuse, mean, median, most_frequent or zero"),
    ("missing image folder", {"data": "{source: images, path: pictures}"}, "data.path",
     "no such file or folder", "relative to the working directory"),
    ("numbers from folders of images", {"data": "{source: images, path: photos}",
     "problem": "{type: regression}"}, "problem.type", "folders of images, which are classes",
     "binary or multiclass"),
    ("groups of folders of images", {"data": "{source: images, path: photos, groups: who}",
     "resampling": "{method: group}"}, "data.groups", "with a folder of images", "a CSV file"),
    ("one number as size", {"data": "{source: images, path: photos, size: [28]}"}, "data.size",
     "[28]", "2"),
    ("folder of arrays that is a file", {"data": "{source: npy, path: model.py}"}, "data.path",
     "no such folder", "a folder"),
    ("regression of mnist", {"data": "{source: mnist}", "problem": "{type: regression}"},
     "problem.type", "`regression` with `data.source: mnist`", "multiclass"),
    ("blocks in time, repeated", {"resampling": "{method: blocked, repeats: 3}"},
     "resampling.repeats", "unknown key", "gap"),
    ("turned rows of a table", {"training": "{augmentation: {rotation: 0.1}}"},
     "training.augmentation", "samples of shape [4]", "images"),
    ("flips of rows as an axis", space("training.augmentation.flip: [none, both]"),
     'search.space["training.augmentation.flip"]', "samples of shape [4]", "images"),
    ("more than half a turn", {"data": "{source: digits}", "training":
     "{augmentation: {rotation: 0.6}}"}, "training.augmentation.rotation", "0.6", "at most 0.5"),
    ("unknown flip as an axis", {"data": "{source: digits}",
     **space("training.augmentation.flip: [none, left]")},
     'search.space["training.augmentation.flip"][1]', '"left"', "horizontal"),
    ("missing data function", {"data": '{source: python, function: "model.py:read"}'},
     "data.function", "no function `read`", "build_model"),
    ("reference without a function", {"model": "{python: {build: model.py}}", **NO_SEARCH},
     "model.python.build", '"model.py"', "`file.py:function`"),
    ("missing model file", {"model": '{python: {build: "none.py:build"}}', **NO_SEARCH},
     "model.python.build", "no such file: none.py", "a Python file"),
    ("missing model function", {"model": '{python: {build: "model.py:build"}}', **NO_SEARCH},
     "model.python.build", "no function `build` in model.py", "build_model"),
    ("syntax error in the model file", {"model": '{python: {build: "broken.py:build_model"}}',
     **NO_SEARCH}, "model.python.build", "broken.py, line 1", "valid Python"),
    ("model file that is not UTF-8", {"model": '{python: {build: "latin.py:build_model"}}',
     **NO_SEARCH}, "model.python.build", "latin.py", "valid Python"),
    ("model file with NUL", {"model": '{python: {build: "nul.py:build_model"}}', **NO_SEARCH},
     "model.python.build", "nul.py", "valid Python"),
    ("misspelt axis of a model function", PYTHON | space("python.widht: [4]"),
     'search.space["python.widht"]', "unknown key", "`python.width`"),
    ("misspelt value of a model function", {"model": '{python: {build: "model.py:build_model", '
     "hp: {rat: 0.1}}}", **NO_SEARCH}, "model.python.hp.rat", "unknown key", "`rate`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sections", "path", "found", "allowed"),
    [pytest.param(*case[1:], id=case[0]) for case in BAD],
)
def test_a_mistake_is_named_once_with_key_value_and_remedy(
    sections: dict[str, str | None], path: str, found: str, allowed: str
) -> None:
    problems = refusal(tiny_text(**sections)).problems
    assert [format_path(problem.path) for problem in problems] == [path]
    assert found in problems[0].found
    assert allowed in problems[0].allowed


TEXTS: list[tuple[str, str | bytes, int | None, str, str]] = [
    ("unclosed bracket", "study: [1\n", 2, "not valid YAML", "`key: value` lines"),
    ("two colons", "study: a: b\n", 1, "not valid YAML", "`key: value` lines"),
    ("tab", "data:\n\tsource: iris\n", 2, "a tab in the indentation", "spaces"),
    ("duplicate key", "study: a\ndata: {}\nstudy: b\n", 3, "lines 1 and 3", "each key once"),
    ("duplicate nested key", "data:\n  subset: 3\n  subset: 4\n", 3, "lines 2 and 3", "key once"),
    ("anchor", "study: &name a\n", 1, "anchor or alias `&name`", "write the value out"),
    ("alias", "study: a\ndata: *name\n", 2, "anchor or alias `*name`", "write the value out"),
    ("merge key", "study: a\ndata:\n  <<: *base\n", 3, "alias `*base`", "write the value out"),
    ("Python object", "study: !!python/object/apply:os.system [ls]\n", 1, "YAML tag", "plain"),
    ("explicit type", "study: !!str 5\n", 1, "the YAML tag", "plain values"),
    ("two documents", "study: a\n---\nstudy: b\n", 2, "a second document", "one document"),
    ("empty", "", None, "an empty file", "a mapping"),
    ("comments only", "# later\n", None, "an empty file", "a mapping"),
    ("list", "- study\n- data\n", None, "a list at the top level", "a mapping"),
    ("word", "study\n", None, "a single value at the top level", "a mapping"),
    ("not UTF-8", b"study: a\ntitle: caf\xe9\n", 2, "byte 0xe9 is not UTF-8", "UTF-8 text"),
    ("control character", b"study: a\ntitle: \x07\n", 2, "control character U+0007", "printable"),
    ("half a surrogate pair", 'study: "\\ud800"\n', 1, "surrogate", "whole characters"),
    ("mapping for a key", "? [a, b]\n: c\n", 1, "a key that is a list or mapping", "text keys"),
    ("bottomless nesting", "study: " + "[" * 9999 + "]" * 9999, 1, "nesting", "at most 32 levels"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"), [pytest.param(*case[1:], id=case[0]) for case in TEXTS]
)
def test_yaml_that_can_be_misread_is_refused_with_its_line(
    text: str | bytes, line: int | None, found: str, allowed: str
) -> None:
    problem = refusal(text).problems[0]
    assert problem.line == line
    assert found in problem.found
    assert allowed in problem.allowed


@pytest.mark.parametrize("name", ["missing.yaml", ".", "nul\0", "x" * 5000])
def test_a_file_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(StudyError, match="the path of a") as caught:
        load_study([name])
    assert name in str(caught.value)


def test_all_problems_are_shown_at_once_in_the_order_of_the_file() -> None:
    error = refusal(
        """study: My Study
data:
  source: iris
  subet: 90
problem: {type: regression}
model:
  mlp:
    dropout: 1.5
training:
  learning_rate: .inf
  schedule:
    kind: cosine
    finale: 0
search:
  space:
    mlp.units: {grid: [4], role: main}
resampling: {method: stratified}
execution: {workers: 0}
"""
    )
    assert [(problem.line, format_path(problem.path)) for problem in error.problems] == [
        (1, "study"),
        (4, "data.subet"),
        (8, "model.mlp.dropout"),
        (10, "training.learning_rate"),
        (13, "training.schedule.finale"),
        (16, 'search.space["mlp.units"].role'),
        (17, "resampling.method"),
        (18, "execution.workers"),
    ]
    assert "8 problems; nothing was run" in str(error)


def test_the_space_is_checked_even_when_another_section_is_wrong() -> None:
    error = refusal(tiny_text(report="{titel: a}", search="{space: {mlp.unit: [4]}}"))
    assert [format_path(p.path) for p in error.problems] == [
        'search.space["mlp.unit"]',
        "report.titel",
    ]


def test_a_problem_points_to_the_line_of_its_value() -> None:
    text = tiny_text(
        search="""
  strategy: grid
  space:
    mlp.units:
      - 4
      - wide
      - 8
    mlp.dropout:
      grid:
        - 0.1
        - 1.5
  exclude:
    - mlp.units: 4
    - mlp.units: 5
"""
    )
    assert [(p.line, format_path(p.path)) for p in refusal(text).problems] == [
        (11, 'search.space["mlp.units"][1]'),
        (16, 'search.space["mlp.dropout"].grid[1]'),
        (19, 'search.exclude[1]["mlp.units"]'),
    ]


def test_a_missing_key_points_to_the_line_of_its_section() -> None:
    assert [p.line for p in refusal(tiny_text(data="{subset: 90}")).problems] == [2]


def test_a_message_reads_as_one_line_for_the_mistake_and_one_for_the_remedy() -> None:
    assert str(refusal(tiny_text(training="{epoch: 3}"))).splitlines()[:2] == [
        "study.yaml: 1 problem; nothing was run.",
        "  - line 5: training.epoch: unknown key",
    ]


def test_many_bad_combinations_are_one_problem_with_an_example() -> None:
    error = refusal(
        tiny_text(
            training="{optimizer: sgd}",
            **space("training.optimizer: [adam, sgd], training.momentum: [0.9], mlp.units: [4, 8]"),
        )
    )
    assert [p.found for p in error.problems] == [
        "`momentum: 0.9` has no effect with `optimizer: adam` (in model=mlp, "
        "training.optimizer=adam, training.momentum=0.9, mlp.units=4, and 1 more)"
    ]


def test_a_random_study_is_refused_for_a_bad_combination_that_it_need_not_draw() -> None:
    axes = "training.warmup_epochs: [0, 1, 2, 5]"
    assert "`warmup_epochs: 5`" in str(refusal(tiny_text(**random(axes, 1))))


def test_a_long_value_is_cut_in_the_message() -> None:
    found = refusal(tiny_text(training=f"{{optimizer: {'x' * 500}}}")).problems[0].found
    assert len(found) == 80
    assert found.endswith("...")


def test_a_value_with_line_breaks_stays_on_one_line() -> None:
    assert refusal(tiny_text(training='{optimizer: "a\\nb"}')).problems[0].found == '"a\\nb"'


@pytest.mark.parametrize(("positive", "told"), [("", True), (", positive: no", False)])
def test_which_class_is_positive_is_told(
    positive: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = f"{{type: binary{positive}}}"
    data = table("targets: [sick], features: [x]")
    # Enough of each class for all parts of the data.
    file = next(Path().glob("*.csv"))
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *(rows * 20)]) + "\n")
    Path("study.yaml").write_text(tiny_text(**data, problem=problem))
    assert main(["validate", "study.yaml"]) == 0
    said = "the positive class is yes, the second of no and yes; problem.positive names"
    assert (said in capsys.readouterr().out) == told


def test_a_function_that_asks_for_nothing_takes_no_hyperparameters() -> None:
    Path("plain.py").write_text("def build(hp):\n    return None\n", encoding="utf-8")
    model = '{python: {build: "plain.py:build"}}'
    problem = refusal(tiny_text(model=model, **space("python.width: [4]"))).problems[0]
    assert problem.allowed == 'allowed: none; "plain.py:build" asks `hp` for nothing'


def test_a_later_file_overrides_single_values() -> None:
    base = write_study(Path("base.yaml"), tiny_study())
    Path("more.yaml").write_text("training: {batch_size: 8}\n", encoding="utf-8")
    study = load_study([base, "more.yaml"], {"training": {"seed": 7}}).study
    assert (study.training.epochs, study.training.batch_size, study.training.seed) == (3, 8, 7)


def test_a_mistake_on_the_command_line_is_refused_likewise() -> None:
    base = write_study(Path("base.yaml"), tiny_study())
    with pytest.raises(StudyError) as caught:
        load_study([base], {"training": {"epochs": -1, 7: 8}, "search": {"space": {"mlp.l2": 5}}})
    assert [(p.line, format_path(p.path), p.found) for p in caught.value.problems] == [
        (None, 'search.space["mlp.l2"]', "5"),
        (None, "training.7", "unknown key"),
        (None, "training.epochs", "-1"),
    ]


# -- whatever is written, the answer is a study or a StudyError ------------------------------

RICH: dict[str, Any] = {
    "study": "rich",
    "data": {"source": "digits", "subset": 200, "normalise": "global"},
    "problem": {"type": "multiclass", "measure": "accuracy"},
    "model": {"mlp": {"units": [8, 4]}, "cnn": {"filters": 4, "dense_units": 0}},
    "training": {
        "epochs": 4,
        "optimizer": "sgd",
        "momentum": 0.5,
        "schedule": {"kind": "step", "at": [2, 3]},
        "early_stopping": {"patience": 2},
        "class_weights": {"0": 1.0, "1": 2.0},
    },
    "search": {
        "strategy": {"type": "random", "n": 3, "seed": 1},
        "space": {
            "mlp.units": [[8, 4], [4, 4]],
            "mlp.dropout": {"range": {"start": 0.0, "stop": 0.1, "step": 0.1}},
            "mlp.l2": {"logspace": {"start": 1e-4, "stop": 1e-2, "num": 3}},
            "cnn.filter_size": {"int": {"min": 1, "max": 5, "step": 2}},
            "training.batch_size": {"grid": [16, 32], "when": {"model": "mlp"}},
            "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
        },
        "zip": [["mlp.units", "mlp.dropout"]],
        "exclude": [{"mlp.l2": 1e-4, "mlp.units": [[8, 4]]}],
    },
    "resampling": {"method": "stratified", "folds": 2},
    "execution": {"trials_per_job": 4},
    "report": {"title": "Rich"},
}

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.integers(-3, 70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["mlp.units", "cnn.filters", "training.schedule.kind", "random", "grid", "none", "auto", ""]
    ),
    st.lists(st.one_of(st.integers(-2, 9), st.floats(), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(-2, 9), max_size=3),
    st.sampled_from(
        [
            {"start": 1, "stop": 10**12},
            {"min": 0, "max": 10**9},
            {"float": {"min": -1e308, "max": 1e308}},
            {"logspace": {"start": 5e-324, "stop": 1e308, "num": 4}},
            {"grid": [1, 1.0, True]},
            {"grid": [[4, 4]], "when": {"mlp.l2": [0.0001, 5]}},
            {"kind": "cosine"},
            {"type": "random", "n": 5000},
        ]
    ),
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += _places(value, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    study = copy.deepcopy(RICH)
    for _ in range(draw(st.integers(1, 3))):
        *parents, key = draw(st.sampled_from(_places(study)))
        node: Any = study
        for part in parents:
            node = node[part]
        # A copy, because a later mutation may reach into it.
        value = copy.deepcopy(draw(VALUES))
        action = draw(st.sampled_from(["drop", "replace", "rename", "add"]))
        if action == "replace" or isinstance(node, list):
            node[key] = value
        elif action == "drop":
            del node[key]
        elif action == "rename":
            names = st.one_of(st.text(max_size=8), st.sampled_from(sorted(RICH["search"]["space"])))
            node[draw(names)] = node.pop(key)
        else:
            node[draw(st.sampled_from(["mlp.layers", "layers", "when", "role", "zip"]))] = value
    return study


def test_the_rich_study_is_valid_before_it_is_mutated() -> None:
    assert len(load_study([write_study(Path("rich.yaml"), RICH)]).expansion.configurations) == 3


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(study=mutated())
def test_a_mutated_study_loads_or_is_refused_but_never_breaks(study: dict[str, Any]) -> None:
    file = write_study(Path("mutated.yaml"), study)
    problems: list[Problem] = []
    try:
        assert load_study([file]).expansion.configurations
    except StudyError as error:
        problems = error.problems
        str(error).encode()
    assert all(problem.found and problem.allowed for problem in problems)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.one_of(st.text(), st.binary(), st.text(alphabet="ab:-[]{}&*!?|>'\"%#\n\t ,1.e")))
def test_arbitrary_text_is_refused_but_never_breaks(text: str | bytes) -> None:
    file = Path("noise.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(StudyError):
        load_study([file])


@pytest.mark.parametrize("method", ["kfold", "stratified"])
def test_groups_are_not_silently_separated(tmp_path: Path, method: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x,y,patient\n1,0,a\n2,1,b\n")
    data = {"source": "csv", "path": str(file), "targets": ["y"], "groups": "patient"}
    study = tiny_study(data=data, resampling={"method": method, "folds": 2})
    with pytest.raises(StudyError, match=r"would separate groups\n +allowed: group, strat"):
        load_study([write_study(tmp_path / "study.yaml", study)])


def test_a_measure_that_may_not_have_its_name_is_told_with_a_tuner_too(tmp_path: Path) -> None:
    problem = {"type": "multiclass", "measures": ["model.py:build_model"]}
    search = {
        "strategy": {"type": "keras_tuner", "tuner": "random"},
        "space": {"mlp.units": [4, 8]},
    }
    with pytest.raises(StudyError, match=r"problem\.measures\[0\]: "):
        load_study(
            [write_study(tmp_path / "study.yaml", tiny_study(problem=problem, search=search))]
        )


def test_code_that_imports_different_modules_of_one_name_is_refused(tmp_path: Path) -> None:
    for folder, text in (
        ("models", "def build_model(hp):\n    return sizes.build(hp)\n"),
        ("scores", "def cost_loss(targets, predictions):\n    return sizes.COST\n"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(f"import sizes\n\n\n{text}")
        (tmp_path / folder / "sizes.py").write_text(f"# Of {folder}.\n")
    problem = {"type": "multiclass", "measures": [f"{tmp_path}/scores/own.py:cost_loss"]}
    model = {"python": {"build": f"{tmp_path}/models/own.py:build_model"}}
    study = tiny_study(problem=problem, model=model, search={"strategy": "grid"})
    with pytest.raises(StudyError, match=r"model: `import sizes` means .*/scores/sizes\.py, but"):
        load_study([write_study(tmp_path / "study.yaml", study)])
