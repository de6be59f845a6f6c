"""Which study a verb is about: files, a folder of results, or nothing named."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.cli.main import main
from gridfold.plan.plan import Plan
from gridfold.store.seals import write_sealed
from gridfold.store.trials import trial_name


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(*words: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    """Return what a verb prints and what it says beside."""
    assert main(words) == code
    streams = capsys.readouterr()
    return streams.out, streams.err


def begin_run(*files: str, overrides: dict[str, Any] | None = None) -> Path:
    """Leave what a run writes first, and return the folder of results."""
    plan = Plan.load(files, overrides)
    plan.ledger.append_to(plan.paths.ledger)
    plan.run.write(plan.paths.last_run)
    return plan.paths.root


# -- nothing named --------------------------------------------------------------------------------


def test_study_yaml_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("another.yaml"), tiny_study(study="another"))
    write_study(Path("study.yaml"), tiny_study(study="usual"))
    assert "Study usual:" in said("plan", capsys=capsys)[0]


@pytest.mark.parametrize("place", ["mine.yml", "config/mine.yaml"])
def test_then_the_only_study_here(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(place).parent.mkdir(exist_ok=True)
    write_study(Path(place), tiny_study(study="mine"))
    Path("more.yaml").write_text("training: {epochs: 9}\n")
    Path("broken.yaml").write_bytes(b"\xff")
    assert "Study mine:" in said("plan", capsys=capsys)[0]


def test_several_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b.yaml", "a.yaml"):
        write_study(Path(name), tiny_study())
    for verb in ("status", "export", "starts"):
        _, told = said(verb, capsys=capsys, code=2)
        assert "Which study? There are several: a.yaml, b.yaml. Name a study file" in told


def test_without_a_study_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = said("status", capsys=capsys, code=2)
    assert "Which study? There is none here. Name a study file, or a folder of results" in told


# -- a folder of results --------------------------------------------------------------------------


def test_a_folder_stands_for_its_last_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("tiny.yaml"), tiny_study())
    folder = begin_run("tiny.yaml", overrides={"resampling": {"folds": 4}})
    # The file may be another by now, or gone.
    Path("tiny.yaml").unlink()
    assert "trials 0/8 done" in said("status", str(folder), capsys=capsys)[0]
    assert "x 4 splits" in said("validate", str(folder), capsys=capsys)[0]
    elsewhere = folder.rename("moved")
    plan = json.loads(said("plan", str(elsewhere), "--json", capsys=capsys)[0])
    assert plan["results"] == "moved"
    assert plan["splits"] == ["r0f0", "r0f1", "r0f2", "r0f3"]


@pytest.mark.parametrize("verb", ["status", "plan", "show", "paper", "starts", "optuna"])
def test_a_folder_of_an_earlier_version_is_told_from_none(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(Path("tiny.yaml"), tiny_study())
    folder = begin_run("tiny.yaml")
    (folder / "run.json").unlink()
    words = [verb, *(["abc"] if verb == "show" else [])]
    _, told = said(*words, str(folder), capsys=capsys, code=1)
    assert "has no run.json, which says what was run" in told
    assert "Name the study file instead" in told
    _, told = said(*words, str(folder.parent), capsys=capsys, code=1)
    assert "results has no results of a study; allowed: study files, or a folder" in told


def test_a_folder_goes_with_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("tiny.yaml"), tiny_study())
    folder = str(begin_run("tiny.yaml"))
    for more in (["tiny.yaml"], ["--config", "training={epochs: 9}"]):
        _, told = said("status", folder, *more, capsys=capsys, code=1)
        assert f"{folder} is a folder, which stands for its last run" in told


def test_verbs_of_finished_studies_take_the_study_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_study(Path("study.yaml"), tiny_study())
    Path("new.csv").write_text("a\n1\n")
    for words in (
        ["predict", "study.yaml", "new.csv"],
        ["predict", "new.csv"],
        ["predict", "results/tiny", "new.csv"],
        ["export"],
        ["export", "study.yaml", "--results", "results"],
    ):
        assert "results/tiny has no final model" in said(*words, capsys=capsys, code=1)[1]
    Path("nameless.yaml").write_text("data: {source: iris}\n")
    _, told = said("export", "nameless.yaml", capsys=capsys, code=1)
    assert "study: no name" in told
    assert "Which samples?" in said("predict", "study.yaml", capsys=capsys, code=2)[1]


def test_the_index_of_a_study_is_that_of_its_neighbours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_study(Path("study.yaml"), tiny_study())
    folder = begin_run("study.yaml")
    for named in ([], ["study.yaml"], [str(folder)], ["results"]):
        facts = json.loads(said("index", *named, "--json", capsys=capsys)[0])
        assert [study["study"] for study in facts["studies"]] == ["tiny"]
    assert not Path("results/index.html").exists()
    assert "Not finished" in said("index", capsys=capsys)[0]
    assert Path("results/index.html").exists()
    assert "x is no folder" in said("index", "x", capsys=capsys, code=1)[1]


# -- values of the command line -------------------------------------------------------------------


def test_values_of_the_last_run_count_for_verbs_that_look_at_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_study(Path("study.yaml"), tiny_study())
    begin_run("study.yaml", overrides={"resampling": {"folds": 4}})
    out, told = said("status", capsys=capsys)
    assert "trials 0/8 done" in out
    assert told == "note: as in the last run, with --config 'resampling={folds: 4}'\n"
    out, told = said("plan", capsys=capsys)
    assert "splits          2" in out
    assert told.startswith("note: without --config 'resampling={folds: 4}', which the last run had")


def test_values_can_be_given_as_to_snakemake(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("study.yaml"), tiny_study())
    begin_run("study.yaml", overrides={"resampling": {"folds": 4}})
    out, told = said("plan", "--config", "resampling={folds: 3}", "--json", capsys=capsys)
    assert told == ""
    plan = json.loads(out)
    assert plan["command"] == ("snakemake --configfile study.yaml --config 'resampling={folds: 3}'")
    assert "trials 0/6" in said("status", "--config", "resampling={folds: 3}", capsys=capsys)[0]
    _, told = said("plan", "--config", "training={epochs: 0}", capsys=capsys, code=1)
    assert "training.epochs: 0" in told
    for wrong in ("epochs", "=3"):
        _, told = said("plan", "--config", wrong, capsys=capsys, code=2)
        assert f"{wrong}; allowed: KEY=VALUE" in told


def test_other_files_have_no_part_in_the_last_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("study.yaml"), tiny_study())
    write_study(Path("copy.yaml"), tiny_study())
    begin_run("copy.yaml", overrides={"resampling": {"folds": 4}})
    out, told = said("status", capsys=capsys)
    assert "trials 0/4 done" in out
    assert told == ""


# -- JSON of a study that has not run -------------------------------------------------------------


def test_the_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("study.yaml"), tiny_study())
    plan = json.loads(said("plan", "--json", capsys=capsys)[0])
    assert set(plan) == {
        "study",
        "files",
        "command",
        "results",
        "configurations",
        "duplicates",
        "splits",
        "stages",
        "trials",
        "seconds",
        "estimate",
        "budget",
        "changed",
        "notes",
    }
    assert plan["budget"] is None
    assert plan["trials"] == {"done": 0, "total": 4}
    assert [c["label"] for c in plan["configurations"]] == ["mlp units=4", "mlp units=8"]
    assert plan["configurations"][0]["settings"]["model"]["units"] == [4]
    assert plan["stages"] == [
        {
            "stage": "explore",
            "configurations": 2,
            "exact": True,
            "asynchronous": False,
            "epochs": None,
            "splits": 2,
            "trials": 4,
        }
    ]


def test_the_state_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("study.yaml"), tiny_study())
    status = json.loads(said("status", "--json", capsys=capsys)[0])
    assert status == {
        "study": "tiny",
        "results": "results/tiny",
        "state": "not begun",
        "trials": {"done": 0, "total": 4},
        "stages": [{"stage": "explore", "done": 0, "total": 4, "decided": True, "left_out": 0}],
        "jobs": [],
        "changed": [],
        "cut_by_budget": False,
        "answer": None,
        "controller": None,
    }


def test_a_configuration_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("study.yaml"), tiny_study())
    plan = Plan.load(["study.yaml"])
    config_id = plan.configurations[0].id
    trial = plan.paths.trial(config_id, "r0f0")
    trial.mkdir(parents=True)
    scores = {"accuracy": math.nan, "f1": 0.5}
    finished = {"status": "finished", "epochs_trained": 2, "scores": scores}
    write_sealed(trial / "result-00003.json", finished, trial_name(trial))
    other = plan.paths.trial(config_id, "r0f1")
    failed = {"kind": "error", "reason": "ValueError: no", "detail": "Traceback"}
    write_sealed(other / "failure.json", failed, trial_name(other))
    shown = json.loads(said("show", config_id[:8], "--json", capsys=capsys)[0])
    assert set(shown) == {"id", "label", "settings", "trials"}
    assert shown["trials"][0] == {
        "stage": "explore",
        "split": "r0f0",
        "state": "finished",
        "epochs": 3,
        "epochs_trained": 2,
        "scores": {"accuracy": None, "f1": 0.5},
        "kind": "",
        "reason": "",
        "detail": "",
        "advice": "",
    }
    assert shown["trials"][1]["state"] == "failed"
    assert shown["trials"][1]["reason"] == "ValueError: no"


# -- what can't be written ------------------------------------------------------------------------


def test_a_full_disk_behind_the_output_is_told() -> None:
    program = Path(sys.executable).with_name("gridfold")
    with open("/dev/full", "w") as full:
        answer = subprocess.run([program, "schema"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "gridfold: the output can't be written: No space left on device\n"
