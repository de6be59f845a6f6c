"""Searches with Keras Tuner: what they train, and what a kill costs."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from searches import (
    HYPERBAND,
    SPACE,
    ended,
    kill,
    prepared,
    searched,
    start_search,
    trials_of,
    tuned,
    wait_until,
)

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.tuner_schedule import hyperband_turns
from gridfold.search.tuner.local_oracle import LocalOracle, open_oracle
from gridfold.search.tuner.oracles import Memory, make_oracle
from gridfold.search.tuner.outcome import TunerTrial, explored, results
from gridfold.search.tuner.protocol import COMPLETED, STOPPED, Proposal, TrialOutcome, TuningFailed
from gridfold.search.tuner.search import TuningStudy
from gridfold.store.trials import TrialResult

# Two brackets: two trials of one epoch, the better one of two; and two of two epochs.
TRIALS = 5


@pytest.fixture(scope="module")
def hyperband(tmp_path_factory: pytest.TempPathFactory) -> TuningStudy:
    """Return a search that nothing has disturbed, with one worker."""
    study = prepared(tmp_path_factory.mktemp("hyperband"), tuned(HYPERBAND))
    searched(study)
    return study


def stored(study: TuningStudy, trial: TunerTrial) -> list[TrialResult]:
    """Return the results in the run store that a trial of a tuner stands for."""
    found = [study.work(p).store.result(p.epochs) for p in study.trainings(trial.values)]
    return [result for result in found if result is not None]


def without_paths(trials: list[TunerTrial]) -> list[tuple[Any, ...]]:
    return [(t.trial_id, t.status, t.values, t.score, t.metrics) for t in trials]


def test_the_score_of_a_trial_is_the_mean_over_the_splits(hyperband: TuningStudy) -> None:
    trials = trials_of(hyperband)
    assert len(trials) == TRIALS
    for trial in trials:
        results = stored(hyperband, trial)
        assert len(results) == 2
        assert trial.score == fmean(result.scores["accuracy"] for result in results)


def test_a_promotion_goes_on_from_the_checkpoint_of_the_round_before(
    hyperband: TuningStudy,
) -> None:
    [promoted] = [t for t in trials_of(hyperband) if "tuner/trial_id" in t.values]
    [before] = [t for t in trials_of(hyperband) if t.trial_id == promoted.values["tuner/trial_id"]]
    assert before.values["tuner/epochs"] == promoted.values["tuner/initial_epoch"] == 1
    for result in stored(hyperband, promoted):
        assert [(s["first"], s["last"]) for s in result.segments] == [(1, 1), (2, 2)]
        assert len(result.history) == 2


def test_every_configuration_is_summed_up_once_with_its_longest_training(
    hyperband: TuningStudy,
) -> None:
    file = explored(hyperband)
    assert file.stage == "explore"
    assert file.splits == ("r0f0", "r0f1")
    epochs = {c.id: c.epochs for c in file.configurations}
    assert sorted(epochs.values()) == [1, 2, 2, 2]
    assert all(c.axes["model"] == "mlp" for c in file.configurations)
    rows = results(hyperband)
    assert {(t.config_id, t.split) for t, _, _ in rows} == {
        (config_id, split) for config_id in epochs for split in file.splits
    }
    assert all(r.epochs == epochs[t.config_id] for t, r, _ in rows)


def test_a_search_that_is_killed_ends_with_the_trials_of_one_that_is_not(
    hyperband: TuningStudy, tmp_path: Path
) -> None:
    study = tuned(HYPERBAND)
    search = prepared(tmp_path, study)
    plan = Plan.load([tmp_path / "tiny.yaml"], results=tmp_path / "results")
    for count in (1, 3):
        process = start_search(search, JobRequests(plan).tune().text())
        wait_until(lambda count=count: ended(search) >= count)  # type: ignore[misc]
        kill(process)
    assert start_search(search, JobRequests(plan).tune().text()).wait(timeout=300) == 0
    assert without_paths(trials_of(search)) == without_paths(trials_of(hyperband))
    for trial in trials_of(search):
        ours, theirs = stored(search, trial), stored(hyperband, trial)
        assert [r.scores for r in ours] == [r.scores for r in theirs]


def test_a_finished_search_trains_nothing_again(
    hyperband: TuningStudy, caplog: pytest.LogCaptureFixture
) -> None:
    before = {f: f.stat().st_mtime_ns for f in hyperband.paths.runs.rglob("result-*.json")}
    searched(hyperband)
    assert {f: f.stat().st_mtime_ns for f in hyperband.paths.runs.rglob("result-*.json")} == before
    assert len(trials_of(hyperband)) == TRIALS


def test_a_search_of_another_space_begins_anew_and_keeps_the_old_state(
    hyperband: TuningStudy, caplog: pytest.LogCaptureFixture
) -> None:
    folder = hyperband.paths.root.parent.parent
    state = hyperband.paths.tuner_state.read_text()
    other = prepared(folder, tuned({**HYPERBAND, "seed": 5}, {**SPACE, "mlp.units": [4, 8, 16]}))
    oracle = open_oracle(other)
    assert not oracle.keras_oracle.trials
    [aside] = other.paths.tuner.glob("oracle-aside-*.json")
    assert aside.read_text() == state
    assert "differs in space, strategy" in caplog.text
    aside.rename(other.paths.tuner_state)


def test_to_overwrite_begins_anew(hyperband: TuningStudy) -> None:
    folder = hyperband.paths.root.parent.parent
    other = prepared(folder, tuned({**HYPERBAND, "overwrite": True}))
    assert not open_oracle(other).keras_oracle.trials
    [aside] = other.paths.tuner.glob("oracle-aside-*.json")
    aside.rename(other.paths.tuner_state)


def test_more_trials_go_on_where_the_search_was(hyperband: TuningStudy) -> None:
    folder = hyperband.paths.root.parent.parent
    other = prepared(folder, tuned({**HYPERBAND, "hyperband_iterations": 2}))
    oracle = open_oracle(other)
    assert len(oracle.keras_oracle.trials) == TRIALS
    answer = oracle.ask("more")
    assert isinstance(answer, Proposal)
    assert answer.trial_id == f"{TRIALS:04d}"


# -- executions, models of users, failures --------------------------------------------------------

MODEL = """
import keras


def build_model(hp, input_shape, outputs):
    width = hp.Int("width", 2, 6)
    kind = hp.Choice("kind", ["plain", "deep"])
    layers = [keras.Input(input_shape), keras.layers.Dense(width, activation="relu")]
    with hp.conditional_scope("kind", ["deep"]):
        extra = hp.Int("extra", 2, 6)
        if kind == "deep":
            layers.append(keras.layers.Dense(extra, activation="relu"))
    if width == 5:
        raise ValueError("no five")
    return keras.Sequential([*layers, keras.layers.Dense(outputs, activation="softmax")])
"""


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    return {"python": {"build": f"{file}:build_model"}}


def test_executions_of_a_trial_differ_and_their_mean_counts(tmp_path: Path) -> None:
    search = prepared(
        tmp_path,
        tuned({"tuner": "random", "max_trials": 1, "executions_per_trial": 2}),
    )
    searched(search, workers=2)
    [trial] = trials_of(search)
    results = stored(search, trial)
    assert len(results) == 4
    assert len({tuple(sorted(r.scores.items())) for r in results}) > 2
    assert trial.score == pytest.approx(fmean(r.scores["accuracy"] for r in results), abs=1e-12)
    assert len(explored(search).configurations) == 1


def test_a_model_function_is_searched_in_its_own_ranges(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    tuner = {"tuner": "random", "max_trials": 12, "tune_new_entries": True}
    axis = {"python.width": [2, 3]}
    search = prepared(tmp_path, tuned(tuner, axis, model=model))
    oracle = open_oracle(search)
    answers = [oracle.ask(str(number)) for number in range(12)]
    found = [search.space.assignment(a.values) for a in answers if isinstance(a, Proposal)]
    assert {a["python.width"] for a in found} == {2, 3}
    assert {a["python.kind"] for a in found} == {"plain", "deep"}
    for assignment in found:
        assert ("python.extra" in assignment) == (assignment["python.kind"] == "deep")


LOOPING_MODEL = """
import keras


def build_model(hp):
    layers = [keras.layers.Flatten()]
    for number in range(hp.Int("layers", 1, 3)):
        layers.append(keras.layers.Dense(hp.Int(f"units_{number}", 2, 8)))
    if hp.Boolean("drop"):
        layers.append(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    return keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
"""


def test_what_a_model_function_asks_for_in_loops_and_branches_is_searched(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOPING_MODEL)
    model = {"python": {"build": f"{tmp_path}/loop.py:build_model"}}
    tuner = {"tuner": "random", "max_trials": 2, "tune_new_entries": True}
    oracle = open_oracle(prepared(tmp_path, tuned(tuner, {}, model=model)))
    names = {entry.name for entry in oracle.keras_oracle.get_space().space}
    assert names == {
        f"python.{name}" for name in ("layers", "units_0", "units_1", "units_2", "drop", "rate")
    }


def test_a_model_function_that_asks_for_more_than_it_may_is_refused(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    tuner = {"tuner": "random", "allow_new_entries": False}
    search = prepared(tmp_path, tuned(tuner, {"python.width": [2, 3]}, model=model))
    with pytest.raises(TuningFailed, match=r"asks for python\.kind, python\.extra"):
        open_oracle(search)


def test_trials_that_fail_are_left_behind_until_they_are_too_many(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    tuner = {"tuner": "grid", "max_consecutive_failed_trials": 2}
    search = prepared(tmp_path, tuned(tuner, {"python.width": [5, 4]}, model=model))
    searched(search, workers=2)
    failed, finished = trials_of(search)
    assert (failed.status, finished.status) == ("FAILED", "COMPLETED")
    assert "no five" in failed.message
    file = explored(search)
    assert [c.score is not None for c in file.configurations] == [False, True]
    assert [r.status for _, r, _ in results(search)] == ["failed"] * 2 + ["finished"] * 2

    other = tuned({**tuner, "max_consecutive_failed_trials": 1}, {"python.width": [5, 4]})
    (tmp_path / "other").mkdir()
    search = prepared(tmp_path / "other", {**other, "model": model})
    with pytest.raises(TuningFailed, match="no five"):
        searched(search)


def test_a_measure_of_the_users_own_is_an_objective(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def hit_score(t, p):\n    return (p.argmax(axis=1) == t).mean()\n")
    problem = {"type": "multiclass", "measures": [f"{file}:hit_score"]}
    random = {"tuner": "random", "max_trials": 2}
    objective = {"objective": ["hit_score", "log_loss"]}
    study = tuned({**random, **objective}, problem=problem)
    search = prepared(tmp_path, study)
    assert search.objectives == {"hit_score": "max", "log_loss": "min"}
    searched(search)
    for trial in trials_of(search):
        results = stored(search, trial)
        assert trial.metrics["hit_score"] == fmean(r.scores["accuracy"] for r in results)
    by_accuracy = prepared(tmp_path / "other", tuned(random, problem=problem)).fingerprint()
    before = search.fingerprint()
    file.write_text("def hit_score(t, p):\n    return 2 * (p.argmax(axis=1) == t).mean()\n")
    after = prepared(tmp_path, study).fingerprint()
    assert [name for name in before if before[name] != after[name]] == ["code"]
    assert prepared(tmp_path / "other", tuned(random, problem=problem)).fingerprint() == by_accuracy


def tumours(
    threshold: float | None = None, objective: str = "log_loss", **sections: Any
) -> dict[str, Any]:
    problem = {"type": "binary"} | ({} if threshold is None else {"threshold": threshold})
    data = {"source": "breast_cancer", "subset": 60, "normalise": "standard"}
    tuner = {"tuner": "random", "max_trials": 2, "objective": objective}
    return tuned(tuner, problem=problem, data=data, **sections)


def test_the_fingerprint_without_a_threshold_is_as_before(tmp_path: Path) -> None:
    search = prepared(tmp_path, tumours())
    assert search.fingerprint()["problem"] == "833a0344fa2c"
    assert prepared(tmp_path, tumours(0.5)).fingerprint() == search.fingerprint()


@pytest.mark.parametrize(
    ("objective", "monitor", "decides"),
    [
        ("log_loss", None, False),
        ("log_loss", "val_loss", False),
        ("log_loss", "f1", True),
        ("f1", None, True),
        ("val_accuracy", None, True),
    ],
)
def test_a_search_begins_anew_where_the_threshold_decides_it(
    tmp_path: Path, objective: str, monitor: str | None, decides: bool
) -> None:
    training = {"epochs": 2} | ({"early_stopping": {"monitor": monitor}} if monitor else {})
    before, after = (
        prepared(tmp_path, tumours(t, objective, training=training)).fingerprint()
        for t in (None, 0.3)
    )
    assert [name for name in before if before[name] != after[name]] == ["problem"] * decides


def test_trials_of_a_search_that_is_over_are_scored_again(tmp_path: Path) -> None:
    search = prepared(tmp_path, tumours())
    searched(search)
    before = results(search)
    again = prepared(tmp_path, tumours(0.05))
    searched(again)
    after = results(again)
    assert [(key, result.status) for key, result, _ in after] == [
        (key, "finished") for key, _, _ in before
    ]
    for (_, old, _), (_, new, _) in zip(before, after, strict=True):
        assert new.threshold == 0.05
        assert new.scores["sensitivity"] >= old.scores["sensitivity"]
        assert new.segments == old.segments, "nothing is trained"
    assert any(
        new.scores != old.scores for (_, old, _), (_, new, _) in zip(before, after, strict=True)
    )


def test_what_is_followed_and_an_objective_is_trained_at_the_threshold(tmp_path: Path) -> None:
    searched(prepared(tmp_path, tumours(objective="val_accuracy")))
    search = prepared(tmp_path, tumours(0.05, "val_accuracy"))
    searched(search)
    for trial in trials_of(search):
        best = [max(row["val_metric"] for row in r.history) for r in stored(search, trial)]
        assert trial.score == fmean(best)


# -- oracles, asked without training --------------------------------------------------------------

TUNERS: dict[str, dict[str, Any]] = {
    "random": {"tuner": "random", "max_trials": 8},
    "bayesian": {"tuner": "bayesian", "max_trials": 8, "num_initial_points": 3},
    "grid": {"tuner": "grid"},
    "hyperband": {"tuner": "hyperband", "max_epochs": 4, "factor": 2},
}
AXES: dict[str, Any] = {
    "mlp.units": [4, 8, 16],
    "training.optimizer": ["adam", "sgd"],
    "training.momentum": {"grid": [0.0, 0.9], "when": {"training.optimizer": "sgd"}},
}
EXCLUDED = {"mlp.units": 4, "training.optimizer": "adam"}


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TuningStudy]:
    found = {}
    for name, tuner in TUNERS.items():
        study = tuned(tuner, AXES)
        study["search"]["exclude"] = [EXCLUDED]
        found[name] = prepared(tmp_path_factory.mktemp(name), study)
    return found


@pytest.fixture
def asked(searches: dict[str, TuningStudy], tuner: str) -> TuningStudy:
    return searches[tuner]


def an_oracle(study: TuningStudy, file: Path, starts: Any = ()) -> LocalOracle:
    space = study.space
    oracle = make_oracle(
        study.strategy, study.objectives, study.epochs, space.config(), space.allows, starts
    )
    memory = Memory(file, study.fingerprint())
    memory.load(oracle)
    return LocalOracle(oracle, memory)


def judged(study: TuningStudy, answer: Proposal) -> TrialOutcome:
    """Score a proposal by what stands in it."""
    found = study.space.assignment(answer.values)
    score = math.sin(found["mlp.units"]) + found.get("training.momentum", 0.3)
    return TrialOutcome(COMPLETED, {"accuracy": score}, int(answer.values.get("tuner/epochs", 2)))


def asked_to_the_end(
    study: TuningStudy, file: Path, *, restart: bool
) -> list[tuple[str, dict[str, Any]]]:
    oracle, answers = an_oracle(study, file), []
    while (answer := oracle.ask("one")) != STOPPED:
        assert isinstance(answer, Proposal)
        if restart:
            # As after a kill: the same trial is given out again.
            oracle = an_oracle(study, file)
            assert oracle.ask("one") == answer
        answers.append((answer.trial_id, answer.values))
        oracle.tell(answer.trial_id, judged(study, answer))
        if restart:
            oracle = an_oracle(study, file)
    return answers


@pytest.mark.parametrize("tuner", TUNERS)
def test_an_oracle_goes_on_as_if_it_had_never_been_stopped(
    asked: TuningStudy, tmp_path: Path
) -> None:
    undisturbed = asked_to_the_end(asked, tmp_path / "a.json", restart=False)
    assert asked_to_the_end(asked, tmp_path / "b.json", restart=True) == undisturbed
    assert len(undisturbed) >= 6


@pytest.mark.parametrize("tuner", TUNERS)
def test_excluded_combinations_are_never_proposed(asked: TuningStudy, tmp_path: Path) -> None:
    for _, values in asked_to_the_end(asked, tmp_path / "a.json", restart=False):
        found = asked.space.assignment(values)
        assert any(found[name] != value for name, value in EXCLUDED.items())


def test_a_grid_is_complete(searches: dict[str, TuningStudy], tmp_path: Path) -> None:
    asked = searches["grid"]
    answers = asked_to_the_end(asked, tmp_path / "a.json", restart=True)
    found = {asked.space.configuration(values).id for _, values in answers}
    assert len(found) == len(answers) == 3 * 2 + 3 - 1


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_starting_points_are_tried_first(asked: TuningStudy, tmp_path: Path) -> None:
    starts = [
        {"mlp.units": 8, "training.optimizer": "sgd", "training.momentum": 0.9},
        {"mlp.units": 16, "training.optimizer": "adam"},
    ]
    oracle = an_oracle(asked, tmp_path / "a.json", starts)
    for start in starts:
        answer = oracle.ask("one")
        assert isinstance(answer, Proposal)
        assert start.items() <= answer.values.items()
        oracle.tell(answer.trial_id, judged(asked, answer))


def test_hyperbands_schedule_is_told_beforehand(
    searches: dict[str, TuningStudy], tmp_path: Path
) -> None:
    oracle = an_oracle(searches["hyperband"], tmp_path / "a.json").keras_oracle
    for max_epochs, factor in ((4, 2), (9, 3), (81, 3), (10, 4)):
        oracle.max_epochs, oracle.factor = max_epochs, factor
        for turn in hyperband_turns(max_epochs, factor):
            assert turn.trials == oracle._get_size(turn.bracket, turn.number)
            assert turn.epochs == oracle._get_epochs(turn.bracket, turn.number)


def test_a_damaged_memory_is_set_aside(searches: dict[str, TuningStudy], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    assert not an_oracle(searches["random"], tmp_path / "a.json").keras_oracle.trials
    assert (tmp_path / "a-aside-1.json").read_text() == "{"
