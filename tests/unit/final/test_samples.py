"""What is read when somebody asks a final model: tables, arrays and image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gridfold.data.columns import FeatureColumn
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.final.samples import NewSamples, ReadingOptions, read
from gridfold.training.preprocessing import Category, Encoding, Number

# A study with a column of numbers, where missing ones are filled, and one of categories.
TABLE = ModelInputs(
    (2,),
    [FeatureColumn("age"), FeatureColumn("ward", ("east", "west"))],
    Encoding((Number(fill=50.0), Category(2, (0, 1)))),
    None,
    ["risk"],
    {"id": "name"},
)
WINDOWS = ModelInputs(
    (2, 1),
    [FeatureColumn("load")],
    None,
    None,
    ["load"],
    {"windows": {"length": 2, "time": "hour", "series": "site"}},
)
NUMBERS = ModelInputs((3,), None, None, None, ["risk"])
IMAGES = ModelInputs(
    (4, 6, 3),
    None,
    None,
    ["a", "b"],
    ["b"],
    {"images": {"size": [4, 6], "color": "rgb", "fit": "stretch"}},
)
ROWS = pd.DataFrame({"name": ["007", "8"], "age": [40.0, 60.0], "ward": ["west", "east"]})


def asked(
    inputs: ModelInputs, *paths: Path, **how: Any
) -> tuple[NewSamples, list[np.ndarray[Any, Any]], list[str]]:
    """Return samples, their inputs piece by piece, and what was told."""
    told: list[str] = []
    samples = read(paths, inputs, ReadingOptions(**how), told.append)
    return samples, [piece for (piece,) in samples.pieces([inputs])], told


def in_file(folder: Path, table: pd.DataFrame, name: str = "rows.csv", **how: Any) -> Path:
    file = folder / name
    table.to_csv(file, index=False, **how)
    return file


def test_rows_are_named_by_the_studys_id_column_as_it_is_written(tmp_path: Path) -> None:
    shuffled = in_file(tmp_path, ROWS[["ward", "age", "name"]])
    samples, (inputs,), told = asked(TABLE, shuffled)
    assert samples.names.to_dict("list") == {"name": ["007", "8"]}
    assert inputs.tolist() == [[40, 0, 1], [60, 1, 0]]
    assert told == []


def test_another_column_may_name_them(tmp_path: Path) -> None:
    file = in_file(tmp_path, ROWS.rename(columns={"name": "code"}))
    samples, _, told = asked(TABLE, file, id="code")
    assert list(samples.names["code"]) == ["007", "8"]
    assert told == []
    with pytest.raises(DataError, match=r"no column name; there are code, age, ward"):
        asked(TABLE, file, id="name")


def test_what_is_not_there_or_not_used_is_told(tmp_path: Path) -> None:
    file = in_file(tmp_path, ROWS.drop(columns="name").assign(height=1, note="x"))
    samples, _, told = asked(TABLE, file)
    assert samples.names.shape == (2, 0)
    assert told == [
        f"{file}: no column name, which names samples; predictions in the order of rows",
        f"{file}: 2 columns not used: height, note",
    ]


def test_unknown_categories_are_counted_or_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": list("abcd"), "age": 1, "ward": ["mars", "east", "mars", "io"]})
    file = in_file(tmp_path, table)
    _, (inputs,), (told,) = asked(TABLE, file)
    assert inputs[:, 1:].tolist() == [[0, 0], [1, 0], [0, 0], [0, 0]]
    assert told == (
        f"{file}: categories that the study does not have, in column ward in 3 rows: "
        "'mars' (2), 'io' (1); taken as unknown"
    )
    with pytest.raises(DataError, match=r"column ward in 3 rows: 'mars' \(2\), 'io' \(1\)$"):
        asked(TABLE, file, unknown="refuse")
    assert asked(TABLE, in_file(tmp_path, ROWS), unknown="refuse")[2] == []


def test_missing_values_are_counted_where_the_study_fills_them(tmp_path: Path) -> None:
    table = ROWS.assign(age=[None, 3], ward=[None, None])
    file = in_file(tmp_path, table)
    _, (inputs,), told = asked(TABLE, file)
    assert inputs.tolist() == [[50, 0, 0], [3, 0, 0]]
    assert told == [f"{file}: missing values, handled as in the study: age (1), ward (2)"]
    strict = ModelInputs((1,), [FeatureColumn("age")], None, None, ["risk"])
    with pytest.raises(DataError, match=r"rows.csv: column age has a missing .* in row 0"):
        asked(strict, file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns=["age", "ward"]), "no column age, ward; there are name"),
        (lambda t: t.assign(age=["4", "old"]), "column age of numbers has 'old' in row 1"),
        (lambda t: t.head(0), "no samples, only a header"),
    ],
    ids=["missing columns", "text for a number", "no rows"],
)
def test_tables_that_do_not_fit_are_refused_with_the_place(
    change: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said) as error:
        asked(TABLE, in_file(tmp_path, change(ROWS)))
    assert "rows.csv" in str(error.value)
    assert "data." not in str(error.value)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ({"encoding": "latin-1"}, {"encoding": "latin-1"}),
        ({"encoding": "utf-16"}, {"encoding": "utf-16"}),
        ({"sep": ";"}, {"separator": ";"}),
    ],
)
def test_files_written_otherwise_name_the_option_that_reads_them(
    written: dict[str, str], options: dict[str, str], tmp_path: Path
) -> None:
    file = in_file(tmp_path, ROWS.assign(name=["Köln", "Łódź"[:1].replace("Ł", "é")]), **written)
    with pytest.raises(DataError, match=f"give --{next(iter(options))}"):
        asked(TABLE, file)
    samples, _, _ = asked(TABLE, file, **options)
    assert list(samples.names["name"]) == ["Köln", "é"]


def test_windows_are_named_by_series_and_time_of_their_last_row(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"site": list("abab" + "a"), "hour": [1, 1, 2, 2, 3], "load": [1.0, 10, 2, 20, 3]}
    )
    samples, (inputs,), told = asked(WINDOWS, in_file(tmp_path, table))
    assert samples.names.to_dict("list") == {"site": ["a", "a", "b"], "hour": [2, 3, 2]}
    assert inputs[..., 0].tolist() == [[1, 2], [2, 3], [10, 20]]
    assert told == []


def test_windows_across_a_gap_in_time_are_told(tmp_path: Path) -> None:
    hours = [*range(20), *range(24, 40)]
    file = in_file(tmp_path, pd.DataFrame({"site": "a", "hour": hours, "load": hours}))
    _, (inputs,), told = asked(WINDOWS, file)
    assert len(inputs) == 35
    assert told == [
        f"{file}: 1 gap in time, the longest of 5 times the usual step between rows; windows count "
        "rows, not time, and 1 of 35 reach across a gap"
    ]


def test_long_tables_come_in_pieces(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": range(25_000), "age": range(25_000), "ward": "east"})
    samples, pieces, _ = asked(TABLE, in_file(tmp_path, table))
    assert [len(piece) for piece in pieces] == [10_000, 10_000, 5_000]
    assert np.concatenate(pieces)[:, 0].tolist() == list(range(25_000))
    assert len(samples.names) == 25_000


def test_arrays_have_no_names(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    samples, (inputs,), _ = asked(NUMBERS, tmp_path / "x.npy")
    assert inputs.shape == (2, 3)
    assert samples.names.shape == (2, 0)
    np.savez(tmp_path / "two.npz", a=np.ones((2, 3)), b=np.zeros((1, 3)))
    with pytest.raises(DataError, match=r"name one with --array: a, b"):
        asked(NUMBERS, tmp_path / "two.npz")
    assert asked(NUMBERS, tmp_path / "two.npz", array="b")[1][0].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "no such file or folder"),
        ("rows.txt", b"1 2", "unknown kind of file; allowed: .bmp"),
        ("empty.csv", b"", "the file is empty"),
        ("x.npz", b"no archive", "is no .npz file"),
        ("x.npy", b"", "is no .npy file"),
        ("rows.parquet", b"no table", "can't be read as parquet"),
    ],
)
def test_what_is_no_such_file_is_refused(
    name: str, content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        asked(TABLE, tmp_path / name)
    assert name in str(error.value)


def write_image(file: Path, width: int = 6, height: int = 4, colour: str = "red") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(file)
    return file


def test_images_are_named_by_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    inside = [write_image(folder / "b" / "2.png"), write_image(folder / "a.JPG", colour="blue")]
    alone = write_image(tmp_path / "alone.png", colour="lime")
    (folder / "readme.txt").write_text("not a picture")
    (folder / ".hidden").mkdir()
    write_image(folder / ".hidden" / "x.png")
    samples, (inputs,), told = asked(IMAGES, alone, folder)
    assert list(samples.names["file"]) == [str(alone), str(inside[1]), str(inside[0])]
    assert inputs.shape == (3, 4, 6, 3)
    assert inputs[0, 0, 0].tolist() == [0, 255, 0]
    assert told == [
        f"1 file left out, not named as images: {folder / 'readme.txt'}",
        f"1 file left out, hidden or made by tools: {folder / '.hidden' / 'x.png'}",
    ]


def test_images_of_another_size_are_counted(tmp_path: Path) -> None:
    files = [write_image(tmp_path / "1.png"), write_image(tmp_path / "2.png", 60, 40)]
    _, (inputs,), told = asked(IMAGES, *files)
    assert inputs.shape == (2, 4, 6, 3)
    assert told == [
        "1 of 2 images had another size than the model's 4 x 6 pixels and were fitted to it "
        "(stretch)"
    ]


def test_each_image_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write_image(tmp_path / "1.png"), write_image(tmp_path / "2.png", 60, 40)]
    opened, really_open = [], Image.open

    def counting(file: Path) -> Image.Image:
        opened.append(file)
        return really_open(file)

    monkeypatch.setattr(Image, "open", counting)
    asked(IMAGES, *files)
    assert sorted(opened) == files


def test_images_before_a_damaged_one_are_handed_out(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "4.png"):
        write_image(tmp_path / name)
    (tmp_path / "3.png").write_bytes(b"no picture")
    samples = read([tmp_path], IMAGES, ReadingOptions(), print)
    pieces = samples.pieces([IMAGES])
    assert len(next(pieces)[0]) == 2
    with pytest.raises(DataError, match=r"1 image can't be decoded: .*3\.png"):
        next(pieces)


def test_a_link_to_nothing_is_not_passed_over(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"1 image can't be decoded: .*2\.png"):
        asked(IMAGES, tmp_path)


def test_folders_without_images_and_models_of_other_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no image files; allowed: names that end in"):
        asked(IMAGES, tmp_path / "empty")
    picture, rows = write_image(tmp_path / "1.png"), in_file(tmp_path, ROWS)
    with pytest.raises(
        DataError, match=r"not trained on image files; it takes tables with .* ward"
    ):
        asked(TABLE, picture)
    with pytest.raises(DataError, match=r"takes image files, folders of them, or arrays .* 4 x 6"):
        asked(IMAGES, rows)
    with pytest.raises(DataError, match="2 files to read; allowed: one table"):
        asked(TABLE, rows, rows)
