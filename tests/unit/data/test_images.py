"""Image files as data: what is found, how it is decoded, and what is said about damaged ones."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from digitfiles import DIGITS, PIXELS, write_digits
from PIL import Image
from studies import tiny_study

from gridfold import arrays
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.sources.images import decode
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.study import Study
from gridfold.training import preprocessing

EXACT = {"size": [8, 8], "color": "grayscale", "fit": "stretch"}


def write_table(folder: Path, count: int = 60) -> Path:
    """Write real digits as PNG files, and a CSV file that lists them."""
    write_digits(folder / "files", count)
    names = [f"files/{DIGITS.target[row]}/{row:04}.png" for row in range(count)]
    table = pd.DataFrame({"image": names, "label": DIGITS.target[:count]})
    table["writer"] = np.arange(count) // 5
    table["ink"] = PIXELS[:count].mean(axis=(1, 2))
    table.to_csv(folder / "digits.csv", index=False)
    return folder / "digits.csv"


def load(path: Path, folder: Path, problem: str = "multiclass", **options: Any) -> Dataset:
    data = {"source": "images", "path": str(path), "color": "grayscale", **options}
    study = Study.model_validate(tiny_study(data=data, problem={"type": problem}))
    prepare(study.data.model_dump(), problem, folder / "data").save(folder / "data")
    return Dataset.load(folder / "data")


# -- what is found --------------------------------------------------------------------------------


def test_folders_are_classes_and_pixels_stay_what_they_were(tmp_path: Path) -> None:
    dataset = load(write_digits(tmp_path / "digits"), tmp_path)
    order = sorted(range(60), key=lambda row: (DIGITS.target[row], row))
    np.testing.assert_array_equal(dataset.features[..., 0], PIXELS[order])
    np.testing.assert_array_equal(dataset.targets, DIGITS.target[order])
    assert dataset.features.dtype == np.uint8
    assert isinstance(dataset.features, np.memmap)
    assert dataset.class_names == list("0123456789")


def test_a_table_names_files_targets_groups_and_weights(tmp_path: Path) -> None:
    table = write_table(tmp_path / "digits")
    dataset = load(table, tmp_path, groups="writer", weight="ink")
    np.testing.assert_array_equal(dataset.features[..., 0], PIXELS[:60])
    np.testing.assert_array_equal(dataset.targets, DIGITS.target[:60])
    np.testing.assert_array_equal(dataset.groups, np.arange(60) // 5)
    np.testing.assert_allclose(dataset.weights, PIXELS[:60].mean(axis=(1, 2)), rtol=1e-6)


def test_a_table_may_name_numbers_to_predict(tmp_path: Path) -> None:
    table = write_table(tmp_path / "digits")
    dataset = load(table, tmp_path, "regression", targets=["ink", "label"])
    assert dataset.target_names == ["ink", "label"]
    np.testing.assert_array_equal(dataset.targets[:, 1], DIGITS.target[:60])


def test_a_second_folder_is_the_test_set(tmp_path: Path) -> None:
    train, test = write_digits(tmp_path / "train", 60), write_digits(tmp_path / "test", 20)
    dataset = load(train, tmp_path, test_path=str(test))
    assert dataset.test_start == 60
    assert len(dataset.features) == 80


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    (folder / "0" / "notes.txt").write_text("not an image")
    (folder / "0" / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    assert len(load(folder, tmp_path).features) == 60


# -- how it is decoded ----------------------------------------------------------------------------


def saved(image: Image.Image, folder: Path, name: str = "image.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def decoded(file: Path, **how: Any) -> np.ndarray[Any, Any]:
    pixels, errors = decode([file], {**EXACT, **how})
    assert not errors
    return pixels[0]


GRADIENT = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (12, 1))


def test_photos_are_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera stood on its side
    file = saved(Image.fromarray(GRADIENT), tmp_path, exif=exif)
    np.testing.assert_array_equal(decoded(file, size=[24, 12])[..., 0], np.rot90(GRADIENT, k=-1))


@pytest.mark.parametrize(
    ("fit", "expected"),
    [("stretch", GRADIENT[:, ::2]), ("crop", GRADIENT[:, 6:18]), ("pad", None)],
)
def test_other_proportions_are_stretched_cut_or_padded(
    tmp_path: Path, fit: str, expected: Any
) -> None:
    found = decoded(saved(Image.fromarray(GRADIENT), tmp_path), size=[12, 12], fit=fit)[..., 0]
    if expected is None:
        assert not found[:3].any()
        assert not found[9:].any()
        assert found[4:8].any()
    else:
        np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=10)


def test_colours_become_grey_or_stay_three(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), (200, 0, 0))
    file = saved(red, tmp_path)
    assert decoded(file, color="rgb")[0, 0].tolist() == [200, 0, 0]
    assert decoded(file)[0, 0].tolist() == [60]
    palette = saved(red.convert("P"), tmp_path, "palette.gif")
    assert decoded(palette, color="rgb")[0, 0, 0] > 150


def test_grey_values_of_sixteen_bit_keep_their_order(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    found = decoded(saved(Image.fromarray(ramp), tmp_path))[..., 0].ravel()
    assert found[0] == 0
    assert found[-1] == 255
    assert (np.diff(found.astype(int)) >= 0).all()


def test_the_order_is_that_of_the_files_however_many_threads_decode(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits", 300)
    files = sorted(folder.rglob("*.png"))
    first, again = (decode(files, EXACT)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[..., 0], PIXELS[[int(file.stem) for file in files]])


def test_many_pixels_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_SMALL_BYTES", 100)
    monkeypatch.setattr(arrays, "PIECE_BYTES", 1000)
    folder = write_digits(tmp_path / "digits")
    pixels, _ = decode(sorted(folder.rglob("*.png")), EXACT, folder=tmp_path)
    assert isinstance(pixels, np.memmap)
    assert load(folder, tmp_path).digest


# -- what is wrong --------------------------------------------------------------------------------


def damaged_digits(folder: Path) -> Path:
    write_digits(folder)
    (folder / "3" / "cut.png").write_bytes((folder / "3" / "0003.png").read_bytes()[:60])
    (folder / "5" / "text.jpg").write_text("no image")
    return folder


def test_all_damaged_files_are_named_at_once(tmp_path: Path) -> None:
    folder = damaged_digits(tmp_path / "digits")
    with pytest.raises(DataError) as caught:
        load(folder, tmp_path)
    text = str(caught.value)
    assert text.startswith("2 of 62 images can't be used")
    assert "3/cut.png" in text
    assert "5/text.jpg" in text
    assert "data.damaged: skip" in text


def test_damaged_files_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = damaged_digits(tmp_path / "digits")
    with caplog.at_level(logging.WARNING):
        dataset = load(folder, tmp_path, damaged="skip")
    assert "2 of 62 images left out" in caplog.text
    assert dataset.digest == load(write_digits(tmp_path / "sound"), tmp_path).digest


def other_size(folder: Path) -> None:
    Image.fromarray(GRADIENT).save(folder / "9" / "wide.png")


def empty_class(folder: Path) -> None:
    (folder / "ten").mkdir()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (other_size, r"9/wide\.png \(ValueError: 12 x 24 pixels, .* set data\.size"),
        (empty_class, "ten: no images; remove the folder"),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path: Path, change: Any, complaint: str) -> None:
    folder = write_digits(tmp_path / "digits")
    change(folder)
    with pytest.raises(DataError, match=complaint):
        load(folder, tmp_path)


def test_a_folder_without_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="one of each class with its images is needed"):
        load(tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        (None, {"image": "file"}, r"no column file \(data\.image\); it has image, label"),
        (None, {"targets": ["digit"]}, r"no column digit \(data\.targets\)"),
        (("label", None), {}, "column label has 1 missing values, the first at row 5"),
        (("image", "gone.png"), {}, r"1 files are not there: .*gone\.png"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    tmp_path: Path, change: Any, options: dict[str, Any], complaint: str
) -> None:
    file = write_table(tmp_path / "digits")
    if change:
        table = pd.read_csv(file)
        table.loc[5, change[0]] = change[1]
        table.to_csv(file, index=False)
    with pytest.raises(DataError, match=complaint):
        load(file, tmp_path, **options)


def test_labels_are_the_texts_of_the_file(tmp_path: Path) -> None:
    file = write_table(tmp_path / "digits")
    table = pd.read_csv(file)
    codes = dict(enumerate(["01", "None", *range(2, 9), "10"]))
    table.assign(label=table["label"].map(codes)).to_csv(file, index=False)
    assert load(file, tmp_path).class_names == ["01", "10", *map(str, range(2, 9)), "None"]
    codes[1] = "0"
    table.assign(label=table["label"].map(codes)).to_csv(file, index=False)
    dataset = load(file, tmp_path)
    assert dataset.class_names == ["0", "01", *map(str, range(2, 9)), "10"], "by their values"
    table["label"] = table["label"].astype(object).where(table.index != 3, "?")
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match=r"column label of numbers has '\?' in row 3"):
        load(file, tmp_path, "regression")


def test_the_list_of_a_test_set_may_lack_classes(tmp_path: Path) -> None:
    file = write_table(tmp_path / "digits")
    table = pd.read_csv(file)
    table["label"] = table["label"].map(lambda digit: f"0{digit}" if digit < 5 else str(digit))
    table.to_csv(file, index=False)
    test = file.with_name("test.csv")
    table[table["label"].str.len() == 1].to_csv(test, index=False)
    dataset = load(file, tmp_path, test_path=str(test))
    assert dataset.class_names == [f"0{i}" if i < 5 else str(i) for i in range(10)]
    assert dataset.test_start == len(table)
    assert (dataset.targets[dataset.test_start :] >= 5).all()


# -- later ----------------------------------------------------------------------------------------


def test_new_files_become_inputs_of_a_saved_model(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    dataset = load(folder, tmp_path, size=[6, 6])
    fitted = preprocessing.fit({"normalise": "global"}, dataset, np.arange(60))
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    model_inputs = ModelInputs.load(tmp_path / "preprocessing.json")
    files = sorted(folder.rglob("*.png"))
    np.testing.assert_array_equal(
        model_inputs.from_images(files), dataset.features.astype(np.float32)
    )
    (folder / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"1 of 1 images can't be decoded: .*text\.png"):
        model_inputs.from_images([folder / "text.png"])
