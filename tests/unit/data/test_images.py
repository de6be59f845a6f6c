"""Image files as data: what is found, how it is decoded, and what is said about damaged ones."""

from __future__ import annotations

import logging
import struct
import zlib
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
from gridfold.data.description import DataDescription
from gridfold.data.sources.decoding import decode
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.paths import description_file
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
    found = decode([file], {**EXACT, **how})
    assert not found.errors
    return found.pixels[0]


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


def test_the_order_is_that_of_the_files_however_many_threads_decode(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits", 300)
    files = sorted(folder.rglob("*.png"))
    first, again = (decode(files, EXACT).pixels for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[..., 0], PIXELS[[int(file.stem) for file in files]])


def test_many_pixels_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_SMALL_BYTES", 100)
    monkeypatch.setattr(arrays, "PIECE_BYTES", 1000)
    folder = write_digits(tmp_path / "digits")
    pixels = decode(sorted(folder.rglob("*.png")), EXACT, folder=tmp_path).pixels
    assert isinstance(pixels, np.memmap)
    assert load(folder, tmp_path).digest


# -- files of more and of less than 8 bits a colour ------------------------------------------------

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
IN_EIGHT_BITS = np.round(RAMP * 255)
DEEP: dict[str, tuple[Any, str, tuple[float, float]]] = {
    "16 bits": ((RAMP * 65535).astype(np.uint16), "png", (0, 65535)),
    "12 bits in 16": ((RAMP * 4095).astype(np.uint16), "png", (0, 4095)),
    "10 bits in a TIFF of 16": ((RAMP * 1023).astype(np.uint16), "tif", (0, 1023)),
    "14 bits in a TIFF of 32": ((RAMP * 16383).astype(np.int32), "tif", (0, 16383)),
    "8 bits in a TIFF of 32": ((RAMP * 255).astype(np.int32), "tif", (0, 255)),
    "large whole numbers": ((RAMP * 1e6).astype(np.int32), "tif", (0, 1_000_000)),
    "Hounsfield units": ((RAMP * 4000 - 1000).astype(np.int32), "tif", (-1000, 3000)),
    "shares": (RAMP.astype(np.float32), "tif", (0, 1)),
    "bytes as floats": ((RAMP * 255).astype(np.float32), "tif", (0, 255)),
    "heights": ((RAMP * 300 - 100).astype(np.float32), "tif", (-100, 200)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_grey_values_of_more_than_eight_bits_are_scaled_by_their_range(
    tmp_path: Path, kind: str
) -> None:
    values, suffix, limits = DEEP[kind]
    dark = (values / 2).astype(values.dtype) if values.min() >= 0 else values
    for name, part in {"all": values, "dark": dark}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for copy in "12":
            Image.fromarray(part).save(tmp_path / "photos" / name / f"{copy}.{suffix}")
    dataset = load(tmp_path / "photos", tmp_path, "binary")
    read = dataset.features[0, ..., 0].astype(int)
    np.testing.assert_allclose(read, IN_EIGHT_BITS, atol=1)
    assert (np.diff(read.ravel()) >= 0).all()
    assert dataset.reading["images"]["range"] == list(limits)
    assert (dataset.features[2].max() > 200) == (values.min() < 0)
    (note,) = noted(tmp_path)
    assert note.startswith("4 files with grey values from ")
    assert f"{limits[0]:g} becomes black and {limits[1]:g} white" in note


def noted(folder: Path, what: str = "notes") -> tuple[str, ...]:
    """Return what the description of data that were loaded tells."""
    description = DataDescription.read(description_file(folder / "data"))
    found: tuple[str, ...] = getattr(description, what)
    return found


def test_the_range_is_that_of_all_files_and_of_the_test_set(tmp_path: Path) -> None:
    for name, factor in {"train/a": 900, "train/b": 500, "test/a": 4000, "test/b": 10}.items():
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray((RAMP * factor).astype(np.uint16)).save(tmp_path / name / "1.png")
    dataset = load(tmp_path / "train", tmp_path, "binary", test_path=str(tmp_path / "test"))
    expected = [np.round(900 / 4095 * 255), np.round(500 / 4095 * 255), 249, 1]
    assert dataset.features.max(axis=(1, 2, 3)).tolist() == pytest.approx(expected, abs=1)


def test_a_saved_model_scales_new_files_as_those_of_the_study(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray((RAMP * 4095).astype(np.uint16)).save(tmp_path / "photos" / name / "1.png")
    dataset = load(tmp_path / "photos", tmp_path, "binary")
    fitted = preprocessing.fit({"normalise": "none"}, dataset, np.arange(2))
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    bright = saved(Image.fromarray((RAMP * 8000).astype(np.uint16)), tmp_path)
    with caplog.at_level(logging.WARNING):
        inputs = ModelInputs.load(tmp_path / "preprocessing.json").from_images([bright])
    np.testing.assert_allclose(
        inputs[0, ..., 0], np.clip(np.round(RAMP * 8000 / 4095 * 255), 0, 255), atol=1
    )
    assert "from 0 to 8000" in caplog.text
    assert "4095 white" in caplog.text


def tiff(file: Path, values: np.ndarray[Any, Any], tag: int, value: int) -> None:
    """Write a TIFF file with another value of a tag than Pillow gives it."""
    Image.fromarray(values).save(file)
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack("<I", content[4:8])
    (entries,) = struct.unpack("<H", content[start : start + 2])
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        if struct.unpack("<H", content[place : place + 2]) == (tag,):
            content[place + 8 : place + 10] = struct.pack("<H", value)
    file.write_bytes(content)


@pytest.mark.parametrize("bits", [8, 16, 12])
def test_zero_can_be_white_in_a_file_of_any_depth(tmp_path: Path, bits: int) -> None:
    kind = np.uint8 if bits == 8 else np.uint16
    values = np.round(RAMP * (2**bits - 1)).astype(kind)
    for name, photometric in (("a", 0), ("b", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        tiff(tmp_path / "photos" / name / "1.tif", values, 262, photometric)
    white_is_zero, black_is_zero = load(tmp_path / "photos", tmp_path, "binary").features
    np.testing.assert_allclose(black_is_zero[..., 0], IN_EIGHT_BITS, atol=1)
    np.testing.assert_array_equal(white_is_zero, 255 - black_is_zero)


def test_large_numbers_without_a_sign_do_not_wrap(tmp_path: Path) -> None:
    values = np.round(RAMP * (2**32 - 1)).astype(np.uint32).view(np.int32)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        tiff(tmp_path / "photos" / name / "1.tif", values, 339, 1)
    dataset = load(tmp_path / "photos", tmp_path, "binary")
    np.testing.assert_allclose(dataset.features[0, ..., 0], IN_EIGHT_BITS, atol=1)


def test_grey_values_that_are_no_numbers_are_refused_with_the_file(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits")
    values = np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32)
    Image.fromarray(values).save(folder / "3" / "gaps.tif")
    with pytest.raises(DataError, match=r"3/gaps\.tif .*grey values that are no numbers"):
        load(folder, tmp_path)


def png_of_sixteen_bits(file: Path, values: np.ndarray[Any, Any]) -> None:
    """Write colours of 16 bits, which Pillow can't: an array of shape (height, width, 3)."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    file.write_bytes(content)


@pytest.mark.parametrize("bits", [16, 12])
def test_colours_of_sixteen_bits_are_told_or_refused_if_hardly_anything_is_read(
    tmp_path: Path, bits: int
) -> None:
    folder = write_digits(tmp_path / "digits")
    colours = np.repeat(RAMP[..., np.newaxis] * (2**bits - 1), 3, axis=2)
    png_of_sixteen_bits(folder / "3" / "deep.png", colours)
    if bits == 12:
        with pytest.raises(DataError, match=r"nothing above 15 of 255 there: .*3/deep\.png"):
            load(folder, tmp_path)
        return
    dataset = load(folder, tmp_path, color="rgb")
    assert dataset.features.max() == 255
    assert noted(tmp_path) == (
        f"1 file with colours of 16 bits, of which the upper 8 are read: {folder}/3/deep.png",
    )


USUAL: dict[str, tuple[str, Any]] = {
    "1 bit": ("png", Image.fromarray(RAMP > 0.5)),
    "palette": ("gif", Image.fromarray(IN_EIGHT_BITS.astype(np.uint8)).convert("P")),
    "CMYK": ("tif", Image.new("CMYK", (8, 8), (0, 0, 0, 255))),
    "grey": ("png", Image.fromarray(IN_EIGHT_BITS.astype(np.uint8))),
    "opaque": ("png", Image.new("RGBA", (8, 8), (10, 20, 30, 255))),
}


@pytest.mark.parametrize("kind", USUAL)
def test_other_kinds_of_files_are_read_as_pillow_converts_them(tmp_path: Path, kind: str) -> None:
    suffix, image = USUAL[kind]
    for folder in ("a", "b"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for copy in "12":
            image.save(tmp_path / "photos" / folder / f"{copy}.{suffix}")
    for color, mode in (("rgb", "RGB"), ("grayscale", "L")):
        dataset = load(tmp_path / "photos", tmp_path, "binary", color=color)
        expected = np.asarray(image.convert(mode)).reshape(8, 8, -1)
        np.testing.assert_array_equal(dataset.features[0], expected)
        assert dataset.reading == {
            "images": {"size": [8, 8], "color": color, "fit": "stretch"},
        }
        assert noted(tmp_path) == ()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_told(tmp_path: Path, mode: str) -> None:
    folder = write_digits(tmp_path / "digits")
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    image.putpixel((3, 3), (0, 0, 0, 0))
    image.convert(mode).save(folder / "3" / "hole.png")
    load(folder, tmp_path)
    assert noted(tmp_path) == (
        "1 file with transparent parts; what is behind them is read, or their colour: "
        f"{folder}/3/hole.png",
    )


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_pages_that_are_left_out_are_told(tmp_path: Path, suffix: str) -> None:
    folder = write_digits(tmp_path / "digits")
    pages = [Image.fromarray(PIXELS[row]) for row in range(3)]
    file = folder / "3" / f"pages.{suffix}"
    pages[0].save(file, save_all=True, append_images=pages[1:])
    assert len(load(folder, tmp_path).features) == 61
    assert noted(tmp_path, "left_out") == (
        f"2 pages or frames of 1 file, of which the first is read: {file} (3)",
    )


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
