"""Model functions with plain branches and loops, searched by the tuners of Keras Tuner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded import selected
from searches import kill, prepared, searched, start_search, trials_of, tuned, wait_until
from studies import load

from gridfold import typed_json
from gridfold.final.fit import fit_final
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.stage_file import CatalogueEntry
from gridfold.search.neighbours import neighbourhood
from gridfold.search.tuner.asking import ModelFunction
from gridfold.search.tuner.local_oracle import LocalOracle, open_oracle
from gridfold.search.tuner.outcome import explored, results
from gridfold.search.tuner.protocol import COMPLETED, STOPPED, Proposal, TrialOutcome, TuningFailed
from gridfold.search.tuner.search import TuningStudy
from gridfold.space.space import Space

LOOPS = """
import keras


def build_model(hp):
    model = keras.Sequential()
    for i in range(hp.Int("num_layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units_{i}", 4, 8, step=4), activation="relu"))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(hp.Choice("rate", [0.1, 0.5])))
    model.add(keras.layers.Dense(3, activation="softmax"))
    return model
"""
# Layers and their units, each without dropout or with one of two rates.
DIFFERENT = (2 + 4) * (1 + 2)

TUNERS: dict[str, dict[str, Any]] = {
    "random": {"tuner": "random", "max_trials": 4},
    "bayesian": {"tuner": "bayesian", "max_trials": 4, "num_initial_points": 2},
    "grid": {"tuner": "grid", "max_trials": 4},
    "hyperband": {"tuner": "hyperband", "max_epochs": 2, "factor": 2},
}


def looping(folder: Path, tuner: dict[str, Any], source: str = LOOPS, **sections: Any) -> Any:
    (folder / "model.py").write_text(source)
    strategy = {**tuner, "tune_new_entries": True}
    study = tuned(
        strategy,
        sections.pop("space", {}),
        model={"python": {"build": f"{folder}/model.py:build_model"}},
        resampling={"method": "holdout"},
        training={"epochs": 2},
        **sections,
    )
    return study


def used_alone(values: dict[str, Any]) -> bool:
    """Tell whether values are those that the function uses, no more and no less."""
    own = {n.removeprefix("python.") for n in values if n.startswith("python.")}
    layers = {f"units_{i}" for i in range(values["python.num_layers"])}
    rate = {"rate"} if values["python.dropout"] else set()
    return own == {"num_layers", "dropout"} | layers | rate


@pytest.mark.parametrize("tuner", TUNERS)
def test_all_trials_of_a_model_with_loops_and_branches_train(tmp_path: Path, tuner: str) -> None:
    search = prepared(tmp_path, looping(tmp_path, TUNERS[tuner]))
    searched(search, workers=1)
    trials = trials_of(search)
    assert len(trials) >= 4
    assert {trial.status for trial in trials} == {COMPLETED}
    assert all(used_alone(trial.values) for trial in trials)
    for found in explored(search).configurations:
        hp = found.settings["model"]["hp"]
        assert set(found.axes) == {"model"} | {f"python.{name}" for name in hp}
    assert {result.status for _, result, _ in results(search)} == {"finished"}


def asked_to_the_end(study: TuningStudy, *, restart: bool = False) -> list[dict[str, Any]]:
    """Ask a search for all its trials, and tell it scores without training."""
    oracle, answers = open_oracle(study), []
    while (answer := oracle.ask("one")) != STOPPED:
        assert isinstance(answer, Proposal)
        if restart:
            oracle = open_oracle(study)
            assert oracle.ask("one") == answer
        answers.append(answer.values)
        score = answer.values["python.units_0"] + answer.values.get("python.rate", 0)
        oracle.tell(answer.trial_id, TrialOutcome(COMPLETED, {"accuracy": score / 10}, 2))
        if restart:
            oracle = open_oracle(study)
    return answers


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_what_differs_in_unused_values_is_one_configuration(tmp_path: Path, tuner: str) -> None:
    most = {} if tuner == "grid" else {"max_trials": 60}
    study = prepared(tmp_path, looping(tmp_path, {"tuner": tuner, **most}))
    answers = asked_to_the_end(study)
    assert all(map(used_alone, answers))
    ids = {study.space.configuration(values).id for values in answers}
    # A random search ends after some draws in a row that were there before.
    assert len(ids) == len(answers)
    assert len(ids) == DIFFERENT if tuner == "grid" else DIFFERENT - 4 <= len(ids) <= DIFFERENT


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_of_loops_goes_on_as_if_it_had_never_been_stopped(
    tmp_path: Path, tuner: str
) -> None:
    found = []
    for restart in (False, True):
        folder = tmp_path / str(restart)
        folder.mkdir()
        study = prepared(folder, looping(folder, {**TUNERS[tuner], "seed": 3}))
        found.append(asked_to_the_end(study, restart=restart))
    assert found[0] == found[1]


def test_axes_of_the_study_may_be_unused_too(tmp_path: Path) -> None:
    # The axis stands before what decides on it, which only the function knows.
    space = {"python.units_1": [4, 6, 8], "python.rate": [0.2, 0.3]}
    study = prepared(tmp_path, looping(tmp_path, {"tuner": "grid"}, space=space))
    answers = asked_to_the_end(study)
    assert all(map(used_alone, answers))
    assert len(answers) == (2 + 2 * 3) * (1 + 2)
    assert {v["python.units_1"] for v in answers if "python.units_1" in v} == {4, 6, 8}
    ids = {study.space.configuration(values).id for values in answers}
    assert len(ids) == len(answers)


def test_an_axis_that_no_model_asks_for_is_still_a_mistake(tmp_path: Path) -> None:
    space = {"python.units_7": [4, 8]}
    tuner = {"tuner": "random", "max_trials": 2, "max_consecutive_failed_trials": 1}
    search = prepared(tmp_path, looping(tmp_path, tuner, space=space))
    with pytest.raises(TuningFailed, match="never asks hp for units_7"):
        searched(search)


def test_a_search_of_loops_with_workers_ends_with_its_trials(tmp_path: Path) -> None:
    from gridfold.search.tuner.workers import WorkerProcesses, run_distributed

    tuner = {"tuner": "random", "max_trials": 4, "workers": 1}
    search = prepared(tmp_path, looping(tmp_path, tuner))
    plan = Plan.load([tmp_path / "tiny.yaml"], results=tmp_path / "results")
    run_distributed(search, JobRequests(plan).tune(), WorkerProcesses(1, 1, 1))
    trials = trials_of(search)
    assert [trial.status for trial in trials] == [COMPLETED] * 4
    assert all(used_alone(trial.values) for trial in trials)


def test_a_killed_search_of_loops_ends_with_the_trials_of_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One model by its name, and so the same seeds.
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(LOOPS)
    found = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        study = looping(folder, TUNERS["random"])
        study["model"]["python"]["build"] = "model.py:build_model"
        search = prepared(folder, study)
        plan = Plan.load([folder / "tiny.yaml"], results=folder / "results")
        request = JobRequests(plan).tune().text()
        if name == "killed":
            process = start_search(search, request)
            file = search.paths.tuner_state
            wait_until(lambda file=file: file.exists() and COMPLETED in file.read_text())  # type: ignore[misc]
            kill(process)
        assert start_search(search, request).wait(timeout=300) == 0
        found.append([(t.values, t.score) for t in trials_of(search)])
    assert found[0] == found[1]


def test_the_selected_configuration_is_trained_again_as_the_final_model(tmp_path: Path) -> None:
    search = prepared(tmp_path, looping(tmp_path, {"tuner": "random", "max_trials": 2}))
    searched(search)
    chosen = explored(search).configurations[0]
    plan = Plan.load([tmp_path / "tiny.yaml"], results=tmp_path / "results")
    catalogue = {chosen.id: CatalogueEntry(chosen.label, chosen.settings, 2)}
    typed_json.write(search.paths.catalogue, catalogue)
    selection = selected(chosen.id, "loops", final_epochs=2)
    final = fit_final(JobRequests(plan).final(), selection, search.paths, 0)
    dense = [layer for layer in final.inside.layers if layer.kind == "Dense"]
    assert len(dense) == chosen.settings["model"]["hp"]["num_layers"] + 1


def test_neighbours_keep_what_a_model_function_has_asked_for(tmp_path: Path) -> None:
    study = looping(tmp_path, TUNERS["random"], space={"python.units_1": [4, 6, 8]})
    study["search"]["confirm"] = {}
    space = Space.of(load(tmp_path, study).study)
    one = {"model": "python", "python.num_layers": 1, "python.units_0": 8}
    two = {**one, "python.num_layers": 2, "python.units_1": 6}
    near = [neighbourhood(space, [centre], 1.0, swap=False, most=9)[:3] for centre in (one, two)]
    assert [c.axes for c in near[0]] == [one]
    assert [c.axes["python.units_1"] for c in near[1]] == [6, 4, 8]
    assert all(c.settings["model"]["hp"]["num_layers"] == 2 for c in near[1])


NESTED = """
def build(hp):
    if hp.Boolean("outer"):
        if hp.Boolean("inner"):
            hp.Float("deep", 0, 1)
    if hp.Choice("kind", ["a", "b"]) == "b":
        with hp.name_scope("b"):
            for i in range(hp.Int("count", 0, 9)):
                hp.Int(f"unit_{i}", 1, 3)
    hp.Int("last", 1, 3)
"""


def function(source: str, fixed: dict[str, Any] | None = None) -> ModelFunction:
    scope: dict[str, Any] = {}
    exec(source, scope)
    return ModelFunction("nested", scope["build"], fixed or {})


def test_a_function_is_heard_behind_all_its_branches_in_its_own_order() -> None:
    asked = function(NESTED)
    names = [parameter.name for parameter in asked.asked_for({})]
    units = [f"b/unit_{i}" for i in range(9)]
    assert names == ["outer", "inner", "deep", "kind", "b/count", *units, "last"]
    full = dict.fromkeys(names, 0) | {"kind": "a", "outer": False, "inner": True, "last": 2}
    assert asked.used(full) == {"outer", "kind", "last"}
    assert asked.used({**full, "outer": True}) == {"outer", "inner", "deep", "kind", "last"}
    assert asked.used({**full, "unknown": 1}) == {"outer", "kind", "last", "unknown"}


def test_a_function_is_called_once_for_values_that_count_alike() -> None:
    calls: list[Any] = []

    def build(hp: Any) -> None:
        calls.append(hp.values)
        if hp.Boolean("deep"):
            hp.Int("units", 1, 1000)

    asked = ModelFunction("counted", build, {})
    asked.asked_for({})
    before = len(calls)
    for units in range(1, 50):
        assert asked.used({"deep": False, "units": units}) == {"deep"}
    assert len(calls) == before + 1


def test_fixed_values_are_not_searched() -> None:
    asked = function(NESTED, {"kind": "b", "b/count": 2})
    names = [parameter.name for parameter in asked.asked_for({})]
    assert names == ["outer", "inner", "deep", "b/unit_0", "b/unit_1", "last"]


def test_a_function_that_always_fails_is_told_of_at_once() -> None:
    with pytest.raises(TuningFailed, match=r"nested fails: ZeroDivisionError"):
        function("def build(hp):\n    hp.Int('a', 1, 9)\n    1 / 0\n").asked_for({})


def test_the_oracle_of_another_model_is_left_alone(tmp_path: Path) -> None:
    oracle: LocalOracle = open_oracle(
        prepared(tmp_path, tuned({"tuner": "random", "max_trials": 1}))
    )
    answer = oracle.ask("one")
    assert isinstance(answer, Proposal)
    assert set(answer.values) == {"mlp.units", "training.learning_rate"}


def test_new_entries_of_one_of_two_models_belong_to_it_alone(tmp_path: Path) -> None:
    study = looping(tmp_path, {"tuner": "random", "max_trials": 12})
    study["model"]["mlp"] = {}
    search = prepared(tmp_path, study)
    oracle = open_oracle(search)
    answers = [oracle.ask(str(number)) for number in range(12)]
    found = [search.space.assignment(a.values) for a in answers if isinstance(a, Proposal)]
    assert {a["model"] for a in found} == {"mlp", "python"}
    for assignment in found:
        assert ("python.num_layers" in assignment) == (assignment["model"] == "python")
