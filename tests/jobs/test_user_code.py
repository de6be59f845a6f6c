"""What users' code does to its process hurts no other trial, and no job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from workbench import Bench, prepare_bench, shared_forks, wait_for

from gridfold import advice
from gridfold.jobs import pool, ranks
from gridfold.jobs.printed import MOST_PRINTED
from gridfold.jobs.ranks import AUTO, Launch
from gridfold.store.trials import TrialResult

MODELS = """
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import keras
import tensorflow as tf

import beside


def chdir():
    os.chdir("/")


def print_a_lot():
    for _ in range(100):
        print("x" * 2**20, flush=True)
    print("the last line")


def leave_a_thread():
    threading.Thread(target=time.sleep, args=(100_000,)).start()


def leave_children():
    for command in (["sleep", "100000"], ["sh", "-c", "yes"]):
        child = subprocess.Popen(command)
        with open("children", "a") as stream:
            print(child.pid, file=stream)


def close_outputs():
    os.close(1)
    os.close(2)


def change_settings():
    # As far as the trial that does it can bear.
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.1)
    tf.config.run_functions_eagerly(True)
    tf.random.set_seed(17)
    os.environ["TZ"] = "UTC-7"
    sys.path.insert(0, "/nowhere")
    sys.setrecursionlimit(5000)
    logging.disable(logging.CRITICAL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    beside.changed = True


def exit_politely():
    sys.exit()


def exit_at_once():
    os._exit(0)


def interrupt():
    raise KeyboardInterrupt


def end_generator():
    raise GeneratorExit


def never_end():
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def nothing():
    assert not beside.changed
    assert keras.config.epsilon() == 1e-7
    assert "TZ" not in os.environ or os.environ["TZ"] != "UTC-7"
    assert "/nowhere" not in sys.path
    assert sys.getrecursionlimit() < 5000
    assert logging.root.isEnabledFor(logging.ERROR)
    assert not tf.config.functions_run_eagerly()
    assert os.path.exists("own.py")


def build_model(hp, input_shape, outputs):
    globals()[hp.Choice("does", ["nothing"])]()
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""
HARMLESS = (
    "chdir",
    "print_a_lot",
    "leave_a_thread",
    "leave_children",
    "close_outputs",
    "change_settings",
)
FAILING = {
    "exit_politely": ("error", "SystemExit", advice.OWN_EXIT),
    "exit_at_once": ("killed", "ended without a word, exit code 0", advice.SILENT_EXIT),
    "interrupt": ("error", "KeyboardInterrupt", advice.OWN_EXIT),
    "end_generator": ("error", "GeneratorExit", advice.OWN_EXIT),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with models; studies and results are named from there, as users do."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(MODELS)
    Path("beside.py").write_text("changed = False\n")
    yield tmp_path
    # Whatever else fails, nothing stays.
    for number in children():
        if psutil.pid_exists(number):
            psutil.Process(number).kill()


def children() -> list[int]:
    file = Path("children")
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def bench_of(*does: str, **training: Any) -> Bench:
    study = {
        "study": "own",
        "data": {"source": "digits", "subset": 200, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"python": {"build": "own.py:build_model"}},
        "training": {"epochs": 1, **training},
        "search": {"space": {"python.does": [*does]}},
        "resampling": {"method": "holdout"},
    }
    return prepare_bench(Path(), study)


def train(bench: Bench, **limits: Any) -> dict[str, pool.Event]:
    """Train all trials side by side, and return how each has ended, by what it does."""
    ends = {}

    def listen(event: pool.Event) -> None:
        if event.kind in ("finished", "failed"):
            ends[does(event.work)] = event

    works = [bench.work(position) for position in range(len(bench.plan.configurations))]
    with shared_forks():
        pool.run(works, 2, listen, **limits)
    return ends


def does(work: pool.Work) -> str:
    return str(work.task.settings["model"]["hp"]["does"])


def result_of(event: pool.Event) -> TrialResult:
    result = event.work.store.result(event.work.task.epochs)
    assert result is not None
    return result


def test_what_does_not_end_a_trial_changes_no_number(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ends = train(bench_of("nothing", *HARMLESS))
    assert {name: event.failure for name, event in ends.items()} == dict.fromkeys(
        ("nothing", *HARMLESS)
    )
    assert all(result_of(event).scores for event in ends.values())
    assert {path.name for path in here.iterdir()} == {
        "own.yaml",
        "own.py",
        "beside.py",
        "results",
        "children",
    }
    # Children end with their trial.
    assert len(children()) == 2
    wait_for(lambda: not any(map(psutil.pid_exists, children())))
    printed = capfd.readouterr().err
    assert printed.count("x") < 1.1 * MOST_PRINTED
    assert "4 MB of one trial: no more is kept" in printed


def test_what_ends_a_trial_is_a_failure_of_it_alone(here: Path) -> None:
    ends = train(bench_of(*FAILING, "nothing"))
    failures = {what: event.failure for what, event in ends.items()}
    assert failures.pop("nothing") is None
    found = {
        what: failure and (failure.kind, failure.reason, advice.cause_of(failure))
        for what, failure in failures.items()
    }
    assert found == FAILING


def test_a_trial_that_does_not_end_is_killed_after_its_time(here: Path) -> None:
    bench = bench_of("never_end", "nothing")
    # Long enough for the other one, on a machine that is busy with other tests.
    ends = train(bench, trial_timeout=20)
    assert ends["nothing"].failure is None
    failure = ends["never_end"].failure
    assert failure is not None
    assert failure.kind == "timeout"
    assert "20 s" in failure.reason
    line = next(n for n, text in enumerate(MODELS.splitlines(), 1) if "time.sleep(0.01)" in text)
    place = advice.place_of(failure.detail, newest_first=True)
    assert place in {f"own.py, line {n}" for n in (line - 2, line - 1, line)}
    assert place in advice.in_full(failure)
    assert not advice.is_final(failure), "another attempt goes on from its last checkpoint"


DISTRIBUTION = {"backend": "mirrored", "world_size": 2}


def train_on_ranks(bench: Bench, folder: Path, **limits: Any) -> dict[str, pool.Event]:
    ends = {}

    def listen(event: pool.Event) -> None:
        if event.kind in ("finished", "failed"):
            ends[does(event.work)] = event

    works = [bench.work(position) for position in range(len(bench.plan.configurations))]
    ranks.run(works, Launch(AUTO, 1, **limits), folder, listen)
    return ends


def test_trials_of_one_rank_find_what_the_first_one_found(here: Path) -> None:
    bench = bench_of(
        "change_settings", "chdir", "leave_a_thread", "nothing", distribution=DISTRIBUTION
    )
    ends = train_on_ranks(bench, Path("ranks"))
    assert not [event.failure for event in ends.values() if event.failure]
    assert [*ends] == ["change_settings", "chdir", "leave_a_thread", "nothing"]


def test_ranks_that_do_not_end_are_killed_after_their_time(here: Path) -> None:
    bench = bench_of("never_end", "nothing", distribution=DISTRIBUTION)
    ends = train_on_ranks(bench, Path("ranks"), trial_timeout=20)
    assert ends["nothing"].failure is None
    failure = ends["never_end"].failure
    assert failure is not None
    assert failure.kind == "timeout"
