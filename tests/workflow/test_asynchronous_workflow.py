"""An asynchronous Hyperband through Snakemake itself, to the report, and killed on its way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace

from gridfold.space.hyperband import schedule

STRATEGY: dict[str, Any] = {"type": "hyperband", "factor": 2, "asynchronous": True}


def study(**changes: Any) -> dict[str, Any]:
    """Return a study in which one worker decides, so that there is one order of trials."""
    return {
        "study": "rungs",
        "data": {"source": "iris"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": 4, "learning_rate": 0.01},
        "search": {
            "strategy": STRATEGY,
            "space": {
                "mlp.units": {"int": {"min": 4, "max": 64, "log": True}},
                "mlp.activation": {"choice": ["relu", "tanh"]},
            },
            "refine": {"top": 1, "max_configurations": 2},
            "confirm": {"top": 2, "folds": 2},
        },
        "resampling": {"method": "holdout"},
        "execution": {"workers": 1},
        "report": {"chance_level": False, "baselines": []},
    } | changes


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished search; tests only read it."""
    workspace = Workspace(tmp_path_factory.mktemp("rungs"))
    workspace.snakemake(study())
    return workspace


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "rungs"


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_parquet(results(workspace) / "tables" / f"{name}.parquet")


def test_each_rung_has_at_least_what_the_schedule_says(searched: Workspace) -> None:
    steps = table(searched, "search")
    found = steps.dropna(subset="rung").groupby(["bracket", "rung"]).size()
    for rung in schedule(4, 2):
        size = found[rung.bracket, rung.rung]
        assert size == rung.configurations if rung.rung == 0 else size >= rung.configurations
    assert list(steps["stage"].drop_duplicates()[-2:]) == ["refine1", "confirm"]


def test_the_decisions_are_written_down_in_their_order(searched: Workspace) -> None:
    made = json.loads((results(searched) / "search" / "decisions.json").read_text())
    assert [d["rung"] for d in made] != sorted(d["rung"] for d in made), "no rung has waited"
    scores = table(searched, "search").set_index(["stage", "config_id"])["score"]
    for decision in made:
        if decision["rung"]:
            stage = f"b{decision['bracket']}r{decision['rung'] - 1}"
            assert decision["score"] == pytest.approx(scores[stage, decision["config_id"]])


def test_a_promotion_goes_on_from_its_checkpoint(searched: Workspace) -> None:
    steps = table(searched, "search")
    longest = steps.dropna(subset="rung").groupby("config_id")["epochs"].max()
    assert steps.dropna(subset="rung")["new_epochs"].sum() == longest.sum()
    for file in results(searched).glob("runs/*/r0f0/result-*.json"):
        segments = [(s["first"], s["last"]) for s in json.loads(file.read_text())["segments"]]
        epochs = [e for first, last in segments for e in range(first, last + 1)]
        assert epochs == list(range(1, len(epochs) + 1))


def test_the_report_says_that_no_rung_has_waited(searched: Workspace) -> None:
    page = re.sub(r"<[^>]+>", "", (results(searched) / "report.html").read_text())
    assert "The rungs of Hyperband did not wait for each other" in page
    assert "Bracket 2, rung 1" in page


def test_the_record_of_the_jobs_is_that_of_what_has_trained(searched: Workspace) -> None:
    jobs = table(searched, "jobs").set_index("shard")
    steps = table(searched, "search")
    assert jobs.loc["rungs-001", "trained"] == steps["rung"].notna().sum()


def test_two_jobs_share_the_trials(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    asked = study(search={**study()["search"], "strategy": {**STRATEGY, "jobs": 2}})
    workspace.snakemake(asked, "--", "results/rungs/search/decisions.json")
    folder = results(workspace) / "search"
    made = json.loads((folder / "decisions.json").read_text())
    said = [json.loads(file.read_text()) for file in sorted((folder / "jobs").iterdir())]
    assert [job["job"] for job in said] == ["rungs-001", "rungs-002"]
    assert all(job["trained"] for job in said)
    assert sum(job["trained"] for job in said) == len(made)
    segments = [
        (s["first"], s["last"])
        for file in results(workspace).glob("runs/*/r0f0")
        for s in json.loads(max(file.glob("result-*.json")).read_text())["segments"]
    ]
    longest = {d["config_id"]: d["epochs"] for d in sorted(made, key=lambda d: d["epochs"])}
    assert sum(last - first + 1 for first, last in segments) == sum(longest.values())


def test_a_killed_search_goes_on_to_the_same_answer(searched: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    # Something has gone on, and most has not even begun.
    workspace.killed(study(), lambda: any(results(workspace).glob("runs/*/r0f0/result-00002.json")))
    before = workspace.trainings("rungs")
    assert not (results(workspace) / "search" / "decisions.json").exists()

    workspace.snakemake(study(), "--unlock")
    target = "results/rungs/search/decisions.json"
    workspace.snakemake(study(), "--rerun-incomplete", "--", target)
    after = workspace.trainings("rungs")
    assert {name: after[name] for name in before} == before
    decisions = [
        (results(w) / "search" / "decisions.json").read_text() for w in (workspace, searched)
    ]
    assert decisions[0] == decisions[1]
    # Bit for bit the same scores, so that `decisions` are.
    names = sorted(
        f.relative_to(results(workspace))
        for f in results(workspace).glob("shards/b*.trials.parquet")
    )
    assert names
    for name in names:
        one, two = (pd.read_parquet(results(w) / name) for w in (workspace, searched))
        kept = ["config_id", "split", "status", "epochs", "accuracy", "log_loss"]
        pd.testing.assert_frame_equal(one[kept], two[kept])
