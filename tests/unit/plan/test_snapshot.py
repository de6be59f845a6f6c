"""What a run was asked for is what its jobs plan by, not what the files say meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from damages import DAMAGES
from edits import blocks, edited_study, write_files
from studies import write_study

from gridfold.environment.versions import numeric_versions, versions_of_job
from gridfold.errors import GridfoldError
from gridfold.plan import snapshot
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.store.snapshot import Snapshot
from gridfold.usercode import sources

RESULTS = Path("results")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a study and its code."""
    monkeypatch.setenv(sources.VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    study = edited_study()
    write_files(tmp_path, study)
    write_study(tmp_path / "study.yaml", study)
    return tmp_path


def taken() -> tuple[Plan, Path]:
    return snapshot.take(Plan.load(["study.yaml"], {}, RESULTS))


def requests(plan: Plan) -> list[str]:
    made = JobRequests(plan)
    return [made.data().text(), made.train("s0001").text(), made.final().text()]


def edit(project: Path) -> None:
    for file in (project / "edited").iterdir():
        (project / file.name).write_text(file.read_text())


def test_jobs_plan_what_the_run_has_planned(project: Path) -> None:
    plan, folder = taken()
    before = requests(plan)
    edit(project)
    sources.use([folder])
    again = snapshot.plan_of([Path("study.yaml")], {}, RESULTS)
    assert requests(again) == before
    assert again.configurations == plan.configurations
    assert snapshot.changed_files(again) == ["study.yaml", "model.py", "blocks.py"]


def test_another_study_and_other_values_are_read_from_their_files(project: Path) -> None:
    _, folder = taken()
    sources.use([folder])
    other = snapshot.plan_of(["study.yaml"], {"training": {"epochs": 5}}, RESULTS)
    assert other.study.training.epochs == 5
    elsewhere = snapshot.plan_of(["study.yaml"], {}, "elsewhere")
    assert elsewhere.snapshot is None
    assert snapshot.plan_of(["study.yaml"], {}, "results/").snapshot is not None


def test_the_same_request_has_one_snapshot_and_an_edit_another(project: Path) -> None:
    _, first = taken()
    (copy,) = first.glob("**/blocks.py")
    copy.write_text("damaged")
    assert taken()[1] == first
    assert copy.read_text() == blocks()
    (project / "blocks.py").write_text(blocks(width=3))
    _, second = taken()
    assert second != first
    assert len(list((RESULTS / "edited" / "request").iterdir())) == 2


def test_remarks_are_no_changes(project: Path) -> None:
    plan, folder = taken()
    sources.use([folder])
    for name in ("model.py", "study.yaml"):
        (project / name).write_text("# A remark.\n" + (project / name).read_text())
    assert snapshot.changed_files(plan) == []


SPACES = {
    "numbers": {
        "mlp.dropout": [0.0, 0.5],
        "mlp.units": [8, 12],
        "training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1e-1, "num": 4}},
    },
    "conditions": {
        "training.optimizer": ["sgd", "adam"],
        "training.momentum": {"grid": [0, 0.9], "when": {"training.optimizer": "sgd"}},
    },
    "alike": {"mlp.units": [4, [4], 8]},
    "text": {"training.schedule.kind": ["constant", "cosine"], "mlp.activation": ["relu", "tanh"]},
}


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("space", SPACES)
def test_jobs_read_the_configurations_that_the_run_has_found(
    project: Path, monkeypatch: pytest.MonkeyPatch, space: str, *, staged: bool
) -> None:
    study = edited_study(model={"mlp": {}}, search={"space": SPACES[space]})
    if staged:
        study["search"] |= {"explore": {"epochs": 1}, "confirm": {"top": 2}}
    write_study(project / "study.yaml", study)
    plan, folder = taken()
    sources.use([folder])

    def is_found_again(_: object) -> None:
        raise AssertionError("the space was expanded again")

    with monkeypatch.context() as patch:
        patch.setattr("gridfold.plan.loading.expand", is_found_again)
        read = snapshot.plan_of(["study.yaml"], {}, RESULTS)
    assert read.configurations == plan.configurations
    assert [list(map(repr, c.axes.values())) for c in read.configurations] == [
        list(map(repr, c.axes.values())) for c in plan.configurations
    ]
    assert read.expansion == plan.expansion
    assert (read.stages, read.shards) == (plan.stages, plan.shards)
    # What can't be read any more is found again.
    (folder / "expansion.json.gz").write_bytes(b"damaged")
    assert snapshot.plan_of(["study.yaml"], {}, RESULTS).configurations == plan.configurations


def test_another_gridfold_does_not_go_on_with_a_run(project: Path) -> None:
    _, folder = taken()
    sources.use([folder])
    record = Snapshot.read(folder / "request.json")
    replace(record, package="another").write(folder / "request.json")
    with pytest.raises(GridfoldError, match="gridfold was changed since this run began"):
        snapshot.plan_of(["study.yaml"], {}, RESULTS)


def test_other_packages_do_not_go_on_with_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = numeric_versions()
    assert versions_of_job(planned) == planned
    planned["keras"] = "3.0.0"
    with pytest.raises(GridfoldError, match=r"changed since this run began: keras 3\.0\.0 -> "):
        versions_of_job(planned)
    # Those of a container are what its records say.
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/gridfold.sif")
    assert versions_of_job(planned) == numeric_versions()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["request.json", "sources.json", "expansion.json.gz", "files/study.yaml"]
)
def test_a_damaged_snapshot_is_written_again(project: Path, name: str, damage: str) -> None:
    _, folder = taken()
    sound = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    DAMAGES[damage](folder / name, folder / "files" / "data.py")
    assert taken()[1] == folder
    assert {file: file.read_bytes() for file in sound} == sound
