"""Data: every source gives checked arrays, and what can't serve a study is refused in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from damages import DAMAGES
from sklearn import datasets
from studies import tiny_study

from gridfold.data.dataset import Dataset, _checksum, mapped, prepare, verify
from gridfold.data.manifest import Manifest
from gridfold.errors import DataError
from gridfold.paths import array_file, manifest_file
from gridfold.store.seals import aside
from gridfold.study import Study
from gridfold.typed_json import DamagedRecord

ROWS = 12


def section(**data: Any) -> dict[str, Any]:
    """Return a `data` section as jobs get it: validated, defaults filled in."""
    return Study.model_validate(tiny_study(data=data)).data.model_dump()


def load(problem: str, **data: Any) -> Dataset:
    return prepare(section(**data), problem)


@pytest.fixture
def table() -> pd.DataFrame:
    """Return flowers of three species from four gardens, in an order that mixes them."""
    iris = datasets.load_iris(as_frame=True)
    rows = iris.data.iloc[:: len(iris.data) // ROWS].head(ROWS).reset_index(drop=True)
    rows.columns = ["a", "b", "c", "d"]
    rows["species"] = ["setosa", "versicolor", "virginica"] * 4
    rows["garden"] = ["n", "n", "n", "e", "e", "e", "s", "s", "s", "w", "w", "w"]
    return rows


@pytest.fixture
def csv(table: pd.DataFrame, tmp_path: Path) -> Path:
    file = tmp_path / "flowers.csv"
    table.to_csv(file, index=False)
    return file


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    iris = datasets.load_iris()
    file = tmp_path / "iris.npz"
    np.savez(
        file,
        x=iris.data[:120],
        y=iris.target[:120],
        plant=np.arange(120) // 4,
        later_x=iris.data[120:],
        later_y=iris.target[120:],
    )
    return file


def python_source(folder: Path, body: str) -> str:
    """Write a module with a function `read` and return its reference."""
    file = folder / "mine.py"
    file.write_text(f"import numpy as np\n\n\ndef read():\n    {body}\n")
    return f"{file}:read"


# -- embedded -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "problem", "shape", "outputs"),
    [
        ("digits", "multiclass", (1797, 8, 8, 1), 10),
        ("iris", "multiclass", (150, 4), 3),
        ("wine", "multiclass", (178, 13), 3),
        ("breast_cancer", "binary", (569, 30), 1),
        ("breast_cancer", "multiclass", (569, 30), 2),
        ("diabetes", "regression", (442, 10), 1),
        ("linnerud", "regression", (20, 3), 3),
    ],
)
def test_embedded_sources_have_the_shape_of_their_problem(
    source: str, problem: str, shape: tuple[int, ...], outputs: int
) -> None:
    dataset = load(problem, source=source)
    assert dataset.features.shape == shape
    assert dataset.features.dtype == np.float32
    assert dataset.outputs == outputs
    assert dataset.test_start is None
    if problem == "regression":
        assert dataset.targets.shape == (shape[0], outputs)
        assert dataset.targets.dtype == np.float32
        assert dataset.class_names is None
    else:
        assert dataset.targets.shape == (shape[0],)
        assert dataset.targets.dtype == np.int64


def test_embedded_values_are_those_of_scikit_learn() -> None:
    digits, dataset = datasets.load_digits(), load("multiclass", source="digits")
    np.testing.assert_array_equal(dataset.features[..., 0], digits.images.astype(np.float32))
    np.testing.assert_array_equal(dataset.targets, digits.target)


def test_embedded_classes_and_outputs_have_names() -> None:
    assert load("multiclass", source="iris").class_names == ["setosa", "versicolor", "virginica"]
    tumours = load("binary", source="breast_cancer")
    assert tumours.class_names == ["malignant", "benign"]
    assert tumours.target_names == ["benign"], "one output, the probability of class 1"
    assert load("regression", source="linnerud").target_names == ["Weight", "Waist", "Pulse"]


def test_without_groups_every_sample_is_its_own_group() -> None:
    assert len(np.unique(load("multiclass", source="iris").groups)) == 150


# -- npz ------------------------------------------------------------------------------------------


def test_npz_arrays_are_found_by_name(npz: Path) -> None:
    dataset = load("multiclass", source="npz", path=str(npz), groups="plant")
    assert dataset.features.shape == (120, 4)
    np.testing.assert_array_equal(dataset.groups, np.arange(120) // 4)
    other = load("regression", source="npz", path=str(npz), features="later_x", targets="later_y")
    assert other.features.shape == (30, 4)


def test_npz_may_bring_its_own_test_set(npz: Path) -> None:
    dataset = load(
        "multiclass",
        source="npz",
        path=str(npz),
        groups="plant",
        test_features="later_x",
        test_targets="later_y",
    )
    assert dataset.test_start == 120
    iris = datasets.load_iris()
    np.testing.assert_array_equal(dataset.features, iris.data.astype(np.float32))
    np.testing.assert_array_equal(dataset.targets, iris.target)
    development, test = dataset.groups[:120], dataset.groups[120:]
    assert not np.intersect1d(development, test).size
    assert len(np.unique(test)) == 30


def test_a_wrong_array_name_lists_those_there_are(npz: Path) -> None:
    with pytest.raises(DataError) as error:
        load("multiclass", source="npz", path=str(npz), features="X")
    text = str(error.value)
    assert "no array `X` (data.features)" in text
    for name in ("x", "y", "plant", "later_x", "later_y"):
        assert name in text.rpartition("it has")[2]


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    file = tmp_path / "photos.npz"
    np.savez(file, x=np.arange(24, dtype=np.uint8).reshape(6, 4), y=[0, 1, 0, 1, 0, 1])
    assert load("binary", source="npz", path=str(file)).features.dtype == np.uint8


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "iris.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"iris\.npz is not an \.npz file"):
        load("multiclass", source="npz", path=str(file))


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, 1), (10, 77), (42, 255)],
    ids=["encrypted", "unknown compression", "elsewhere"],
)
def test_a_damaged_npz_is_named_with_what_is_wrong(tmp_path: Path, at: int, value: int) -> None:
    file = tmp_path / "damaged.npz"
    np.savez(file, x=np.arange(24).reshape(6, 4), y=[0, 1, 0, 1, 0, 1])
    content = bytearray(file.read_bytes())
    # In the entry of `x` in the table of contents.
    content[content.index(b"PK\x01\x02") + at] = value
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.npz.* can't be read, it may be damaged: \w+"):
        load("binary", source="npz", path=str(file))


def test_a_damaged_npy_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(24).reshape(6, 4))
    file = tmp_path / "x.npy"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"'shape': (6, 4)", b"'shape': (6, 4 "))
    with pytest.raises(DataError, match=r"x\.npy can't be read, it may be damaged: \w+"):
        load("binary", source="npy", path=str(tmp_path), features="x", targets="y")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "objects.npz"
    np.savez(file, x=np.array([[{}], [{}]], dtype=object), y=[0, 1])
    with pytest.raises(DataError, match="array `x`"):
        load("binary", source="npz", path=str(file))


# -- csv and parquet ------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_tables_are_read_by_column(table: pd.DataFrame, tmp_path: Path, source: str) -> None:
    file = tmp_path / f"flowers.{source}"
    table.to_csv(file, index=False) if source == "csv" else table.to_parquet(file)
    dataset = load(
        "multiclass", source=source, path=str(file), targets=["species"], groups="garden"
    )
    np.testing.assert_array_equal(
        dataset.features, table[["a", "b", "c", "d"]].to_numpy(np.float32)
    )
    assert dataset.class_names == ["setosa", "versicolor", "virginica"]
    np.testing.assert_array_equal(dataset.targets, [0, 1, 2] * 4)
    same_garden = table["garden"].to_numpy()[:, None] == table["garden"].to_numpy()
    np.testing.assert_array_equal(dataset.groups[:, None] == dataset.groups, same_garden)


def test_feature_columns_can_be_chosen_and_ordered(csv: Path) -> None:
    dataset = load(
        "multiclass", source="csv", path=str(csv), targets=["species"], features=["c", "a"]
    )
    table = pd.read_csv(csv)
    np.testing.assert_array_equal(dataset.features, table[["c", "a"]].to_numpy(np.float32))


def test_another_separator(table: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "flowers.csv"
    table.drop(columns="garden").to_csv(file, index=False, sep=";")
    options = {"source": "csv", "path": str(file), "targets": ["species"]}
    assert load("multiclass", **options, separator=";").features.shape == (ROWS, 4)


def test_several_target_columns_are_several_outputs(csv: Path) -> None:
    dataset = load(
        "regression", source="csv", path=str(csv), targets=["d", "c"], features=["a", "b"]
    )
    assert dataset.targets.shape == (ROWS, 2)
    assert dataset.target_names == ["d", "c"]
    np.testing.assert_array_equal(dataset.targets[:, 0], pd.read_csv(csv)["d"].astype(np.float32))


@pytest.mark.parametrize(
    ("role", "value"), [("targets", ["kind"]), ("groups", "kind"), ("features", ["a", "kind"])]
)
def test_a_missing_column_lists_those_there_are(csv: Path, role: str, value: Any) -> None:
    options = {"targets": ["species"], role: value}
    with pytest.raises(DataError, match=rf"no column kind \(data\.{role}\); it has a, b, c, d"):
        load("multiclass", source="csv", path=str(csv), **options)


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_missing_features_are_refused_with_their_row(
    table: pd.DataFrame, tmp_path: Path, source: str
) -> None:
    table.loc[[5, 7], "b"] = np.nan
    file = tmp_path / f"flowers.{source}"
    table.to_csv(file, index=False) if source == "csv" else table.to_parquet(file)
    with pytest.raises(DataError, match=r"2 samples with missing or infinite features.* row 5"):
        load("multiclass", source=source, path=str(file), targets=["species"], groups="garden")


@pytest.mark.parametrize("column", ["species", "garden"])
def test_missing_targets_and_groups_are_refused_with_their_row(
    table: pd.DataFrame, tmp_path: Path, column: str
) -> None:
    table.loc[4, column] = None
    file = tmp_path / "flowers.csv"
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match=f"column {column} has 1 missing values, .* row 4"):
        load("multiclass", source="csv", path=str(file), targets=["species"], groups="garden")


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "flowers.parquet"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"flowers\.parquet can't be read as parquet"):
        load("multiclass", source="parquet", path=str(file), targets=["b"])


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("a,b\n")
    with pytest.raises(DataError, match="no samples"):
        load("regression", source="csv", path=str(file), targets=["b"])


# -- python ---------------------------------------------------------------------------------------


def test_a_function_of_the_user_brings_arrays(tmp_path: Path) -> None:
    function = python_source(
        tmp_path,
        "return {'features': np.eye(6), 'targets': list('abcabc'), 'groups': [7, 7, 7, 3, 3, 3]}",
    )
    dataset = load("multiclass", source="python", function=function)
    np.testing.assert_array_equal(dataset.features, np.eye(6, dtype=np.float32))
    assert dataset.class_names == ["a", "b", "c"]
    np.testing.assert_array_equal(dataset.groups, [1, 1, 1, 0, 0, 0])


def test_a_function_of_the_user_may_bring_a_test_set(tmp_path: Path) -> None:
    function = python_source(
        tmp_path,
        "return {'features': np.eye(4), 'targets': [0, 1, 0, 1],"
        " 'test_features': np.ones((2, 4)), 'test_targets': [1, 1]}",
    )
    dataset = load("binary", source="python", function=function)
    assert dataset.test_start == 4
    assert dataset.targets.tolist() == [0, 1, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("return np.eye(3), [0, 1, 0]", "must return a mapping .*, not tuple"),
        ("return {'features': np.eye(3)}", "must return a mapping with `features` and `targets`"),
        (
            "return {'features': np.eye(2), 'targets': [0, 1], 'sizes': [1, 1]}",
            "returns unknown sizes; known: features, targets, groups",
        ),
        ("return {'features': np.eye(3), 'targets': [0, 1]}", "3 samples but 2 targets"),
        (
            # The sums agree, the parts don't.
            "return {'features': np.eye(3), 'targets': [0, 1, 0, 1],"
            " 'test_features': np.eye(3), 'test_targets': [0, 1]}",
            "3 samples but 4 targets",
        ),
        (
            "return {'features': np.eye(2), 'targets': [0, 1], 'test_features': np.eye(2)}",
            "only one of test features and test targets",
        ),
        (
            "return {'features': np.eye(2), 'targets': [0, 1],"
            " 'test_features': np.eye(3), 'test_targets': [0, 1, 1]}",
            r"samples of shape \(2,\), but test samples of shape \(3,\)",
        ),
        (
            "return {'features': np.eye(2), 'targets': [0, 1], 'groups': [1]}",
            "1 group labels for 2 samples",
        ),
        ("return {'features': [['a'], ['b']], 'targets': [0, 1]}", "numbers are needed"),
        ("return {'features': np.eye(2) * 1j, 'targets': [0, 1]}", "numbers are needed"),
        ("return {'features': np.zeros((0, 3)), 'targets': []}", "no samples"),
        ("return {'features': np.eye(3), 'targets': [1, 1, 1]}", "all samples have the same class"),
        ("return {'features': np.eye(2), 'targets': [0.0, np.nan]}", "missing values"),
        (
            "return {'features': np.eye(2), 'targets': np.array(['a', None])}",
            "class targets of several types",
        ),
        ("return {'features': np.eye(2), 'targets': np.eye(2)}", "one label for each sample"),
    ],
)
def test_what_a_function_returns_is_checked(tmp_path: Path, body: str, complaint: str) -> None:
    function = python_source(tmp_path, body)
    with pytest.raises(DataError, match=complaint):
        load("multiclass", source="python", function=function)


@pytest.mark.parametrize("bad", ["np.nan", "np.inf", "1e300"])
def test_values_that_are_not_finite_are_refused_with_their_row(tmp_path: Path, bad: str) -> None:
    function = python_source(
        tmp_path,
        f"x = np.ones((5, 2, 2)); x[3, 1, 0] = {bad}; return {{'features': x, 'targets': x[:, 0]}}",
    )
    with pytest.raises(DataError, match=r"1 samples with missing or infinite features.* row 3"):
        load("regression", source="python", function=function)


def test_targets_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    function = python_source(tmp_path, "return {'features': np.eye(2), 'targets': [1, np.inf]}")
    with pytest.raises(DataError, match=r"infinite .*values [(]inf[)] in 1 row [(]1[)]"):
        load("regression", source="python", function=function)


def test_words_are_no_targets_of_a_regression(tmp_path: Path) -> None:
    function = python_source(tmp_path, "return {'features': np.eye(2), 'targets': ['low', 'high']}")
    with pytest.raises(DataError, match="in a regression problem"):
        load("regression", source="python", function=function)


# -- classes and targets --------------------------------------------------------------------------


def test_labels_become_codes_in_sorted_order(tmp_path: Path) -> None:
    function = python_source(
        tmp_path, "return {'features': np.eye(4), 'targets': [9.0, 5.0, 7.0, 5.0]}"
    )
    dataset = load("multiclass", source="python", function=function)
    assert dataset.targets.tolist() == [2, 0, 1, 0]
    assert dataset.class_names == ["5", "7", "9"]


# -- the positive class, and measures that not all data have ---------------------------------------


def binary(positive: Any = None, **data: Any) -> Dataset:
    return prepare(section(**data), "binary", positive=positive)


def test_a_positive_class_that_nobody_has_named_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    binary(source="breast_cancer")
    assert caplog.messages == ["the positive class is benign, the second of malignant and benign"]
    caplog.clear()
    binary("benign", source="breast_cancer")
    assert not caplog.messages


def test_the_positive_class_becomes_the_second() -> None:
    plain = binary(source="breast_cancer")
    named = binary("malignant", source="breast_cancer")
    assert (plain.class_names, plain.target_names) == (["malignant", "benign"], ["benign"])
    assert (named.class_names, named.target_names) == (["benign", "malignant"], ["malignant"])
    np.testing.assert_array_equal(named.targets, 1 - plain.targets)
    assert named.targets.dtype == plain.targets.dtype
    assert binary("benign", source="breast_cancer").digest == plain.digest != named.digest


@pytest.mark.parametrize(
    ("written", "positive", "row", "names"),
    [
        (["1", "2"], 1, 0, ["2", "1"]),
        (["1.0", "0.0"], 0, 1, ["1", "0"]),
        (["1.0", "0.0"], 1.0, 0, ["0", "1"]),
        (["1.0", "0.0"], "0.0", 1, ["1", "0"]),
        (["0", "1"], "0", 0, ["1", "0"]),
        (["yes", "no"], "no", 1, ["yes", "no"]),
        (["True", "False"], False, 1, ["True", "False"]),
        (["true", "false"], True, 0, ["false", "true"]),
        (["-1", "+1"], -1, 0, ["1", "-1"]),
    ],
)
def test_the_positive_class_is_named_as_yaml_reads_it(
    written: list[str], positive: Any, row: int, names: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("x,y\n" + "".join(f"{i},{written[i % 2]}\n" for i in range(8)))
    found = binary(positive, source="csv", path=str(file), targets=["y"])
    assert found.class_names == names
    assert np.flatnonzero(found.targets).tolist() == [row, row + 2, row + 4, row + 6]


def test_numbers_of_an_array_have_a_positive_one(npz: Path) -> None:
    targets = np.array([2.0, 5.0] * 60)
    np.savez(npz, x=np.zeros((120, 3)), y=targets)
    found = binary(2, source="npz", path=str(npz), features="x", targets="y")
    assert found.class_names == ["5", "2"]
    np.testing.assert_array_equal(found.targets == 1, targets == 2)


@pytest.mark.parametrize("positive", ["Yes", "maybe", 1, True])
def test_a_positive_class_that_there_is_not_is_refused(positive: Any, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("x,y\n" + "".join(f"{i},{'yes' if i % 2 else 'no'}\n" for i in range(8)))
    with pytest.raises(DataError, match=r"problem.positive: no class .*; allowed: no, yes"):
        binary(positive, source="csv", path=str(file), targets=["y"])


def test_the_best_of_three_needs_more_than_three_classes() -> None:
    said = r"top_3_accuracy .* with 3 classes; allowed: at least 4 classes, or another measure"
    with pytest.raises(DataError, match=said):
        prepare(section(source="iris"), "multiclass", measures=["top_3_accuracy"])
    digits = section(source="digits")
    assert len(prepare(digits, "multiclass", measures=["top_5_accuracy"]).class_names or ()) == 10


def test_a_relative_error_needs_targets_other_than_zero(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("x,y\n1,3\n2,0\n3,-1\n4,0\n")
    data = section(source="csv", path=str(file), targets=["y"])
    with pytest.raises(DataError, match=r"mape .* of which 2 are 0, the first at row 1; allowed"):
        prepare(data, "regression", measures=["mape"])
    assert len(prepare(data, "regression").targets) == 4


def test_three_classes_are_no_binary_problem() -> None:
    with pytest.raises(DataError, match=r"3 classes in a binary .* \(0, 1, 2\); use multiclass"):
        load("binary", source="iris")


def test_multi_output_targets_beyond_0_and_1_need_scaling() -> None:
    with pytest.raises(DataError, match=r"targets from 31 to 247 .*scale_targets: minmax"):
        load("multi_output", source="linnerud")
    assert load("multi_output", source="linnerud", scale_targets="minmax").targets.max() == 247


# -- reshape and subset ---------------------------------------------------------------------------


def test_reshape_makes_images_of_rows_and_rows_of_images() -> None:
    flat = load("multiclass", source="digits", reshape=[64])
    assert flat.features.shape == (1797, 64)
    np.testing.assert_array_equal(flat.features, datasets.load_digits().data.astype(np.float32))


def test_reshape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"reshape \[9, 9\] does not fit samples of shape \(4,\)"):
        load("multiclass", source="iris", reshape=[9, 9])


def test_a_subset_is_the_same_in_every_run_and_another_with_another_seed() -> None:
    first, again, other = (
        load("multiclass", source="digits", subset=100, test_seed=seed) for seed in (1, 1, 2)
    )
    assert len(first.features) == len(first.targets) == len(first.groups) == 100
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_a_subset_pairs_samples_with_their_own_targets() -> None:
    part, whole = (load("multiclass", source="iris", subset=n) for n in (40, None))
    rows = part.groups  # Without groups these are the original row numbers.
    np.testing.assert_array_equal(part.features, whole.features[rows])
    np.testing.assert_array_equal(part.targets, whole.targets[rows])
    assert len(np.unique(rows)) == 40


def test_a_larger_subset_than_there_is_takes_everything() -> None:
    part, whole = (load("multiclass", source="iris", subset=n) for n in (1000, None))
    assert part.digest == whole.digest


def test_a_subset_keeps_the_test_set_of_the_source(npz: Path) -> None:
    dataset = load(
        "multiclass",
        source="npz",
        path=str(npz),
        test_features="later_x",
        test_targets="later_y",
        subset=20,
    )
    assert dataset.test_start == 20
    np.testing.assert_array_equal(
        dataset.features[20:], datasets.load_iris().data[120:].astype(np.float32)
    )


# -- digest ---------------------------------------------------------------------------------------


def test_the_same_data_has_the_same_digest_whatever_file_it_is_in(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "b.parquet")
    digests = {
        load(
            "multiclass",
            source=source,
            path=str(tmp_path / name),
            targets=["species"],
            groups="garden",
        ).digest
        for source, name in (("csv", "a.csv"), ("parquet", "b.parquet"))
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("b", 99.5), ("species", "versicolor"), ("garden", "e")],
    ids=["feature", "target", "group"],
)
def test_one_changed_value_changes_the_digest(
    table: pd.DataFrame, tmp_path: Path, column: str, value: Any
) -> None:
    digests = set()
    file = tmp_path / "flowers.csv"
    for _ in range(2):
        table.to_csv(file, index=False)
        options = {"path": str(file), "targets": ["species"], "groups": "garden"}
        digests.add(load("multiclass", source="csv", **options).digest)
        table.loc[0, column] = value
    assert len(digests) == 2


def test_a_renamed_class_changes_the_digest(csv: Path) -> None:
    options = {"source": "csv", "path": str(csv), "targets": ["species"], "groups": "garden"}
    before = load("multiclass", **options)
    csv.write_text(csv.read_text().replace("setosa", "bristle-pointed"))
    after = load("multiclass", **options)
    np.testing.assert_array_equal(before.targets, after.targets)
    assert before.digest != after.digest


def test_where_the_test_set_begins_is_part_of_the_digest(tmp_path: Path) -> None:
    iris = datasets.load_iris()
    digests = set()
    for start in (100, 120):
        file = tmp_path / f"{start}.npz"
        np.savez(
            file,
            x=iris.data[:start],
            y=iris.target[:start],
            tx=iris.data[start:],
            ty=iris.target[start:],
        )
        options = {"path": str(file), "test_features": "tx", "test_targets": "ty"}
        digests.add(load("multiclass", source="npz", **options).digest)
    assert len(digests) == 2


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "problem"), [("digits", "multiclass"), ("linnerud", "regression")]
)
def test_a_saved_dataset_is_mapped_into_memory_and_equal(
    tmp_path: Path, source: str, problem: str
) -> None:
    made = load(problem, source=source)
    made.save(tmp_path / "data")
    found = Dataset.load(tmp_path / "data")
    for name in ("features", "targets", "groups"):
        assert isinstance(getattr(found, name), np.memmap), name
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    for name in ("test_start", "class_names", "target_names", "digest", "outputs"):
        assert getattr(found, name) == getattr(made, name), name


def test_a_mapped_dataset_cannot_be_changed_by_accident(tmp_path: Path) -> None:
    load("multiclass", source="iris").save(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        Dataset.load(tmp_path).features[0, 0] = 1


def damaged_data(folder: Path, damage: str, name: str = "features") -> Path:
    """Save a data set in `folder`, damage the file of one of its arrays and return it."""
    made = load("multiclass", source="iris")
    made.save(folder)
    verify(folder)
    DAMAGES[damage](array_file(folder, name), array_file(folder, "spans"))
    return array_file(folder, name)


@pytest.mark.parametrize("name", ["features", "targets", "groups"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_data_that_are_not_what_was_written_are_named_and_set_aside(
    tmp_path: Path, damage: str, name: str
) -> None:
    file = damaged_data(tmp_path, damage, name)
    for _ in range(2):
        with pytest.raises(DamagedRecord, match=f"{name}.npy is damaged .*run the study again"):
            verify(tmp_path)
    assert not file.exists()
    assert aside(file).exists() or damage in ("deleted", "a link to itself")
    load("multiclass", source="iris").save(tmp_path)
    assert verify(tmp_path).samples == 150


def test_an_array_is_verified_before_it_is_mapped(tmp_path: Path) -> None:
    file = damaged_data(tmp_path, "one bit", "targets")
    assert len(mapped(array_file(tmp_path, "features"))) == 150
    with pytest.raises(DamagedRecord, match="its checksum is wrong"):
        mapped(file)


def test_data_of_earlier_versions_are_verified_by_their_digest(tmp_path: Path) -> None:
    load("multiclass", source="iris").save(tmp_path)
    manifest = replace(Manifest.read(manifest_file(tmp_path)), checksums=None)
    manifest.write(manifest_file(tmp_path))
    assert verify(tmp_path) == manifest
    DAMAGES["one bit"](array_file(tmp_path, "features"), tmp_path)
    with pytest.raises(DamagedRecord, match="the digest of the data is wrong"):
        verify(tmp_path)


def test_data_are_read_once_in_a_process(tmp_path: Path) -> None:
    load("multiclass", source="iris").save(tmp_path)
    verify(tmp_path)
    known = _checksum.cache_info()
    for _ in range(3):
        verify(tmp_path)
    assert _checksum.cache_info().misses == known.misses
