"""The verbs of the command line on a finished study: sound, damaged, and where nothing is writable.

One study, run with values from the command line.
"""

from __future__ import annotations

import html
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from workspaces import Workspace, tiny

from gridfold.cli.main import main

VALUES = {"training": {"epochs": 2, "learning_rate": 0.01}, "search": {"space": {"mlp.units": [4]}}}
WORDS = [f"{key}={yaml.safe_dump(v, default_flow_style=True)}" for key, v in VALUES.items()]
ANSWER = {
    "id",
    "label",
    "measure",
    "mean",
    "low",
    "high",
    "corrected",
    "corrected_low",
    "corrected_high",
    "confidence",
    "splits",
    "compared",
    "tried",
    "test",
    "nested",
    "created",
    "report",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a study was run with `VALUES`."""
    workspace = Workspace(tmp_path_factory.mktemp("verbs"))
    workspace.snakemake(tiny(), "--config", *WORDS)
    return workspace.folder


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which a user works."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
    monkeypatch.chdir(copy)
    return copy


def config_id(here: Path) -> str:
    best = json.loads((here / "results/tiny/tables/best.json").read_text())
    return str(best["config_id"])


def test_the_report_says_the_whole_command(here: Path) -> None:
    page = html.unescape((here / "results/tiny/report.html").read_text())
    command = (
        "snakemake --configfile study.yaml --config "
        "'training={epochs: 2, learning_rate: 0.01}' 'search={space: {mlp.units: [4]}}'"
    )
    assert command in page
    assert shlex.split(command)[4] == "training={epochs: 2, learning_rate: 0.01}"


@pytest.mark.parametrize("named", [[], ["study.yaml"], ["results/tiny"]])
def test_what_came_by_config_is_part_of_what_verbs_read(
    named: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *named, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["state"] == "finished"
    assert status["trials"] == {"done": 2, "total": 2}
    assert set(status["answer"]) == ANSWER
    assert status["answer"]["label"] == "mlp units=4"
    assert main(["show", config_id(here), *named]) == 0
    assert "r0f1  finished after 2 epochs  accuracy" in capsys.readouterr().out


def test_a_run_without_the_values_ends_their_part(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Workspace(here).snakemake(tiny(), "--", "results/tiny/search/explore.json")
    assert json.loads((here / "results/tiny/run.json").read_text())["overrides"] == {}
    assert main(["status"]) == 0
    streams = capsys.readouterr()
    assert "trials 0/4 done" in streams.out
    assert streams.err == ""


def test_studies_compare_and_are_listed_as_json(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("results/tiny", "results/twin")
    assert main(["compare", "study.yaml", "results/twin", "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert set(compared) == {"reference", "measure", "confidence", "studies", "comparisons"}
    assert [study["study"] for study in compared["studies"]] == ["tiny", "twin"]
    (found,) = compared["comparisons"]
    assert set(found) == {"study", "conclusion", "test", "splits", "obstacles"}
    assert set(found["test"]) == {"value", "low", "high", "p_value", "basis"}
    assert found["test"]["value"] == 0
    assert not Path("results/comparison.html").exists()
    assert main(["index", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["studies"]
    assert [study["study"] for study in listed] == ["tiny", "twin"]
    assert set(listed[0]) == {"study", "results", "trials", "running_jobs", "answer"}
    assert set(listed[0]["answer"]) == ANSWER


def test_packed_records_count_as_before_and_are_taken_out_by_a_run_that_needs_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = records(here)
    assert main(["pack", "study.yaml"]) == 0
    assert f"{len(before)} files of results/tiny in 1 archive" in capsys.readouterr().out
    assert records(here) == {}
    assert main(["status", "results/tiny", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["trials"]) == ("finished", {"done": 2, "total": 2})
    assert main(["index", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["studies"]
    assert listed["trials"]["done"] == 2
    assert main(["show", config_id(here), "results/tiny"]) == 0
    assert "r0f1  packed; gridfold unpack takes its records out" in capsys.readouterr().out
    # With nothing to do, a run leaves them.
    said = Workspace(here).snakemake(tiny(), "--config", *WORDS).stderr
    assert "2 of 2 trials done before" in said
    assert records(here) == {}
    study = tiny(training=VALUES["training"], search={"space": {"mlp.units": [4, 5]}})
    said = Workspace(here).snakemake(study).stderr
    assert "2 of 4 trials done before" in said
    assert "took the records of 1 configuration out of results/tiny/packed" in said
    found = records(here)
    trained = {name: held for name, held in before.items() if "/final/" not in name}
    assert trained.items() <= found.items()
    assert main(["pack", "results/tiny"]) == 0
    assert main(["unpack", "results/tiny"]) == 0
    assert "2 configurations taken out" in capsys.readouterr().out
    assert records(here) == found
    assert main(["pack", "results"]) == 1
    assert "no folder of results of a study" in capsys.readouterr().err


def records(here: Path) -> dict[str, bytes]:
    """Return the files of the run store."""
    runs = here / "results" / "tiny" / "runs"
    files = [file for file in runs.rglob("*") if file.is_file()]
    return {file.relative_to(here).as_posix(): file.read_bytes() for file in files}


# -- damaged results ------------------------------------------------------------------------------

VERBS = {
    "status": ["status", "results/tiny"],
    "status --json": ["status", "results/tiny", "--json"],
    "plan": ["plan", "study.yaml"],
    "show": ["show", "{id}", "results/tiny"],
    "starts": ["starts", "results/tiny"],
    "optuna": ["optuna", "results/tiny"],
    "tensorboard": ["tensorboard", "results/tiny", "--write-only"],
    "compare": ["compare", "results/tiny", "results/twin"],
    "index": ["index"],
    "predict": ["predict", "results/tiny", "results/tiny/data/features.npy"],
}
FILES = [
    "run.json",
    "ledger.jsonl",
    "splits.npz",
    "data/manifest.json",
    "data/features.npy",
    "logs/prepare_data.answered",
    "search/explore.json",
    "tables/best.json",
    "tables/trials.parquet",
    "tables/configurations.parquet",
    "final/card.json",
    "final/model.keras",
    "final/preprocessing.json",
    "final/test_predictions.parquet",
]
# Of the verbs that take their time.
TABLES = ["run.json", "tables/trials.parquet", "tables/configurations.parquet"]
MODEL = ["final/card.json", "final/model.keras", "final/preprocessing.json"]
READ_BY = {"optuna": TABLES, "tensorboard": TABLES, "predict": MODEL}


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def fill_with_rubbish(file: Path) -> None:
    file.write_bytes(b"\x00\xff\x80rubbish\n")


def put_a_folder_there(file: Path) -> None:
    file.unlink()
    file.mkdir()


def write_what_lacks_everything(file: Path) -> None:
    """Write a record of no version, which has none of the keys."""
    file.write_text("{}\n")


DAMAGES = [Path.unlink, cut, fill_with_rubbish, put_a_folder_there, write_what_lacks_everything]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("verb", VERBS)
def test_damaged_results_end_no_verb_with_a_traceback(
    verb: str, damage: Callable[[Path], None], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, sound = Path("results/tiny"), Path("results/twin")
    shutil.copytree(results, sound)
    words = [word.format(id=config_id(here)) for word in VERBS[verb]]
    for name in READ_BY.get(verb, FILES):
        damage(results / name)
        code = main(words)
        said = capsys.readouterr().err.strip()
        assert code in (0, 1), name
        assert "Traceback" not in said, name
        if code:
            assert str(results) in said, (name, said)
            assert len(said.splitlines()) <= 5, (name, said)
        if (results / name).is_dir():
            (results / name).rmdir()
        shutil.copy2(sound / name, results / name)


# -- places that can't be written -----------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "results/tiny", "results/tiny/data/features.npy", "-o", "{}/x.csv"],
        ["export", "-o", "{}/model"],
        ["export", "--format", "onnx", "-o", "{}/model.onnx"],
        ["paper", "--to", "{}/paper"],
        ["optuna", "--to", "{}/study.db"],
        ["compare", "results/tiny", "results/twin", "--html", "{}/x.html"],
        ["index", "--html", "{}/x.html"],
        ["new", "{}/project"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_place_that_can_not_be_written_is_told_in_a_line(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[0] == "compare":
        shutil.copytree("results/tiny", "results/twin")
    # Not even root can write below a file.
    target = words[-1].format("study.yaml")
    assert main([*words[:-1], target]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert told == [
        f"{target} can't be written: a folder is needed where the file {Path(target).parent} is"
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["index", "--html", "/dev/full"],
        ["predict", "results/tiny", "results/tiny/data/features.npy", "-o", "/dev/full"],
    ],
    ids=lambda words: words[0],
)
def test_a_full_disk_is_told_in_a_line(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err == "/dev/full can't be written: No space left on device\n"
    assert Path("/dev/full").is_char_device()
