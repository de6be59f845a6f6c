"""The command line, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from studies import tiny_study, write_study
from workbench import ROOT

from gridfold import __version__
from gridfold.cli.main import main
from gridfold.plan.plan import Plan


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(Path("tiny.yaml"), tiny_study())


def test_a_good_study_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "tiny.yaml"]) == 0
    assert "tiny.yaml: valid, 2 configurations x 2 splits = 4 trials" in capsys.readouterr().out


def test_a_bad_study_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(Path("bad.yaml"), tiny_study(training={"epochs": 0, "bach_size": 3}))
    assert main(["validate", "bad.yaml"]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "2 problems" in streams.err
    assert "did you mean `batch_size`?" in streams.err
    assert "Traceback" not in streams.err


def test_a_later_file_overrides_an_earlier_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("more.yaml").write_text("resampling: {folds: 4}\n")
    assert main(["validate", "tiny.yaml", "more.yaml"]) == 0
    assert "x 4 splits" in capsys.readouterr().out


def test_the_plan_lists_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tiny.yaml", "--list", "--cores", "2"]) == 0
    out = capsys.readouterr().out
    for configuration in Plan.load(["tiny.yaml"]).configurations:
        assert f"{configuration.id}  {configuration.label}" in out
    assert not Path("results").exists()


def test_status_before_any_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "tiny.yaml"]) == 0
    assert "trials 0/4 done, no job is running" in capsys.readouterr().out


def test_show_takes_the_beginning_of_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan.load(["tiny.yaml"])
    configuration = plan.configurations[0]
    folder = plan.paths.trial(configuration.id, "r0f0")
    folder.mkdir(parents=True)
    (folder / "result-00003.json").write_text(
        json.dumps({"status": "finished", "epochs_trained": 3, "scores": {"accuracy": 0.5}})
    )
    folder = plan.paths.trial(configuration.id, "r0f1")
    folder.mkdir(parents=True)
    (folder / "failure.json").write_text(
        json.dumps({"kind": "error", "reason": "ValueError: no", "detail": "Traceback ..."})
    )
    assert main(["show", configuration.id[:6], "tiny.yaml"]) == 0
    out = capsys.readouterr().out
    assert '"batch_size": 32' in out
    assert "r0f0  finished after 3 epochs  accuracy 0.5000" in out
    assert "r0f1  failed (error): ValueError: no" in out


def test_show_of_an_unknown_id_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "zzz", "tiny.yaml"]) == 1
    assert Plan.load(["tiny.yaml"]).configurations[0].id in capsys.readouterr().err


def test_show_of_an_ambiguous_beginning_names_what_it_could_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Of 17 ids, two begin alike.
    write_study(Path("wide.yaml"), tiny_study(search={"space": {"mlp.units": [*range(1, 18)]}}))
    ids = [configuration.id for configuration in Plan.load(["wide.yaml"]).configurations]
    first = next(i[0] for i in ids if sum(other[0] == i[0] for other in ids) > 1)
    alike = [i for i in ids if i[0] == first]
    assert main(["show", first, "wide.yaml"]) == 1
    text = capsys.readouterr().err
    assert f"{len(alike)} configurations begin with {first}" in text
    assert {i for i in ids if i in text} == set(alike)


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["training"]


def test_generated_files_are_checked_and_repaired(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("config", "docs"):
        shutil.copytree(ROOT / folder, folder)
    assert main(["schema", "--check"]) == 0
    Path("config/reference.yaml").write_text("study: old\n")
    assert main(["schema", "--check"]) == 1
    assert "uv run gridfold schema --write" in capsys.readouterr().err
    assert main(["schema", "--write"]) == 0
    assert main(["schema", "--check"]) == 0


@pytest.mark.parametrize("verb", ["validate", "plan", "status", "show", "schema", "doctor"])
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 150


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out
