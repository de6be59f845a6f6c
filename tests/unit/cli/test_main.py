"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from studies import tiny_study, write_study
from workbench import ROOT

from gridfold import __version__
from gridfold.cli.main import main
from gridfold.plan.plan import Plan
from gridfold.store.seals import write_sealed
from gridfold.store.trials import trial_name


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
    finished = {"status": "finished", "epochs_trained": 3, "scores": {"accuracy": 0.5}}
    write_sealed(folder / "result-00003.json", finished, trial_name(folder))
    folder = plan.paths.trial(configuration.id, "r0f1")
    folder.mkdir(parents=True)
    failed = {"kind": "error", "reason": "ValueError: no", "detail": "Traceback ..."}
    write_sealed(folder / "failure.json", failed, trial_name(folder))
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
    assert main([verb, "--help"]) == 0
    assert len(capsys.readouterr().out) > 150


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


VERBS = sorted(
    [
        "attach",
        "audit",
        "compare",
        "doctor",
        "export",
        "index",
        "new",
        "optuna",
        "pack",
        "paper",
        "plan",
        "predict",
        "profile",
        "schema",
        "show",
        "starts",
        "status",
        "stop",
        "submit",
        "tensorboard",
        "unpack",
        "validate",
    ]
)
PROGRAM = Path(sys.executable).with_name("gridfold")


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said of arguments that no verb takes."""
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    return streams.err


def test_help_lists_every_verb_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    groups = re.findall(r"^([A-Z][a-z ]+):\n((?:  .*\n)+)", text, re.M)
    listed = {title: re.findall(r"^  (\w+)  ", body, re.M) for title, body in groups}
    del listed["Options"]
    assert sorted(verb for verbs in listed.values() for verb in verbs) == VERBS
    assert listed["Begin a study"] == ["new", "validate", "plan", "audit"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_argument_and_option(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "-h"]) == 0
    text = capsys.readouterr().out
    for section in re.findall(r"^(?:Positional arguments|Options):\n((?:  .*\n)+)", text, re.M):
        for entry in re.findall(r"^  \S.*\n(?: {3,}.*\n)*", section, re.M):
            words = entry.split()
            assert len([word for word in words if word.islower()]) >= 2, entry


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys=capsys)
    assert "Begin a study" in text


def test_a_mistyped_verb_is_refused_with_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = refused("vaildate", "tiny.yaml", capsys=capsys)
    assert "'vaildate'. Did you mean 'validate'? Allowed: new, validate, plan" in text
    assert all(verb in text for verb in VERBS)


def test_a_mistyped_option_is_refused_with_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = refused("plan", "--corse", "2", "tiny.yaml", capsys=capsys)
    assert (
        "'--corse'. Did you mean '--cores'? Allowed: --config, --results, --cores, --list" in text
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--cores", "0"], "'--cores': 0; allowed: 1 or more"),
        (["starts", "--top", "few"], "'--top': few; allowed: 1 or more"),
        (["export", "results/x", "--format", "h5"], "'h5' is not one of 'savedmodel', 'onnx'"),
        (["show"], "Missing argument 'CONFIG_ID'"),
        (["new", "one", "two"], "unexpected extra argument (two)"),
    ],
)
def test_wrong_values_are_refused_with_place_and_what_is_allowed(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(*arguments, capsys=capsys)


def test_an_interruption_is_no_error() -> None:
    with subprocess.Popen(
        [PROGRAM, "status", "tiny.yaml", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that a shell runs in the background are born with this signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as watching:
        assert watching.stdout
        assert "trials 0/4 done" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert err.strip() == ""


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    answer = subprocess.run(
        ["bash", "-c", '"$0" schema | head -n 1', PROGRAM],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "{\n"
    assert answer.stderr == ""


# -- completion in a shell ------------------------------------------------------------------------


def bash_completes(*words: str) -> list[str]:
    """Return what bash offers for the last word after Tab."""
    script = (
        f'PATH="{PROGRAM.parent}:$PATH"\n'
        'eval "$(_GRIDFOLD_COMPLETE=bash_source gridfold)"\n'
        f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)})\n"
        f"COMP_CWORD={len(words) - 1}\n"
        'compopt() { echo compopt "$@"; }\n'
        "_gridfold_completion gridfold\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert answer.stderr == ""
    return answer.stdout.split("\n")[:-1]


def test_bash_completes_verbs_options_and_values() -> None:
    assert bash_completes("gridfold", "sta") == ["status", "starts"]
    assert bash_completes("gridfold", "plan", "--co") == ["--config", "--cores"]
    assert bash_completes("gridfold", "export", "x", "--format", "o") == ["onnx"]


def test_bash_completes_study_files_by_its_own_means() -> None:
    assert "compopt -o default" in bash_completes("gridfold", "validate", "ti")


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("zsh", {"COMP_WORDS": "gridfold sta", "COMP_CWORD": "1"}),
        ("fish", {"COMP_WORDS": "gridfold sta", "COMP_CWORD": "sta"}),
    ],
)
def test_other_shells_get_a_script_and_answers(shell: str, words: dict[str, str]) -> None:
    def ask(**environment: str) -> str:
        return subprocess.run(
            [PROGRAM],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert f"_GRIDFOLD_COMPLETE={shell}_complete" in ask(_GRIDFOLD_COMPLETE=f"{shell}_source")
    answers = ask(_GRIDFOLD_COMPLETE=f"{shell}_complete", **words)
    assert "status" in answers
    assert "starts" in answers
    assert "validate" not in answers
