"""Targets that are no classes, or no numbers, and classes of which there are too few samples.

What is said names column, row and value, and what would help.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import tiny_study, write_study

from gridfold.cli.main import main
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.splits import make_splits
from gridfold.errors import DataError, StudyError
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.loading import load_study
from gridfold.plan.plan import Plan
from gridfold.study import Study
from gridfold.workflow.bridge import say_what_is_left

ROWS = 60
Column = Callable[[int], Any]


def write_csv(folder: Path, target: Column, rows: int = ROWS) -> Path:
    table = pd.DataFrame({"a": np.arange(rows) % 7, "t": [target(i) for i in range(rows)]})
    table.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def section(file: Path, **options: Any) -> dict[str, Any]:
    return {"source": file.suffix[1:], "path": str(file), "targets": ["t"], **options}


def load(data: dict[str, Any], problem: str) -> Dataset:
    study = Study.model_validate(tiny_study(data=data, problem={"type": problem}))
    return prepare(study.data.model_dump(), problem)


def notes(dataset: Dataset) -> tuple[str, ...]:
    assert dataset.description is not None
    return dataset.description.notes


# -- classes ---------------------------------------------------------------------------------------

NO_CLASSES: dict[str, tuple[Column, int, str, str]] = {
    "numbers with fractions": (lambda i: i * 0.37, 60, "0.37", "regression"),
    "few of them": (lambda i: i % 25 * 0.37, 25, "0.37", "regression"),
    "whole numbers": (lambda i: i, 60, "0", "regression"),
    "names": (lambda i: f"patient {i}", 60, "patient 0", "name a column of classes"),
    "nearly": (lambda i: f"c{i % 31}", 31, "c0", "name a column of classes"),
}


@pytest.mark.parametrize("kind", NO_CLASSES)
def test_numbers_and_names_are_no_classes(tmp_path: Path, kind: str) -> None:
    target, number, example, remedy = NO_CLASSES[kind]
    data = section(write_csv(tmp_path, target))
    with pytest.raises(DataError) as error:
        load(data, "multiclass")
    assert f"column t has {number} classes in 60 samples, such as {example}; " in str(error.value)
    assert remedy in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        lambda i: i % 11 / 2,
        lambda i: i % 30,
        lambda i: f"c{i % 30}",
        lambda i: ("low", "high", "rare")[2 if i == 7 else i % 2],
    ],
    ids=["marks", "whole numbers", "names", "a rare one"],
)
def test_what_repeats_is_a_class(tmp_path: Path, target: Column) -> None:
    dataset = load(section(write_csv(tmp_path, target)), "multiclass")
    assert dataset.class_names is not None
    assert len(dataset.class_names) == len({target(i) for i in range(ROWS)})


def test_numbers_of_a_function_are_no_classes_either(tmp_path: Path) -> None:
    code = "import numpy as np\ndef load():\n    x = np.linspace(0, 1, 50)\n"
    code += "    return {'features': x[:, None], 'targets': x}\n"
    (tmp_path / "load.py").write_text(code)
    data = {"source": "python", "function": f"{tmp_path}/load.py:load"}
    with pytest.raises(DataError, match=r"50 classes in 50 samples, .*problem\.type: regression"):
        load(data, "multiclass")


def test_numbers_in_a_binary_problem_may_be_a_regression(tmp_path: Path) -> None:
    data = section(write_csv(tmp_path, lambda i: i / 4))
    with pytest.raises(DataError, match=r"60 classes in a binary problem .* or regression if"):
        load(data, "binary")


@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_two_columns_of_classes_are_refused_before_anything_is_read(problem: str) -> None:
    data = {"source": "csv", "path": "table.csv", "targets": ["t", "u"]}
    with pytest.raises(StudyError, match=r"(?s)data\.targets: .*one column of classes"):
        load_study([], tiny_study(data=data, problem={"type": problem}))


def test_classes_of_one_sample_are_told(tmp_path: Path) -> None:
    dataset = load(section(write_csv(tmp_path, lambda i: f"c{min(i, 3)}")), "multiclass")
    (note,) = notes(dataset)
    assert note.startswith("classes with a single sample")
    assert note.endswith(": c0, c1, c2")


def python_targets(folder: Path, targets: str) -> dict[str, Any]:
    code = f"import numpy as np\ndef load():\n    t = np.array({targets}, object)\n"
    code += "    return {'features': np.eye(len(t)), 'targets': t}\n"
    (folder / "load.py").write_text(code)
    return {"source": "python", "function": f"{folder}/load.py:load"}


def test_classes_of_several_types_are_named_with_their_rows(tmp_path: Path) -> None:
    data = python_targets(tmp_path, "['a', 'b', None, 'a', 3]")
    said = r"several types: str \('a' in row 0\), NoneType \(None in row 2\), int \(3 in row 4\)"
    with pytest.raises(DataError, match=said):
        load(data, "multiclass")


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("[1, 2, 'x', 4]", "'x' in row 2"),
        ("[[1, 2], [3, 'high']]", "'high' in row 1"),
        ("[1, {}, 3]", r"\{\} \(dict\) in row 1"),
    ],
)
def test_a_target_that_is_no_number_is_named(tmp_path: Path, targets: str, said: str) -> None:
    with pytest.raises(DataError, match=f"targets that are no numbers in a regression .*: {said};"):
        load(python_targets(tmp_path, targets), "regression")


def test_a_text_in_a_parquet_file_is_named(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": range(ROWS), "t": ["x" if i == 5 else str(i) for i in range(ROWS)]})
    table.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match=r"column t of numbers has 'x' in row 5"):
        load(section(tmp_path / "table.parquet"), "regression")


def test_points_in_time_are_no_numbers(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=ROWS)
    pd.DataFrame({"a": range(ROWS), "t": days}).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match="column t of numbers has points in time"):
        load(section(tmp_path / "table.parquet"), "regression")
    np.savez(tmp_path / "a.npz", x=np.eye(ROWS), y=days.to_numpy())
    data = {"source": "npz", "path": str(tmp_path / "a.npz")}
    with pytest.raises(DataError, match="targets that are points in time"):
        load(data, "regression")


@pytest.mark.parametrize("value", ["inf", "1e50"])
@pytest.mark.filterwarnings("error")
def test_a_number_that_32_bit_can_not_hold_is_named(tmp_path: Path, value: str) -> None:
    data = section(write_csv(tmp_path, lambda i: value if i == 4 else i))
    with pytest.raises(DataError, match=r"too large values \((inf|1e\+50) of t\) in 1 row \(4\)"):
        load(data, "regression")


def test_a_regression_on_two_values_is_told(tmp_path: Path) -> None:
    dataset = load(section(write_csv(tmp_path, lambda i: i % 2)), "regression")
    assert notes(dataset) == (
        "the target t has no values but 0 and 1; if these are classes, set problem.type: binary",
    )


# -- splits ----------------------------------------------------------------------------------------


def split(data: dict[str, Any], resampling: dict[str, Any]) -> None:
    study = tiny_study(data=data, problem={"type": "multiclass"}, resampling=resampling)
    plan = Plan.load([], study)
    make_splits(load(data, "multiclass"), JobRequests(plan).splits())


SPLITS: dict[str, tuple[Column, dict[str, Any], dict[str, Any], str]] = {
    "one sample, a test set": (
        lambda i: f"c{min(i, 3)}",
        {},
        {"method": "kfold", "folds": 2},
        r"3 classes with a single sample, .* both parts that data\.test_fraction makes: c0, c1, c2",
    ),
    "one sample, holdout": (
        lambda i: f"c{min(i, 1)}",
        {"test_fraction": 0},
        {"method": "holdout"},
        r"1 class with a single sample, .* resampling\.validation_fraction makes: c0",
    ),
    "a small test set": (
        lambda i: f"c{i % 10}",
        {"test_fraction": 0.1},
        {"method": "kfold", "folds": 2},
        r"10 classes can't all be among 6 samples, .* data\.test_fraction makes of 60",
    ),
    "folds": (
        lambda i: f"c{i // 3 if i < 6 else 3}",
        {"test_fraction": 0},
        {"method": "stratified", "folds": 5},
        "class c0 has 3 members outside the test set, too few for 5 stratified folds",
    ),
}


@pytest.mark.parametrize("kind", SPLITS)
def test_classes_that_can_not_be_split_are_named_as_the_study_names_them(
    tmp_path: Path, kind: str
) -> None:
    target, options, resampling, said = SPLITS[kind]
    with pytest.raises(DataError, match=said) as error:
        split(section(write_csv(tmp_path, target), **options), resampling)
    for word in ("n_splits", "least populated", "test_size", "in y"):
        assert word not in str(error.value)


def test_few_classes_that_repeat_can_be_split(tmp_path: Path) -> None:
    data = section(write_csv(tmp_path, lambda i: f"c{i % 6}"), test_fraction=0.1)
    split(data, {"method": "holdout"})


# -- before the first job --------------------------------------------------------------------------


def test_validate_refuses_what_can_not_be_split(tmp_path: Path, capsys: Any) -> None:
    data = section(write_csv(tmp_path, lambda i: f"c{min(i, 3)}"))
    file = write_study(
        tmp_path / "study.yaml", tiny_study(data=data, problem={"type": "multiclass"})
    )
    assert main(["validate", str(file)]) == 1
    assert "3 classes with a single sample" in capsys.readouterr().err


def test_no_attempts_are_promised_where_the_data_were_refused(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan.load([], tiny_study())
    say_what_is_left(plan)
    said = capsys.readouterr().err
    assert "stopped before the first trial: the data could not be read or split" in said
    assert "execution.retries" not in said
    for file in (plan.paths.manifest, plan.paths.splits):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    say_what_is_left(plan)
    assert "stopped with 0 of 4 trials done" in capsys.readouterr().err
