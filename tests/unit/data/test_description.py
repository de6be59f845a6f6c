"""What a study's data are, as `gridfold validate` and `plan` show it and as results keep it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from digitfiles import DIGITS, PIXELS, write_digits
from studies import tiny_study, write_study

from gridfold.cli.main import main
from gridfold.data.dataset import prepare
from gridfold.data.description import MOST_VALUES, ColumnDescription, Count, DataDescription
from gridfold.paths import description_file
from gridfold.study import Study

ROWS = 60


def write_table(folder: Path, **columns: Any) -> Path:
    table = {
        "id": [f"p{i:03}" for i in range(ROWS)],
        "age": [20 + i % 40 for i in range(ROWS)],
        "city": [("Oslo", "Rome", "Bern")[i % 3] for i in range(ROWS)],
        "remark": [f"note {i}" for i in range(ROWS)],
        "visit": [f"2024-01-{1 + i % 28:02}" for i in range(ROWS)],
        "w": [1.5] * ROWS,
        "y": [("no", "yes")[i % 4 == 0] for i in range(ROWS)],
    }
    file = folder / "patients.csv"
    pd.DataFrame(table | columns).to_csv(file, index=False)
    return file


def section(source: str, problem: str, **options: Any) -> dict[str, Any]:
    data = {"source": source, **options}
    study = Study.model_validate(tiny_study(data=data, problem={"type": problem}))
    return study.data.model_dump()


def described(folder: Path, source: str, problem: str, **options: Any) -> DataDescription:
    """Return the description that `prepare_data` leaves beside the arrays."""
    dataset = prepare(section(source, problem, **options), problem, folder / "data")
    (folder / "data").mkdir(exist_ok=True)
    dataset.save(folder / "data")
    read = DataDescription.read(description_file(folder / "data"))
    assert read == dataset.description
    return read


def column(description: DataDescription, name: str) -> ColumnDescription:
    (found,) = [c for c in description.columns if c.name == name]
    return found


ROLES = {"targets": ["y"], "id": "id", "weight": "w", "time": "visit", "ignore": ["remark"]}


def test_each_column_has_role_kind_range_and_share_of_missing_values(tmp_path: Path) -> None:
    ages = [None if i < 6 else 20 + i for i in range(ROWS)]
    options = {**ROLES, "missing": {"numbers": "mean"}}
    found = described(
        tmp_path, "csv", "binary", path=str(write_table(tmp_path, age=ages)), **options
    )
    assert [(c.name, c.roles, c.kind) for c in found.columns] == [
        ("id", ("id",), "text"),
        ("age", ("feature",), "number"),
        ("city", ("feature",), "category"),
        ("remark", ("ignored",), "text"),
        ("visit", ("time",), "date"),
        ("w", ("weight",), "number"),
        ("y", ("target",), "category"),
    ]
    age = column(found, "age")
    assert (age.low, age.high, age.distinct, age.missing) == (26, 79, 54, 0.1)
    assert column(found, "id").values == ()
    city = column(found, "city")
    assert city.values == (Count("Bern", 20), Count("Oslo", 20), Count("Rome", 20))
    visit = column(found, "visit")
    assert (visit.low, visit.high) == ("2024-01-01", "2024-01-28")
    assert found.classes == (Count("no", 45), Count("yes", 15))
    assert found.left_out == ("1 column (data.ignore): remark",)
    assert found.samples is not None
    assert found.samples.missing == pytest.approx(6 / (2 * ROWS))


def test_a_parquet_file_is_described_likewise(tmp_path: Path) -> None:
    table = pd.read_csv(write_table(tmp_path))
    table["visit"] = pd.to_datetime(table["visit"])
    table.to_parquet(tmp_path / "patients.parquet")
    options = {**ROLES, "path": str(tmp_path / "patients.parquet")}
    found = described(tmp_path, "parquet", "binary", **options)
    assert column(found, "visit").kind == "date"
    assert column(found, "visit").low == "2024-01-01T00:00:00"
    assert found.classes == (Count("no", 45), Count("yes", 15))


def test_only_the_most_frequent_values_are_kept(tmp_path: Path) -> None:
    zips = [f"z{min(i, 28)}" for i in range(ROWS)]
    file = write_table(tmp_path, city=zips)
    city = column(described(tmp_path, "csv", "binary", path=str(file), **ROLES), "city")
    assert city.distinct == 29
    assert len(city.values) == MOST_VALUES
    assert city.values[0] == Count("z28", 32)


def test_windows_tell_which_rows_are_in_none(tmp_path: Path) -> None:
    series = [f"s{min(i // 20, 2) + (i >= 57)}" for i in range(ROWS)]
    table = {"s": series, "t": list(range(ROWS)), "y": np.linspace(0, 1, ROWS)}
    pd.DataFrame(table).to_csv(tmp_path / "series.csv", index=False)
    found = described(
        tmp_path,
        "csv",
        "regression",
        path=str(tmp_path / "series.csv"),
        targets=["y"],
        time="t",
        groups="s",
        sequence={"length": 5},
    )
    assert found.rows == ROWS
    assert found.samples is not None
    assert found.samples.number == 15 + 15 + 12
    assert column(found, "y").roles == ("feature", "target")
    assert [(c.low, c.high) for c in found.with_role("time")] == [(0, 59)]
    assert [c.distinct for c in found.with_role("groups")] == [4]
    assert found.left_out == (
        "3 rows of 1 series, which have fewer than the 6 rows of a window with its target",
    )


def test_images_have_shape_range_and_classes_of_both_sets(tmp_path: Path) -> None:
    train, test = write_digits(tmp_path / "train", 60), write_digits(tmp_path / "test", 20)
    found = described(
        tmp_path, "images", "multiclass", path=str(train), test_path=str(test), color="grayscale"
    )
    assert found.samples is not None
    assert (found.samples.number, found.samples.own_test) == (80, 20)
    assert (found.samples.shape, found.samples.type) == ((8, 8, 1), "uint8")
    assert (found.samples.low, found.samples.high) == (PIXELS[:60].min(), PIXELS[:60].max())
    counts = zip(np.bincount(DIGITS.target[:60]), np.bincount(DIGITS.target[:20]), strict=True)
    assert found.classes == tuple(
        Count(str(digit), int(own), int(other)) for digit, (own, other) in enumerate(counts)
    )


def test_arrays_have_ranges_of_targets_and_weights_and_the_number_of_groups(
    tmp_path: Path,
) -> None:
    arrays = {
        "x": np.arange(40.0).reshape(20, 2),
        "y": np.linspace(-1, 1, 20),
        "g": np.arange(20) // 4,
        "w": np.linspace(0.5, 2, 20),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    found = described(
        tmp_path, "npz", "regression", path=str(tmp_path / "a.npz"), groups="g", weights="w"
    )
    assert [(c.roles, c.distinct, c.low, c.high) for c in found.columns] == [
        (("target",), 20, -1, 1),
        (("groups",), 5, None, None),
        (("weight",), 20, 0.5, 2),
    ]
    assert found.samples is not None
    assert (found.samples.low, found.samples.high) == (0, 39)
    assert found.classes is None


def test_a_subset_is_told(tmp_path: Path) -> None:
    found = described(tmp_path, "iris", "multiclass", subset=50)
    assert found.samples is not None
    assert (found.rows, found.samples.number) == (150, 50)
    assert found.left_out == ("100 samples of 150, drawn at random (data.subset: 50)",)
    assert found.classes is not None
    assert sum(count.samples for count in found.classes) == 50


# -- what is shown --------------------------------------------------------------------------------


def said(capsys: Any, file: Path, *, verb: str = "validate", **options: Any) -> tuple[int, str]:
    data = {"source": "csv", "path": str(file), **options}
    study = write_study(
        file.parent / "study.yaml", tiny_study(data=data, problem={"type": "binary"})
    )
    code = main([verb, str(study), "--results", str(file.parent / "results")])
    output = capsys.readouterr()
    return code, output.out + output.err


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_the_columns_are_shown_before_anything_is_run(
    tmp_path: Path, capsys: Any, verb: str
) -> None:
    code, text = said(capsys, write_table(tmp_path), verb=verb, **ROLES)
    assert code == 0
    rows = [line.split() for line in text.splitlines()]
    assert ["age", "feature", "number", "20", "to", "59"] in rows
    assert ["visit", "time", "date", "2024-01-01", "to", "2024-01-28"] in rows
    assert ["classes", "2:", "no", "(45),", "yes", "(15)"] in rows
    assert ["w", "weight", "number", "always", "1.5"] in rows


def test_of_a_large_table_the_first_rows_are_shown(tmp_path: Path, capsys: Any) -> None:
    rows = 100_000
    pad = "x" * 200
    with (tmp_path / "large.csv").open("w") as file:
        file.write("a,pad,y\n")
        file.writelines(f"{i},{pad},{i % 2}\n" for i in range(rows))
    code, text = said(capsys, tmp_path / "large.csv", targets=["y"], ignore=["pad"])
    assert code == 0
    looked_at = re.search(r"the first (\d+) rows", text)
    assert looked_at is not None
    assert f"0 to {int(looked_at[1]) - 1}" in text


def test_many_columns_are_shortened(tmp_path: Path, capsys: Any) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 80)))
    table = table.add_prefix("f").assign(y=np.arange(ROWS) % 2)
    table.to_csv(tmp_path / "wide.csv", index=False)
    _, text = said(capsys, tmp_path / "wide.csv", targets=["y"])
    assert "and 50 columns more: feature, number (50)" in text
    assert ["y", "target", "category", "2", "classes"] in [
        line.split() for line in text.splitlines()
    ]


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_what_the_first_job_would_refuse_is_refused_before(
    tmp_path: Path, capsys: Any, verb: str
) -> None:
    file = write_table(tmp_path, id=["p"] * ROWS)
    code, text = said(capsys, file, verb=verb, **ROLES)
    assert code == 1
    assert "nothing was run" in text
    assert "column id (data.id) has 'p' more than once, again at row 1" in text
    assert "Traceback" not in text
