"""Searches with samplers of Optuna: what they ask for, what they are told, what a kill costs."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from searches import kill, prepared, searched, start_search, trials_of, tuned, wait_until

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.search.tuner import sampled as sampled_module
from gridfold.search.tuner.outcome import explored, results
from gridfold.search.tuner.protocol import (
    COMPLETED,
    FAILED,
    IDLE,
    INVALID,
    STOPPED,
    Proposal,
    TrialOutcome,
    TuningFailed,
)
from gridfold.search.tuner.sampled import OptunaOracle, open_sampled
from gridfold.search.tuner.search import TuningStudy

UNITS = {"mlp.units": {"int": {"min": 2, "max": 64, "log": True}}}
SPACE: dict[str, Any] = {
    **UNITS,
    "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
    "training.batch_size": [8, 16, 32],
    "mlp.activation": {"choice": ["relu", "tanh"]},
    "mlp.dropout": {"float": {"min": 0.1, "max": 0.5}, "when": {"mlp.activation": "relu"}},
}
WISHES = {
    "objectives": ["accuracy", "parameters"],
    "constraints": {"parameters": {"at_most": 300}},
}
INSTALLED = ("tpe", "nsga2", "nsga3", "qmc", "random")


def sampled(
    folder: Path, *, space: dict[str, Any] | None = None, wishes: Any = (), **strategy: Any
) -> TuningStudy:
    """Return a prepared search with a sampler of Optuna."""
    strategy = {"type": "optuna", "sampler": "tpe", "n": 12, "startup": 4, "seed": 3, **strategy}
    if strategy["sampler"] != "tpe":
        del strategy["startup"]
    space = SPACE if space is None else space
    return prepared(folder, tuned(strategy, space, wishes=dict(wishes)))


def invented(values: dict[str, Any]) -> dict[str, float]:
    """Return scores that depend on the values alone."""
    units = values["mlp.units"]
    rate = float(values.get("training.learning_rate", 0.01))
    return {"accuracy": 1 - 1 / units - abs(rate - 0.02), "parameters": 8.0 * units + 3}


def played(oracle: OptunaOracle, rounds: int = 99) -> list[dict[str, Any]]:
    """Ask and tell, one after another, and return what was asked for."""
    asked = []
    for _ in range(rounds):
        answer = oracle.ask("one")
        if not isinstance(answer, Proposal):
            assert answer == STOPPED
            break
        asked.append(answer.values)
        oracle.tell(answer.trial_id, TrialOutcome(COMPLETED, invented(answer.values), 2))
    return asked


@pytest.mark.parametrize("sampler", INSTALLED)
def test_a_sampler_asks_for_different_configurations_of_the_space(
    tmp_path: Path, sampler: str
) -> None:
    study = sampled(tmp_path, sampler=sampler, wishes=WISHES)
    asked = played(open_sampled(study))
    assert len({study.space.configuration(values).id for values in asked}) == len(asked) == 12
    for values in asked:
        assert 2 <= values["mlp.units"] <= 64
        assert values["training.batch_size"] in (8, 16, 32)
        assert ("mlp.dropout" in values) == (values["mlp.activation"] == "relu")


@pytest.mark.parametrize("sampler", INSTALLED)
def test_a_search_that_was_left_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: str) -> None:
    whole = played(open_sampled(sampled(tmp_path / "whole", sampler=sampler, wishes=WISHES)))
    study = sampled(tmp_path / "parts", sampler=sampler, wishes=WISHES)
    parts = [values for _ in range(6) for values in played(open_sampled(study), 2)]
    assert parts == whole
    assert played(open_sampled(study)) == []


def test_a_larger_n_goes_on_after_the_trials_there_are(tmp_path: Path) -> None:
    few = sampled(tmp_path, sampler="random", n=5)
    first = played(open_sampled(few))
    more = sampled(tmp_path, sampler="random", n=8)
    assert len(played(open_sampled(more))) == 3
    assert [trial.values for trial in trials_of(more)][:5] == first


def test_what_was_being_tried_when_the_process_ended_is_tried_first(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    played(open_sampled(study), 2)
    left = open_sampled(study).ask("one")
    again = open_sampled(study).ask("another")
    assert isinstance(left, Proposal)
    assert again == left


def test_a_last_line_that_breaks_off_costs_no_more_than_itself(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    played(open_sampled(study), 3)
    with study.paths.optuna_journal.open("ab") as stream:
        stream.write(b'{"op_code":4,"work')
    assert len(played(open_sampled(study))) == 9
    assert len(trials_of(study)) == 12


def test_a_damaged_journal_is_kept_and_begun_anew(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    played(open_sampled(study), 3)
    journal = study.paths.optuna_journal
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"not json\n", *lines[3:]]))
    assert len(played(open_sampled(study))) == 12
    assert (journal.parent / "optuna-aside-1.log").exists()


def test_scores_of_another_study_are_set_aside(tmp_path: Path) -> None:
    played(open_sampled(sampled(tmp_path)), 3)
    other = sampled(tmp_path, space={**SPACE, "training.batch_size": [8, 16]})
    assert trials_of(other) == []
    assert len(list(other.paths.tuner.glob("optuna-aside-*.log"))) == 1


def test_by_which_rule_one_is_selected_does_not_matter_to_the_search(tmp_path: Path) -> None:
    played(open_sampled(sampled(tmp_path, wishes=WISHES)), 3)
    other = sampled(tmp_path, wishes={**WISHES, "select": "knee"})
    assert len(trials_of(other)) == 3


def test_a_small_space_is_tried_whole_and_then_the_search_ends(tmp_path: Path) -> None:
    space = {"mlp.units": [4, 8, 16], "training.batch_size": [8, 16]}
    asked = played(open_sampled(sampled(tmp_path, space=space, n=50)))
    pairs = {(values["mlp.units"], values["training.batch_size"]) for values in asked}
    assert len(asked) == len(pairs) == 6


def test_excluded_combinations_are_never_tried_and_zipped_axes_move_together(
    tmp_path: Path,
) -> None:
    strategy = {"type": "optuna", "n": 30, "startup": 5}
    text = tuned(strategy, {**UNITS, "training.batch_size": [8, 16], "mlp.dropout": [0.1, 0.2]})
    text["search"]["zip"] = [["training.batch_size", "mlp.dropout"]]
    text["search"]["exclude"] = [{"training.batch_size": 16, "mlp.units": list(range(2, 40))}]
    study = prepared(tmp_path, text)
    oracle = open_sampled(study)
    found = []
    for _ in range(30):
        answer = oracle.ask("one")
        assert isinstance(answer, Proposal)
        axes = study.space.configuration(answer.values).axes
        found.append(axes)
        oracle.tell(answer.trial_id, TrialOutcome(COMPLETED, {"accuracy": 0.5}, 2))
    rows = {(axes["training.batch_size"], axes["mlp.dropout"]) for axes in found}
    assert rows == {(8, 0.1), (16, 0.2)}
    assert all(axes["mlp.units"] >= 40 for axes in found if axes["training.batch_size"] == 16)


def test_the_points_to_start_from_come_first(tmp_path: Path) -> None:
    start = {"mlp.units": 7, "training.batch_size": 16}
    text = tuned({"type": "optuna", "n": 4}, {**UNITS, "training.batch_size": [8, 16]})
    text["search"]["starts"] = [start]
    asked = played(open_sampled(prepared(tmp_path, text)))
    assert asked[0] == start
    assert len(asked) == 4


def test_the_sampler_knows_objectives_and_constraints(tmp_path: Path) -> None:
    study = sampled(tmp_path, sampler="nsga2", wishes=WISHES, n=6)
    oracle = open_sampled(study)
    asked = played(oracle)
    told = oracle.optuna_study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert [d.name for d in oracle.optuna_study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for values, trial in zip(asked, told, strict=True):
        score = invented(values)
        assert trial.values == [score["accuracy"], score["parameters"]]
        # Above 0 where there are too many weights, in parts of the limit.
        excess = (score["parameters"] - 300) / 300
        assert trial.system_attrs["constraints"] == pytest.approx([excess])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_sampler_learns_to_satisfy_a_constraint(tmp_path: Path, sampler: str) -> None:
    limits = {"objectives": ["accuracy"], "constraints": {"parameters": {"at_most": 120}}}
    strategy = {"sampler": sampler, "n": 60, "startup": 10, "population": 15}
    del strategy["population" if sampler == "tpe" else "startup"]
    # A few units satisfy it, and larger ones score better.
    space = {
        "mlp.units": {"int": {"min": 2, "max": 64}},
        "training.learning_rate": SPACE["training.learning_rate"],
    }
    asked = played(open_sampled(sampled(tmp_path, space=space, wishes=limits, **strategy)))
    few = [invented(values)["parameters"] <= 120 for values in asked]
    assert sum(few[-30:]) > 1.5 * sum(few[:15]) + 3


def test_of_equal_seeds_the_same_is_asked_and_of_others_something_else(tmp_path: Path) -> None:
    asked = [
        played(open_sampled(sampled(tmp_path / str(place), seed=seed)), 4)
        for place, seed in enumerate((1, 1, 2))
    ]
    assert asked[0] == asked[1] != asked[2]


def test_a_failed_trial_has_no_score_and_the_search_goes_on(tmp_path: Path) -> None:
    study = sampled(tmp_path, n=5)
    oracle = open_sampled(study)
    for status in (FAILED, COMPLETED, INVALID, FAILED, COMPLETED):
        answer = oracle.ask("one")
        assert isinstance(answer, Proposal)
        metrics = invented(answer.values) if status == COMPLETED else {}
        oracle.tell(answer.trial_id, TrialOutcome(status, metrics, 2, "loss is nan"))
    assert oracle.ask("one") == STOPPED
    found = trials_of(study)
    assert [t.status for t in found] == [FAILED, COMPLETED, INVALID, FAILED, COMPLETED]
    assert [t.score is None for t in found] == [True, False, True, True, False]
    assert found[0].message == "loss is nan"


def test_a_score_that_is_no_number_is_none(tmp_path: Path) -> None:
    study = sampled(tmp_path)
    oracle = open_sampled(study)
    answer = oracle.ask("one")
    assert isinstance(answer, Proposal)
    oracle.tell(answer.trial_id, TrialOutcome(COMPLETED, {"accuracy": float("nan")}, 2))
    assert [(t.status, t.score) for t in trials_of(study)] == [(INVALID, None)]


def test_too_many_failures_in_a_row_end_the_search_and_the_last_is_tried_again(
    tmp_path: Path,
) -> None:
    study = sampled(tmp_path, max_consecutive_failed_trials=2)
    oracle = open_sampled(study)
    first, second = oracle.ask("a"), oracle.ask("b")
    assert isinstance(first, Proposal)
    assert isinstance(second, Proposal)
    oracle.tell(first.trial_id, TrialOutcome(INVALID, {}, 2, "no memory"))
    with pytest.raises(TuningFailed, match=r"2 trials in a row .* the last: no memory"):
        oracle.tell(second.trial_id, TrialOutcome(INVALID, {}, 2, "no memory"))
    assert open_sampled(study).ask("a") == second


def test_the_trial_of_a_worker_that_is_gone_is_given_to_the_next_one(tmp_path: Path) -> None:
    oracle = open_sampled(sampled(tmp_path, n=2))
    first, second = oracle.ask("a"), oracle.ask("b")
    assert oracle.askers == ["a", "b"]
    assert oracle.ask("c") == STOPPED
    assert not oracle.is_finished()
    oracle.give_back("a")
    assert oracle.ask("c") == first != second
    assert isinstance(second, Proposal)
    oracle.tell(second.trial_id, TrialOutcome(COMPLETED, {"accuracy": 0.5}, 2))
    # What the lost one says after all changes nothing.
    oracle.tell(second.trial_id, TrialOutcome(COMPLETED, {"accuracy": 0.9}, 2))
    assert oracle.askers == ["c"]


def test_where_links_can_not_be_made_the_other_lock_for_nfs_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = sampled(tmp_path)
    monkeypatch.setattr(os, "symlink", _refuse)
    assert len(played(open_sampled(study))) == 12


@pytest.mark.parametrize("links", [True, False])
def test_a_lock_that_a_killed_process_has_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "symlink", _refuse)
    monkeypatch.setattr(sampled_module, "_GRACE_SECONDS", 3)
    # A job names its files from the folder in which the study is run.
    monkeypatch.chdir(tmp_path)
    file = Path("search/optuna.log")
    file.parent.mkdir()
    file.touch()
    assert sampled_module._lock(file).acquire()
    taken: list[bool] = []
    other = threading.Thread(
        target=lambda: taken.append(sampled_module._lock(file).acquire()), daemon=True
    )
    other.start()
    other.join(timeout=60)
    assert taken == [True]


def _refuse(*_: object, **__: object) -> None:
    raise OSError("operation not supported")


def test_trainings_give_the_means_and_the_weights_and_are_not_repeated(tmp_path: Path) -> None:
    study = sampled(tmp_path, sampler="nsga2", population=2, n=4, wishes=WISHES)
    searched(study, workers=2)
    trials = trials_of(study)
    assert [trial.status for trial in trials] == [COMPLETED] * 4
    for trial in trials:
        found = [study.work(p).store.result(p.epochs) for p in study.trainings(trial.values)]
        assert len(found) == 2
        assert trial.metrics["accuracy"] == pytest.approx(
            sum(r.scores["accuracy"] for r in found if r) / 2
        )
        # Iris: four features, three classes.
        assert trial.metrics["parameters"] == 8 * trial.values["mlp.units"] + 3
    file = explored(study)
    assert [c.score for c in file.configurations] == [t.score for t in trials]
    assert len(results(study)) == 8
    before = {f: f.stat().st_mtime_ns for f in study.paths.root.glob("runs/*/*/result-*.json")}
    # Another search over the same space asks the run store.
    study.paths.optuna_journal.unlink()
    searched(study)
    after = {f: f.stat().st_mtime_ns for f in study.paths.root.glob("runs/*/*/result-*.json")}
    assert before.items() <= after.items()


def test_a_search_that_was_killed_tries_what_it_would_have_tried(tmp_path: Path) -> None:
    undisturbed = sampled(tmp_path / "whole", n=6)
    searched(undisturbed)
    study = sampled(tmp_path / "killed", n=6)
    plan = Plan.load([tmp_path / "killed" / "tiny.yaml"], results=tmp_path / "killed" / "results")
    process = start_search(study, JobRequests(plan).tune().text())
    wait_until(lambda: len(list(study.paths.root.glob("runs/*/*/result-*.json"))) >= 3)
    kill(process)
    done = {f: f.stat().st_mtime_ns for f in study.paths.root.glob("runs/*/*/result-*.json")}
    searched(study)
    expected = [(t.values, t.score) for t in trials_of(undisturbed)]
    assert [(t.values, t.score) for t in trials_of(study)] == expected
    assert all(file.stat().st_mtime_ns == when for file, when in done.items())


def test_a_sampler_of_numbers_alone(tmp_path: Path) -> None:
    space = {**UNITS, "training.learning_rate": SPACE["training.learning_rate"]}
    whole = played(open_sampled(sampled(tmp_path / "whole", sampler="cmaes", space=space)))
    study = sampled(tmp_path / "parts", sampler="cmaes", space=space)
    assert [v for _ in range(3) for v in played(open_sampled(study), 4)] == whole
    assert len(whole) == 12


def test_the_journal_is_lines_of_json_that_optuna_itself_reads(tmp_path: Path) -> None:
    study = sampled(tmp_path, n=3)
    played(open_sampled(study))
    journal = study.paths.optuna_journal
    assert all(json.loads(line) for line in journal.read_text().splitlines())
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    [found] = optuna.get_all_study_summaries(optuna.storages.JournalStorage(backend))
    assert found.n_trials >= 3


def test_a_chief_serves_a_sampler_to_workers(tmp_path: Path) -> None:
    from gridfold.search.tuner.chief import Chief
    from gridfold.search.tuner.oracle_client import OracleClient

    study = sampled(tmp_path, n=3, wishes=WISHES)
    with Chief(open_sampled(study), study.paths.tuner_chief) as chief:
        client = OracleClient(study.paths.tuner_chief, "w")
        asked = [client.ask(f"w-{place}") for place in range(3)]
        assert all(isinstance(answer, Proposal) for answer in asked)
        # Another worker may die, and its trial must find somebody.
        assert client.ask("w-3") == IDLE
        for answer in asked:
            assert isinstance(answer, Proposal)
            outcome = TrialOutcome(COMPLETED, invented(answer.values), 2)
            client.tell(answer.trial_id, outcome)
        assert client.ask("w-0") == STOPPED
        assert chief.wait(lambda: True, lambda: False)
    found = trials_of(study)
    assert [t.values for t in found] == [a.values for a in asked if isinstance(a, Proposal)]
    assert [t.metrics["parameters"] for t in found] == [
        invented(t.values)["parameters"] for t in found
    ]
