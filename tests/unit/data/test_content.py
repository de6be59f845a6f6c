"""The content of data files: what counts and what does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studies import tiny_study

from gridfold.data.content import content_digest
from gridfold.paths import result_file
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.status import counts
from gridfold.store.request_notes import write
from gridfold.study import Study


def study(data: dict[str, Any]) -> Study:
    return Study.model_validate(tiny_study(data=data))


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, Study]:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n1,0\n2,1\n")
    return file, study({"source": "csv", "path": str(file), "targets": ["y"]})


def test_time_stamps_do_not_count_and_content_does(
    table: tuple[Path, Study], tmp_path: Path
) -> None:
    file, wanted = table
    first = content_digest(wanted.data.model_dump(), tmp_path / "memory.json")
    os.utime(file, (1e9, 1e9))
    assert content_digest(wanted.data.model_dump(), tmp_path / "memory.json") == first
    # Of the same size, and as old.
    file.write_text("x,y\n1,0\n3,1\n")
    os.utime(file, (1e9, 1e9))
    assert content_digest(wanted.data.model_dump(), tmp_path / "memory.json") != first


def test_what_has_not_been_touched_is_not_read_again(
    table: tuple[Path, Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, wanted = table
    memory = tmp_path / "memory.json"
    first = content_digest(wanted.data.model_dump(), memory)
    read: list[Path] = []
    monkeypatch.setattr("gridfold.data.content.file_digest", lambda f: read.append(f) or "other")
    assert content_digest(wanted.data.model_dump(), memory) == first
    assert not read
    os.utime(file)
    content_digest(wanted.data.model_dump(), memory)
    assert read == [file]


@pytest.mark.parametrize("spoilt", ["", "[]", '{"a.csv": 3}', "\x00"])
def test_a_lost_or_damaged_memory_is_no_trouble(
    table: tuple[Path, Study], tmp_path: Path, spoilt: str
) -> None:
    memory = tmp_path / "memory.json"
    first = content_digest(table[1].data.model_dump(), memory)
    memory.write_text(spoilt)
    assert content_digest(table[1].data.model_dump(), memory) == first
    memory.unlink()
    assert content_digest(table[1].data.model_dump(), memory) == first


def test_where_nothing_has_run_nothing_is_left_behind(
    table: tuple[Path, Study], tmp_path: Path
) -> None:
    content_digest(table[1].data.model_dump(), tmp_path / "results" / "tiny" / "sources.json")
    assert not (tmp_path / "results").exists()


def test_folders_of_images_count_by_names_sizes_and_times(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "pets" / kind / "1.png")
    wanted = study({"source": "images", "path": str(tmp_path / "pets")})
    found = [content_digest(wanted.data.model_dump(), tmp_path / "m.json")]
    Image.new("RGB", (4, 4), "red").save(tmp_path / "pets" / "cat" / "1.png")
    found.append(content_digest(wanted.data.model_dump(), tmp_path / "m.json"))
    (tmp_path / "pets" / "cat" / "1.png").rename(tmp_path / "pets" / "dog" / "2.png")
    found.append(content_digest(wanted.data.model_dump(), tmp_path / "m.json"))
    (tmp_path / "pets" / "notes.txt").write_text("no image")
    assert content_digest(wanted.data.model_dump(), tmp_path / "m.json") == found[-1]
    assert len(set(found)) == 3


def test_images_that_a_table_lists_count(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    (tmp_path / "list.csv").write_text("image,label\n1.png,a\nlost.png,b\n")
    wanted = study({"source": "images", "path": str(tmp_path / "list.csv")})
    first = content_digest(wanted.data.model_dump(), tmp_path / "m.json")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "1.png")
    assert content_digest(wanted.data.model_dump(), tmp_path / "m.json") != first


def test_all_parts_of_an_array_count(tmp_path: Path) -> None:
    for name in ("x-1", "x-2", "y"):
        np.save(tmp_path / f"{name}.npy", np.zeros(3))
    wanted = study({"source": "npy", "path": str(tmp_path)})
    first = content_digest(wanted.data.model_dump(), tmp_path / "m.json")
    np.save(tmp_path / "other.npy", np.ones(3))
    assert content_digest(wanted.data.model_dump(), tmp_path / "m.json") == first
    np.save(tmp_path / "x-2.npy", np.ones(3))
    assert content_digest(wanted.data.model_dump(), tmp_path / "m.json") != first


def test_a_study_without_files_asks_for_none(tmp_path: Path) -> None:
    assert content_digest(study({"source": "iris"}).data.model_dump(), tmp_path / "m.json") == ""


def test_the_request_for_data_says_what_the_files_hold(
    table: tuple[Path, Study], tmp_path: Path
) -> None:
    file, _ = table
    written = tiny_study(
        data={"source": "csv", "path": str(file), "targets": ["y"]}, problem={"type": "binary"}
    )
    first = JobRequests(Plan.load([], written, tmp_path / "results")).data()
    file.write_text("x,y\n1,0\n3,1\n")
    os.utime(file, (1e9, 1e9))
    assert JobRequests(Plan.load([], written, tmp_path / "results")).data() != first


@pytest.mark.parametrize("search", [{}, {"confirm": {"top": 1}}], ids=["one stage", "two stages"])
def test_trials_of_other_data_are_not_counted(
    table: tuple[Path, Study], tmp_path: Path, search: dict[str, Any]
) -> None:
    file, _ = table
    written = tiny_study(
        data={"source": "csv", "path": str(file), "targets": ["y"]},
        problem={"type": "binary"},
        search={"space": {"mlp.units": [4, 8]}} | search,
    )
    plan = Plan.load([], written, tmp_path / "results")
    for trial in plan.trials:
        result = result_file(plan.paths.trial(trial.config_id, trial.split), 3)
        result.parent.mkdir(parents=True)
        result.write_text("{}")
    log = plan.paths.log("prepare_data")
    Path(log).parent.mkdir()
    write(log, JobRequests(plan).data().text())
    assert counts(plan)[0] == len(plan.trials) == 4
    file.write_text("x,y\n1,0\n3,1\n")
    assert counts(Plan.load([], written, tmp_path / "results"))[0] == 0
