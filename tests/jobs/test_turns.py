"""Trials that take turns in a process train what they would have trained in one of their own."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import daily
import numpy as np
import pytest
from workbench import (
    Bench,
    final_state,
    prepare_bench,
    shared_forks,
    stored_predictions,
    without_times,
)

from gridfold.jobs import pool
from gridfold.store.trials import TrialTask
from gridfold.training import turns as shared
from gridfold.training.devices import Devices
from gridfold.training.loop import TrainingLoop
from gridfold.training.trial import train_trial
from gridfold.training.turns import Turns

RATES = [0.01, 0.003]
DIGITS: dict[str, Any] = {
    "data": {"source": "digits", "subset": 150, "normalise": "global"},
    "problem": {"type": "multiclass"},
}
SMALL = {"mlp": {"units": 8}}
STUDIES: dict[str, dict[str, Any]] = {
    "dropout, batch norm, l2": {
        "model": {"mlp": {"units": 8, "dropout": 0.3, "batch_norm": True, "l2": 0.01}}
    },
    "adamw": {"training": {"optimizer": "adamw", "weight_decay": 0.1, "clipnorm": 0.5}},
    "cosine": {
        "training": {"optimizer": "sgd", "warmup_epochs": 1, "schedule": {"kind": "cosine"}}
    },
    "rmsprop": {
        "training": {"optimizer": "rmsprop", "schedule": {"kind": "exponential", "rate": 0.8}}
    },
    "float16, class weights": {
        "training": {"mixed_precision": "float16", "class_weights": "balanced"}
    },
    "early stopping": {
        "training": {"epochs": 6, "early_stopping": {"monitor": "accuracy", "patience": 1}}
    },
    "accumulated": {"training": {"optimizer": "nadam", "gradient_accumulation_steps": 2}},
    "augmented": {
        "model": {"cnn": {"filters": 2, "blocks": 1, "batch_norm": True, "dense_units": 4}},
        "training": {"augmentation": {"rotation": 0.1, "flip": "horizontal"}},
    },
    "read from disk": {"execution": {"in_memory_mb": 0}},
    "compiled": {"training": {"jit_compile": True, "deterministic": False}},
    "compiled epochs": {
        "model": {"mlp": {"units": 8, "dropout": 0.3, "batch_norm": True, "l2": 0.01}},
        "training": {"jit_compile": "epoch"},
    },
    "compiled epochs, bfloat16, weights": {
        "training": {
            "jit_compile": "epoch",
            "mixed_precision": "bfloat16",
            "class_weights": "balanced",
            "gradient_accumulation_steps": 2,
        }
    },
    "regression": {
        "data": {"source": "diabetes", "normalise": "standard", "scale_targets": "standard"},
        "problem": {"type": "regression"},
    },
    "several outputs": {
        "data": {"source": "linnerud", "scale_targets": "minmax"},
        "problem": {"type": "multi_output"},
    },
    "binary": {
        "data": {"source": "breast_cancer", "normalise": "standard"},
        "problem": {"type": "binary"},
    },
}

# Kinds that are tried, each day others; `TURNS=all pytest ...` tries all.
A_DAY = 4
ASKED = os.environ.get("TURNS") or daily.day()


def bench_of(folder: Path, changes: dict[str, Any], rates: list[float] = RATES) -> Bench:
    study = {"study": "turns", **DIGITS, "model": SMALL, **changes}
    study["training"] = {"epochs": 2, "batch_size": 16, **changes.get("training", {})}
    study["search"] = {"space": {"training.learning_rate": rates}}
    method = "kfold" if study["problem"]["type"] in ("regression", "multi_output") else "stratified"
    # Parts of unequal size, so that the number of samples changes from one trial to the next.
    study["resampling"] = {"method": method, "folds": 4}
    return prepare_bench(folder, study)


def turns_here() -> Turns:
    """Return turns with the devices that this process has: other tests may have set them up."""
    return Turns(Devices())


def trained(task: TrialTask, turns: Turns) -> tuple[Any, ...]:
    """Train and return all numbers that come of it."""
    result, predictions = train_trial(task, lambda row: None, turns)
    state = [array.tobytes() for array in final_state(task.folder, task.epochs)]
    return predictions.tobytes(), result.scores, without_times(result.history), state


def elsewhere(task: TrialTask, folder: Path) -> TrialTask:
    folder.mkdir()
    return replace(task, folder=folder)


# Not by name: two processes of one run of the tests might begin on different days.
@pytest.mark.parametrize("place", range(len(STUDIES) if ASKED == "all" else A_DAY))
def test_a_trial_with_the_graphs_of_another_is_that_of_a_process_of_its_own(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = random.Random(ASKED).sample([*STUDIES], len(STUDIES))[place]
    print(f"{kind}; once more: TURNS={ASKED} pytest {Path(__file__).name}")
    bench = bench_of(tmp_path, STUDIES[kind])
    loops: list[TrainingLoop] = []

    class Loop(TrainingLoop):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            loops.append(self)

    monkeypatch.setattr(shared, "TrainingLoop", Loop)
    # A rate that is a number is a variable, in schedules it is a part of the graph.
    position = 0 if kind in ("cosine", "rmsprop") else 1
    first, second = bench.work(0, "r0f0").task, bench.work(position, "r0f3").task
    turns = turns_here()
    trained(first, turns)
    together = trained(second, turns)
    assert len(loops) == 1, "the second trial made graphs of its own"
    assert together == trained(elsewhere(second, tmp_path / "alone"), turns_here())


@pytest.mark.parametrize("jit_compile", [False, "epoch"])
def test_a_trial_goes_on_from_its_checkpoint_with_the_graphs_of_another(
    jit_compile: bool | str, tmp_path: Path
) -> None:
    training = {"jit_compile": jit_compile}
    model = {"mlp": {"units": 8, "dropout": 0.3}}
    bench = bench_of(tmp_path, {"model": model, "training": training})
    task = bench.work(1, "r0f1").task
    whole = trained(elsewhere(task, tmp_path / "whole"), turns_here())
    trained(replace(task, epochs=1), turns_here())
    turns = turns_here()
    trained(bench.work(0, "r0f0").task, turns)
    assert trained(task, turns) == whole


@pytest.mark.parametrize(
    "changes", [{"mlp.dropout": [0.1, 0.2]}, {"training.batch_size": [16, 8]}], ids=str
)
def test_a_trial_with_other_graphs_makes_its_own(changes: dict[str, Any], tmp_path: Path) -> None:
    study = {"study": "turns", **DIGITS, "model": SMALL, "search": {"space": changes}}
    study |= {"training": {"epochs": 1}, "resampling": {"method": "stratified", "folds": 4}}
    bench = prepare_bench(tmp_path, study)
    first, second = bench.work(0).task, bench.work(1).task
    turns = turns_here()
    trained(first, turns)
    assert trained(second, turns) == trained(elsewhere(second, tmp_path / "alone"), turns_here())


def test_trials_before_and_after_tensorflow_forgets_are_those_of_processes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(tmp_path, {"model": {"mlp": {"units": 8, "dropout": 0.3}}})
    tasks = [bench.work(p, f"r0f{fold}").task for p in (0, 1) for fold in range(3)]
    alone = [trained(elsewhere(t, tmp_path / str(i)), turns_here()) for i, t in enumerate(tasks)]
    monkeypatch.setattr(shared, "_CLEARED_AFTER", 2)
    turns = turns_here()
    assert [trained(task, turns) for task in tasks] == alone


def all_works(bench: Bench) -> list[pool.Work]:
    return [
        bench.work(p, f"r0f{f}") for p in range(len(bench.plan.configurations)) for f in range(4)
    ]


def processes(events: list[pool.Event]) -> set[int | None]:
    return {event.elsewhere for event in events if event.kind == "started"}


def predictions(works: list[pool.Work]) -> list[bytes]:
    return [stored_predictions(work.store, work.task.epochs).tobytes() for work in works]


def test_trials_of_a_pool_take_turns_unless_the_study_forbids_it(tmp_path: Path) -> None:
    shares, alone = (
        bench_of(tmp_path / name, {"execution": {"share_process": value}})
        for name, value in (("shares", None), ("alone", False))
    )
    events = shares.train(*all_works(shares), workers=2)
    assert len(processes(events)) == 2
    assert len(processes(alone.train(*all_works(alone), workers=2))) == 8
    assert predictions(all_works(shares)) == predictions(all_works(alone))


def test_trials_that_can_take_turns_follow_each_other(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {"training": {"epochs": 1}})
    a, b = (bench.work(0, f"r0f{fold}") for fold in (0, 1))
    c, d = (
        replace(w, task=replace(w.task, threshold=0.4))
        for w in (bench.work(1), bench.work(0, "r0f2"))
    )
    events = bench.train(a, c, b, d, workers=1)
    assert [event.work for event in events if event.kind == "finished"] == [a, b, c, d]
    assert len(processes(events)) == 2


def test_what_ends_one_trial_ends_no_other(tmp_path: Path) -> None:
    # With the first rate trials diverge; then one is killed in the middle of its process' turns.
    bench = bench_of(tmp_path, {"training": {"optimizer": "sgd"}}, [1e30, 0.01])
    events: list[pool.Event] = []
    seen: set[int] = set()
    killed: list[int] = []

    def hear(event: pool.Event) -> None:
        events.append(event)
        if event.kind == "started" and event.elsewhere is not None:
            if event.elsewhere in seen and not killed:
                killed.append(event.elsewhere)
                os.kill(event.elsewhere, signal.SIGKILL)
            seen.add(event.elsewhere)

    works = all_works(bench)
    with shared_forks():
        pool.run(works, 1, hear)
    failed = [event for event in events if event.kind == "failed"]
    kinds = [event.failure.kind for event in failed if event.failure]
    assert kinds == ["diverged"] * 4 + ["killed"], [event.failure for event in failed]
    finished = [event.work for event in events if event.kind == "finished"]
    assert len(finished) == 3
    # Each that diverged had a process of its own, and so has what comes after the killed one.
    assert len(processes(events)) == 4 + 2
    own = {"training": {"optimizer": "sgd"}, "execution": {"share_process": False}}
    alone = all_works(bench_of(tmp_path / "alone", own, [0.01]))
    with shared_forks():
        pool.run(alone, 2, lambda event: None)
    expected = {
        (w.task.config_id, w.task.split): stored_predictions(w.store, w.task.epochs) for w in alone
    }
    for work in finished:
        found = stored_predictions(work.store, work.task.epochs)
        np.testing.assert_array_equal(found, expected[work.task.config_id, work.task.split])


OWN_MODEL = """
import os
import keras

built = []

def build_model(hp):
    built.append(os.getpid())
    # It finds what the process has trained before only if that is kept.
    assert len(built) == 1
    width = hp.Choice("width", [4, 6])
    layers = [keras.layers.Flatten(), keras.layers.Dense(width, "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
"""


def test_models_of_own_code_take_turns_only_if_the_study_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for value in (None, True):
        folder = tmp_path / str(value)
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / "model.py").write_text(OWN_MODEL)
        study = {
            **{"study": "turns", **DIGITS, "model": {"python": {"build": "model.py:build_model"}}},
            "training": {"epochs": 2},
            "search": {"space": {"python.width": [4]}},
            "resampling": {"method": "stratified", "folds": 4},
            "execution": {"share_process": value},
        }
        bench = prepare_bench(folder, study)
        works = [bench.work(0, f"r0f{fold}") for fold in range(4)]
        events = bench.train(*works, workers=1)
        failures = [event.failure for event in events if event.failure]
        assert not failures, [failure and failure.detail for failure in failures]
        found.append((len(processes(events)), predictions(works)))
    (alone, expected), (together, same) = found
    # On the first split, a model must prove that it can be loaded; it is not trained again.
    assert (alone, together) == (4, 2)
    assert same == expected
