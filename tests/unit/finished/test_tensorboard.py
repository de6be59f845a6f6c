"""A study in TensorBoard: read back by TensorBoard itself, served to nobody but its user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from synthetic import Finished, finished
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginAccumulator,
)
from tensorboard.plugins.hparams import metadata
from workbench import wait_for

PROGRAM = Path(sys.executable).parent / "gridfold"
SPACE = {
    "mlp.units": [4, 8],
    "mlp.activation": {"choice": ["relu", "tanh"]},
    "mlp.batch_norm": [True, False],
}


def study_in(folder: Path, **options: Any) -> Finished:
    """Put the tables of a finished study where the workflow does."""
    study = finished(folder, folds=2, epochs=3, **options)
    # A metric that the user has compiled into the model.
    study.epochs["val_auc"] = 1 - study.epochs["val_loss"] / 10
    tables = folder / "results" / "tiny" / "tables"
    tables.mkdir(parents=True)
    study.trials.to_parquet(tables / "trials.parquet")
    study.epochs.to_parquet(tables / "epochs.parquet")
    study.configurations.to_parquet(tables / "configurations.parquet")
    return study


def gridfold(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "tensorboard", folder / "study.yaml", "--results", folder / "results", *options],
        capture_output=True,
        text=True,
        check=False,
    )


def run_of(folder: Path, study: Finished, rank: int, split: str) -> Path:
    row = study.configurations.iloc[rank - 1]
    return folder / "results/tiny/tensorboard" / f"{rank:03d}-{row['config_id']}" / split


def session(run: Path, tag: str) -> Any:
    events = PluginAccumulator(str(run))
    events.Reload()
    content = events.summary_metadata[tag].plugin_data.content
    parse = {
        metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
        metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
    }
    return parse[tag](content)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    folder = tmp_path_factory.mktemp("board")
    study = study_in(folder, space=SPACE, failed={15: "killed"})
    for _ in range(2):
        answer = gridfold(folder, "--write-only", "--configurations", "20")
        assert answer.returncode == 0, answer.stderr
    return folder, study


def test_curves_are_those_of_the_table(written: tuple[Path, Finished]) -> None:
    folder, study = written
    best = study.configurations["config_id"].iloc[0]
    history = study.epochs[(study.epochs["config_id"] == best) & (study.epochs["split"] == "r0f1")]
    events = EventAccumulator(str(run_of(folder, study, 1, "r0f1")))
    events.Reload()
    for tag, column in (
        ("loss/training", "loss"),
        ("metric/validation", "val_metric"),
        ("followed/val_auc", "val_auc"),
    ):
        scalars = events.Scalars(tag)
        assert [s.step for s in scalars] == history["epoch"].tolist()
        assert [s.value for s in scalars] == pytest.approx(history[column].tolist())
    times = [s.wall_time for s in events.Scalars("loss/training")]
    assert times[2] - times[0] == pytest.approx(history["seconds"].iloc[1:].sum(), abs=1e-3)


def test_hyperparameters_and_scores_are_those_of_the_table(
    written: tuple[Path, Finished],
) -> None:
    folder, study = written
    row = study.configurations.iloc[0]
    run = run_of(folder, study, 1, "r0f0")
    start = session(run, metadata.SESSION_START_INFO_TAG)
    assert start.group_name == row["config_id"]
    assert start.hparams["mlp.units"].number_value == row["mlp.units"]
    assert start.hparams["mlp.activation"].string_value == row["mlp.activation"]
    assert start.hparams["mlp.batch_norm"].bool_value == row["mlp.batch_norm"]
    events = EventAccumulator(str(run))
    events.Reload()
    trial = study.trials[
        (study.trials["config_id"] == row["config_id"]) & (study.trials["split"] == "r0f0")
    ].iloc[0]
    for measure in ("accuracy", "log_loss"):
        assert events.Scalars(f"score/{measure}")[0].value == pytest.approx(trial[measure])
    assert session(run, metadata.SESSION_END_INFO_TAG).status == 1, "success"


def test_failed_trials_are_marked_so(written: tuple[Path, Finished]) -> None:
    folder, study = written
    lost = study.trials[study.trials["status"] == "failed"].iloc[0]
    rank = study.configurations["config_id"].tolist().index(lost["config_id"]) + 1
    run = run_of(folder, study, rank, lost["split"])
    assert session(run, metadata.SESSION_END_INFO_TAG).status == 2, "failure"


def test_writing_again_replaces_and_every_trial_has_one_file(
    written: tuple[Path, Finished],
) -> None:
    folder, _ = written
    files = list((folder / "results/tiny/tensorboard").rglob("events*"))
    assert len(files) == 1 + 8 * 2


def test_only_the_best_configurations_are_written(tmp_path: Path) -> None:
    study = study_in(tmp_path, space=SPACE)
    answer = gridfold(tmp_path, "--write-only", "--configurations", "3")
    assert "3 configurations" in answer.stdout
    runs = sorted(p.name for p in (tmp_path / "results/tiny/tensorboard").iterdir() if p.is_dir())
    best = study.configurations["config_id"].head(3)
    assert runs == [f"{rank:03d}-{i}" for rank, i in enumerate(best, 1)]


def test_a_study_without_tables_and_senseless_options_are_explained(tmp_path: Path) -> None:
    finished(tmp_path)
    answer = gridfold(tmp_path, "--write-only")
    assert answer.returncode == 1
    assert "run the study first" in answer.stderr
    assert "Traceback" not in answer.stderr
    answer = gridfold(tmp_path, "--configurations", "0")
    assert "0; allowed: 1 or more" in answer.stderr


@pytest.fixture(scope="module")
def served(
    written: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, psutil.Process, Path]]:
    """The address, the process, and its folder for temporary files."""
    folder, _ = written
    temporary = tmp_path_factory.mktemp("temporary")
    process = subprocess.Popen(
        [PROGRAM, "tensorboard", folder / "study.yaml", "--results", folder / "results"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, f"ended early: {said}"
        said += line
    address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", said)
    assert address
    yield address[0], psutil.Process(process.pid), temporary
    process.terminate()
    process.wait(timeout=120)
    process.stdout.close()


def ask(address: str, question: Any = None) -> Any:
    request = urllib.request.Request(
        address,
        data=None if question is None else json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def test_the_server_answers_with_runs_and_hyperparameters(
    served: tuple[str, psutil.Process, Path], written: tuple[Path, Finished]
) -> None:
    address, _, _ = served
    with urllib.request.urlopen(address, timeout=120) as page:
        assert b"TensorBoard" in page.read()
    wait_for(lambda: len(ask(f"{address}data/runs")) == 1 + 8 * 2)
    experiment = ask(f"{address}data/plugin/hparams/experiment", {})
    shown = {info["name"]: info for info in experiment["hparamInfos"]}
    assert shown["mlp.units"]["domainDiscrete"] == [4, 8]
    assert {"score/accuracy", "score/log_loss"} <= {
        info["name"]["tag"] for info in experiment["metricInfos"]
    }
    question = {
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
        "colParams": [],
    }
    groups = ask(f"{address}data/plugin/hparams/session_groups", question)["sessionGroups"]
    _, study = written
    assert {g["name"] for g in groups} == set(study.configurations["config_id"])
    best = next(g for g in groups if g["name"] == study.configurations["config_id"].iloc[0])
    accuracy = next(m for m in best["metricValues"] if m["name"]["tag"] == "score/accuracy")
    assert accuracy["value"] == pytest.approx(study.best.mean, rel=1e-5)


def test_the_server_is_silent_to_whoever_does_not_know_the_token(
    served: tuple[str, psutil.Process, Path],
) -> None:
    address, process, temporary = served
    token = address.split("/")[3]
    root = address.removesuffix(f"{token}/")
    assert len(token) >= 32
    for path in ("", "data/runs", "data/plugin/hparams/experiment", f"{token[:-1]}/data/runs"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{root}{path}", timeout=120)
        assert caught.value.code == 404
        assert token not in f"{caught.value.headers}{caught.value.read()!r}"
    assert not any(token in word for word in process.cmdline())
    assert not process.children(), "no second server for data"
    listening = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [where.ip for where in listening] == ["127.0.0.1"]
    assert not [f for f in temporary.rglob("*") if f.is_file() and token in f.read_text("latin-1")]


def test_tensorflow_is_not_loaded_for_it(served: tuple[str, psutil.Process, Path]) -> None:
    _, process, _ = served
    assert not any("tensorflow/python" in m.path for m in process.memory_maps())


def test_a_port_that_is_taken_is_said(
    served: tuple[str, psutil.Process, Path], written: tuple[Path, Finished]
) -> None:
    port = served[0].split(":")[2].partition("/")[0]
    answer = gridfold(written[0], "--port", port)
    assert answer.returncode == 1
    assert f"port {port}" in answer.stderr
    assert "Traceback" not in answer.stderr
