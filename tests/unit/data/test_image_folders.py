"""Folders of images as people, tools and public data sets leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digitfiles import DIGITS, PIXELS, write_digits
from PIL import Image
from studies import tiny_study, write_study

from gridfold.cli.main import main
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.description import Count
from gridfold.errors import DataError, StudyError
from gridfold.plan.files import data_files
from gridfold.plan.loading import load_study
from gridfold.study import Study


def study(path: Path, **options: Any) -> dict[str, Any]:
    data = {"source": "images", "path": str(path), "color": "grayscale", **options}
    return tiny_study(data=data, problem={"type": "multiclass"})


def load(path: Path, **options: Any) -> Dataset:
    valid = Study.model_validate(study(path, **options))
    return prepare(valid.data.model_dump(), "multiclass")


def refused(path: Path, **options: Any) -> str:
    """Return why folders are refused, before the first job and by it."""
    with pytest.raises(StudyError) as early:
        load_study([], study(path, **options))
    with pytest.raises(DataError) as late:
        load(path, **options)
    for problem in early.value.problems:
        assert problem.found in str(late.value)
        assert problem.allowed in str(late.value)
    return str(early.value)


def left_out(dataset: Dataset) -> tuple[str, ...]:
    assert dataset.description is not None
    return dataset.description.left_out


def notes(dataset: Dataset) -> tuple[str, ...]:
    assert dataset.description is not None
    return dataset.description.notes


def copy_of(file: Path, *places: Path) -> None:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())


# -- what tools leave ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "{}/.ipynb_checkpoints/0003-checkpoint.png",
        "{}/@eaDir/0003.png/SYNOPHOTO_THUMB_M.jpg",
        "{}/deeper/.thumbnails/large.png",
        "__MACOSX/3/0003.png",
        "@eaDir/3.png/SYNOPHOTO_THUMB_S.png",
        "$RECYCLE.BIN/0003.png",
        ".cache/0003.png",
    ],
)
def test_folders_of_tools_are_no_samples_and_no_classes(tmp_path: Path, name: str) -> None:
    plain = load(write_digits(tmp_path / "plain"))
    folder = write_digits(tmp_path / "digits")
    extra = folder / name.format("3")
    copy_of(folder / "3" / "0003.png", extra)
    dataset = load(folder)
    assert dataset.digest == plain.digest
    assert left_out(dataset) == (f"1 file in hidden folders or those that tools make: {extra}",)


def test_hidden_files_other_files_and_links_are_told(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    one = folder / "3" / "0003.png"
    copy_of(one, folder / "3" / "._0003.png", folder / "cover.png", tmp_path / "else" / "1.png")
    for name in ("Thumbs.db", "notes.txt", "more.txt", "model"):
        (folder / "3" / name).write_text("no image")
    (folder / "3" / "linked").symlink_to(tmp_path / "else")
    dataset = load(folder)
    assert len(dataset.features) == 60
    assert left_out(dataset) == (
        f"1 hidden file (their names begin with a point): {folder}/3/._0003.png",
        f"1 link to folders, which are not followed: {folder}/3/linked",
        f"1 file outside the folders of classes: {folder}/cover.png",
        "4 files with other suffixes: .db (1), .txt (2), without one (1)",
    )


def test_many_files_are_told_by_examples(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    for digit in range(10):
        copy_of(folder / "3" / "0003.png", folder / str(digit) / ".cache" / "1.png")
    (told,) = left_out(load(folder))
    assert told.startswith("10 files in hidden folders")
    assert told.endswith(f"{folder}/2/.cache/1.png and 7 more")


def test_a_class_of_nothing_but_such_files_is_refused(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    for name in ("ten", "eleven"):
        copy_of(folder / "3" / "0003.png", folder / name / ".ipynb_checkpoints" / "1.png")
    with pytest.raises(DataError, match=r"digits/eleven, .*digits/ten: no images"):
        load(folder)


# -- training, validation and test in folders of their own -----------------------------------------


def write_parts(folder: Path, *names: str) -> Path:
    """Write digits in folders of parts: the samples 0 to 29, 30 to 59, ..."""
    for place, name in enumerate(names):
        for row in range(30 * place, 30 * place + 30):
            file = folder / name / str(DIGITS.target[row]) / f"{row:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(PIXELS[row]).save(file)
    return folder


def samples(rows: range) -> Any:
    """Return digits in the order of their classes."""
    return PIXELS[sorted(rows, key=lambda row: (DIGITS.target[row], row))]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Training", "validation", "Testing"), ("train", "valid", "test")],
)
def test_training_and_validation_are_split_and_the_test_set_is_kept(
    tmp_path: Path, train: str, validation: str, test: str
) -> None:
    folder = write_parts(tmp_path / "digits", train, validation, test)
    dataset = load(folder)
    assert dataset.class_names == list("0123456789")
    assert dataset.test_start == 60
    expected = [samples(range(30)), samples(range(30, 60)), samples(range(60, 90))]
    np.testing.assert_array_equal(dataset.features[..., 0], np.concatenate(expected))
    assert notes(dataset) == (
        f"{folder} has parts of data, with classes below: `{train}` and `{validation}` are read "
        f"together and split anew, `{test}` is the held-out test set",
    )


@pytest.mark.parametrize(
    ("names", "test_start", "told"),
    [
        (("train",), None, "`train` is split"),
        (("train", "test"), 30, "`train` is split, `test` is the held-out test set"),
        (("train", "val"), None, "`train` and `val` are read together and split anew"),
    ],
)
def test_parts_may_lack(
    tmp_path: Path, names: tuple[str, ...], test_start: int | None, told: str
) -> None:
    dataset = load(write_parts(tmp_path / "digits", *names))
    assert dataset.test_start == test_start
    assert notes(dataset)[0].endswith(told)


def test_a_part_can_be_named_by_itself(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test")
    dataset = load(folder / "train", test_path=str(folder / "test"))
    assert dataset.digest == load(folder).digest
    assert notes(dataset) == ()


def test_classes_may_have_such_names(tmp_path: Path) -> None:
    for name in ("bus", "plane", "train"):
        copy_of(write_digits(tmp_path / "all") / "3" / "0003.png", tmp_path / "v" / name / "1.png")
    assert load(tmp_path / "v").class_names == ["bus", "plane", "train"]


def test_files_of_all_parts_are_inputs_of_the_job(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test")
    files = data_files(Study.model_validate(study(folder)))["source"]
    assert {f"{folder}/train/3", f"{folder}/test/3"} <= {*files}


def test_parts_in_the_folders_of_classes_are_told(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    for digit in range(10):
        file = next((folder / str(digit)).glob("*.png"))
        copy_of(file, folder / str(digit) / "train" / "1.png", folder / str(digit) / "test/1.png")
    (told,) = notes(load(folder))
    assert told.startswith("the folders `test` and `train` in those of classes are read together")


def test_a_second_test_set_is_refused(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test")
    other = write_digits(tmp_path / "other")
    said = refused(folder, test_path=str(other))
    assert "has a test set, `test`, and `data.test_path` names another one" in said


def test_parts_as_a_test_set_are_refused(tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", "train", "test")
    said = refused(write_digits(tmp_path / "digits"), test_path=str(parts))
    assert "data.test_path: " in said
    assert "has the folders `train` and `test`, which are parts of data" in said


def test_a_folder_beside_parts_is_refused(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test", "extra")
    assert "has `extra` beside `train` and `test`" in refused(folder)


def test_parts_without_folders_of_classes_are_refused(tmp_path: Path) -> None:
    one = write_digits(tmp_path / "all") / "3" / "0003.png"
    copy_of(one, tmp_path / "pets" / "train" / "cat.1.png", tmp_path / "pets" / "test" / "1.png")
    said = refused(tmp_path / "pets")
    for part in ("train", "test"):
        assert f"pets/{part} has no folders; one of each class with its images is needed" in said


def test_classes_that_only_the_test_set_has_are_refused(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test")
    copy_of(folder / "train" / "3" / "0003.png", folder / "test" / "unknown" / "1.png")
    with pytest.raises(DataError, match="the test set has classes that no other image has: unk"):
        load(folder)


# -- what is shown ---------------------------------------------------------------------------------


def test_validate_counts_the_images_of_each_class(tmp_path: Path, capsys: Any) -> None:
    folder = write_parts(tmp_path / "digits", "train", "test")
    (folder / "train" / "3" / "notes.txt").write_text("no image")
    file = write_study(tmp_path / "study.yaml", study(folder))
    assert main(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    train, test = (int((DIGITS.target[rows] == 3).sum()) for rows in (range(30), range(30, 60)))
    assert f"images {folder}: 60 files" in said
    assert f"3 ({train} and {test} for the test)" in said
    assert "1 file with other suffixes: .txt (1)" in said
    assert "`train` is split, `test` is the held-out test set" in said
    counts = load(folder).description
    assert counts is not None
    assert counts.classes is not None
    assert counts.classes[3] == Count("3", train, test)


def test_validate_refuses_a_class_without_images(tmp_path: Path, capsys: Any) -> None:
    folder = write_digits(tmp_path / "digits")
    (folder / "ten").mkdir()
    file = write_study(tmp_path / "study.yaml", study(folder))
    assert main(["validate", str(file)]) == 1
    assert "ten: no images" in capsys.readouterr().err
