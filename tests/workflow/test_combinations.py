"""What a study can ask for, in all pairs: a part of the studies is planned a day, and some are run.

`COMBINATIONS` says which studies these are: a day, as `2026-11-29`, the name of a study, or `all`
(`make combinations`). Left out, it is today, so that all have been planned after some days, and run
after some weeks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import combineddata
import daily
import numpy as np
import pandas as pd
import pytest
from combinations import (
    EPOCHS,
    REFUSALS,
    Combination,
    Refusal,
    all_pairs,
    covering_set,
    is_possible,
    is_refused,
    of_day,
    pairs_of,
    splits_of,
    study,
)
from dryruns import PROFILES, dry_runs
from needs import need_horovod
from studies import write_study
from workspaces import Workspace

from gridfold.cli.main import main
from gridfold.errors import StudyError
from gridfold.plan.plan import Plan

A_DAY = 1
PLANNED_A_DAY = 20
ASKED = os.environ.get("COMBINATIONS") or daily.day()


def places() -> list[str | int]:
    """Return what the studies that are run are called: by name, or by their place on this day."""
    if ASKED == "all":
        return [*covering_set()]
    # Not by name: two processes of one run of the tests might begin on different days.
    return [ASKED] if ASKED.startswith("c") else [*range(A_DAY)]


def planned() -> dict[str, Combination]:
    """Return the studies that are planned, by name."""
    everything = covering_set()
    if ASKED == "all":
        return everything
    names = [ASKED] if ASKED.startswith("c") else of_day(ASKED, PLANNED_A_DAY)
    return {name: everything[name] for name in names}


def chosen(place: str | int) -> str:
    """Return the name of a study that is run."""
    return place if isinstance(place, str) else of_day(ASKED, A_DAY)[place]


def test_each_pair_that_can_be_had_is_in_a_study() -> None:
    found = {pair for combination in covering_set().values() for pair in pairs_of(combination)}
    assert found == {pair for pair in all_pairs() if is_possible(pair)}
    assert not any(map(is_refused, covering_set().values()))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda r: " with ".join(r.choices))
def test_what_cannot_be_had_together_is_refused(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for combination in refusal.examples():
        combineddata.write(tmp_path, {"refused": combination})
        file = write_study(tmp_path / "study.yaml", study("refused", combination))
        with pytest.raises(StudyError) as caught:
            Plan.load([file])
        assert refusal.said in str(caught.value), combination


def test_each_study_has_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    studies = planned()
    print(f"Once more: COMBINATIONS={ASKED} pytest tests/workflow/test_combinations.py")
    combineddata.write(tmp_path, studies)
    lines = []
    for name, combination in studies.items():
        write_study(tmp_path / f"{name}.yaml", study(name, combination))
        lines.append(("--configfile", f"{name}.yaml", *PROFILES[combination["profile"]]))
    runs = dict(zip(studies, dry_runs(tmp_path, *lines), strict=True))
    assert not [f"{name}: {run.said}" for name, run in runs.items() if not run.ended]
    for name, combination in studies.items():
        rules = {rule for job in runs[name].jobs for rule in job["rules"]}
        assert ("fit_ensemble" in rules) == (combination["final"] == "ensemble"), name
        assert ("run_notebook" in rules) == (combination["report"] == "notebook"), name
        is_tuned = combination["strategy"].startswith(("tuner", "optuna"))
        assert ("tune" in rules) == is_tuned, name
        assert ("train_rungs" in rules) == (combination["strategy"] == "asynchronous"), name
        assert ("estimate_nested" in rules) == (combination["beside"] == "outer folds"), name
        assert ("find_front" in rules) == (combination["beside"] == "objectives"), name
        assert ("train_distributed" in rules) == (combination["distribution"] != "none"), name
        only_tuned = is_tuned and combination["stages"] == "none"
        assert ("choose" in rules) != only_tuned, name
        stages = {stage.name for stage in Plan.load([tmp_path / f"{name}.yaml"]).stages}
        assert ("race2" in stages) == (combination["stages"] == "race"), name
        assert ("confirm" in stages) == (combination["stages"] in ("confirm", "all")), name


@pytest.mark.parametrize("place", places())
def test_a_study_runs_to_a_report_that_is_true(
    place: str | int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = chosen(place)
    combination = covering_set()[name]
    print(f"{name}: {dict(combination)}")
    print(f"Once more: COMBINATIONS={name} pytest tests/workflow/test_combinations.py")
    if combination["distribution"] == "horovod":
        need_horovod()
    monkeypatch.chdir(tmp_path)
    combineddata.write(tmp_path, {name: combination})
    workspace, content = Workspace(tmp_path, is_lean=False), study(name, combination)
    workspace.snakemake(content)
    results = Path("results", name)
    _check_trials(results, content, combination)
    _check_report(results, combination)
    _check_final_model(results, combination)
    if combination["final"] == "ensemble":
        _check_ensemble(results, combination)
    assert not workspace.planned_jobs(content), "nothing is left to do"


def _table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(results / "tables" / f"{name}.parquet")


def _record(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def _check_trials(results: Path, content: Mapping[str, Any], combination: Combination) -> None:
    """Check that all that was planned was trained, in full, and that nothing failed."""
    trials = _table(results, "trials")
    assert set(trials["status"]) == {"finished"}, trials["reason"].tolist()
    splits = trials.groupby("config_id")["split"].agg(set)
    assert splits.map(len).eq(splits_of(combination)).all()
    assert len(trials) == splits.map(len).sum()
    assert set(trials["epochs"]) == {EPOCHS}
    best = _record(results / "tables" / "best.json")
    assert best["config_id"] in splits.index
    if (results / "tables" / "search_trials.parquet").exists():
        searched = _table(results, "search_trials")
        assert set(searched["status"]) == {"finished"}, searched["reason"].tolist()
        assert set(splits.index) <= set(searched["config_id"])
        assert 1 <= len(splits) <= 4
    else:
        file = write_study(Path("study.yaml"), dict(content))
        assert set(splits.index) == {c.id for c in Plan.load([file]).configurations}
    several = combination["distribution"] != "none"
    assert set(trials["world_size"]) == {2 if several else 1}


def _check_report(results: Path, combination: Combination) -> None:
    """Check that the report says what was selected, and has what was asked for."""
    page = (results / "report.html").read_text()
    assert _record(results / "tables" / "best.json")["config_id"] in page
    is_there = (results / "notebook" / "notebook.html").exists()
    assert is_there == (combination["report"] == "notebook")
    assert ('href="notebook/notebook.html"' in page) == is_there


def _check_final_model(results: Path, combination: Combination) -> None:
    """Check that raw samples get the predictions that the test score was made of."""
    card = _record(results / "final" / "card.json")
    best = _record(results / "tables" / "best.json")
    assert card["configuration"]["id"] == best["config_id"]
    test = pd.read_parquet(results / "final" / "test_predictions.parquet")
    assert (card["test"] is None) == (combination["test set"] == "none") == test.empty
    predicted = _predictions(results, combination)
    assert np.isfinite(predicted).all()
    if not test.empty:
        assert len(test) == card["test"]["samples"]
        rows = test["sample"].to_numpy()
        if combination["source"] == "windows":
            rows = combineddata.rows_of_windows(rows)
        expected = np.stack(test["prediction"].to_list())
        if not card["output_scaling"]["undone_by_the_model"]:
            scaling = card["output_scaling"]
            expected = expected / np.array(scaling["scale"]) + np.array(scaling["center"])
        # Batches of another size are rounded differently.
        tolerance = 0.02 if combination["training"] == "bfloat16" else 1e-4
        np.testing.assert_allclose(predicted[rows], expected, rtol=tolerance, atol=tolerance)


def _check_ensemble(results: Path, combination: Combination) -> None:
    """Check that the ensemble has the model of each split of the selected configuration."""
    trials, card = _table(results, "trials"), _record(results / "final" / "card.json")
    selected = trials["config_id"] == card["configuration"]["id"]
    members = card["ensemble"]["members"]
    assert sorted(members) == sorted(trials[selected]["split"])
    assert len(members) == splits_of(combination)
    assert (card["ensemble"]["test"] is None) == (combination["test set"] == "none")
    assert np.isfinite(_predictions(results, combination, "--ensemble")).all()


def _predictions(results: Path, combination: Combination, *options: str) -> Any:
    """Return what `gridfold predict` says of all samples, of shape (samples, outputs)."""
    samples = combineddata.table_of(combination) or results / "data" / "features.npy"
    file = results / "predicted.csv"
    main(["predict", str(results), str(samples), "-o", str(file), *options])
    table = pd.read_csv(file)
    card = _record(results / "final" / "card.json")
    outputs = card["data"]["outputs"]
    return table[[name if name in table else f"p({name})" for name in outputs]].to_numpy(float)
