"""A finished study for Optuna, and for another search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from studies import tiny_study, write_study
from synthetic import finished

from gridfold.cli.main import main
from gridfold.plan.loading import load_study
from gridfold.plan.plan import Plan

SPACE = {
    "mlp.units": [4, 8, 16],
    "training.optimizer": ["adam", "sgd"],
    "training.momentum": {"grid": [0.0, 0.9], "when": {"training.optimizer": "sgd"}},
    "training.learning_rate": {"logspace": {"start": 0.001, "stop": 0.1, "num": 3}},
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with its tables, one configuration of which has lost a trial."""
    found = finished(tmp_path, space=SPACE)
    file = tmp_path / "study.yaml"
    table = found.configurations
    table.loc[table.index[-1], "n_failed"] = 1
    folder = Plan.load([file], results=tmp_path / "results").paths.tables
    folder.mkdir(parents=True)
    for name in ("trials", "epochs", "configurations"):
        getattr(found, name).to_parquet(folder / f"{name}.parquet")
    return file


def run(*words: Any) -> int:
    return main(list(map(str, words)))


def test_optuna_opens_the_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan.load([study], results=study.parent / "results")
    assert run("optuna", study, "--results", study.parent / "results") == 0
    file = plan.paths.root / "optuna.db"
    opened = optuna.load_study(study_name="tiny", storage=f"sqlite:///{file}")
    assert opened.direction is optuna.study.StudyDirection.MAXIMIZE
    assert len(opened.trials) == len(plan.configurations) == 27
    states = [trial.state for trial in opened.trials]
    assert states.count(optuna.trial.TrialState.FAIL) == 1

    best = opened.best_trial
    chosen = next(c for c in plan.configurations if c.id == best.user_attrs["config_id"])
    assert best.params == pytest.approx(chosen.axes), "conditional axes only where they are active"
    assert {"training.momentum" in trial.params for trial in opened.trials} == {True, False}
    assert best.intermediate_values, "the curve of the validation loss"
    units = next(t for t in opened.trials if "mlp.units" in t.params).distributions["mlp.units"]
    assert (units.low, units.high) == (4, 16)
    rate = best.distributions["training.learning_rate"]
    assert rate.log
    assert "27 configurations" in capsys.readouterr().out


def test_the_best_are_starting_points_of_another_search(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("starts", study, "--results", study.parent / "results", "--top", 3) == 0
    points = yaml.safe_load(capsys.readouterr().out)
    assert len(points) == 3
    content = yaml.safe_load(study.read_text())
    content["search"] |= {"strategy": {"type": "random", "n": 6, "seed": 1}, "starts": points}
    loaded = load_study([write_study(tmp_path / "next.yaml", content)])
    found = [c.axes for c in loaded.expansion.configurations[:3]]
    assert found == [{"model": "mlp", **point} for point in points]


def test_a_study_without_tables_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_study(tmp_path / "study.yaml", tiny_study())
    assert run("optuna", file, "--results", tmp_path / "results") == 1
    assert "run the study first" in capsys.readouterr().err
