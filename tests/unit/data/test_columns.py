"""Tables as users have them: roles, categories, missing values; and the way back for raw rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from patients import NUMBERS, ROLES, WORDS, patients
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from studies import tiny_study

from gridfold.data.dataset import Dataset, prepare
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.study import Study
from gridfold.training import preprocessing


def load(table: pd.DataFrame, folder: Path, **options: Any) -> Dataset:
    """Prepare a table as a study of a binary problem would, through the file system."""
    file = folder / "patients.csv"
    table.to_csv(file, index=False)
    data = {"source": "csv", "path": str(file), **ROLES, **options}
    study = Study.model_validate(tiny_study(data=data, problem={"type": "binary"}))
    prepare(study.data.model_dump(), "binary").save(folder / "data")
    return Dataset.load(folder / "data")


def settings(**options: Any) -> dict[str, Any]:
    missing = {"numbers": "median", "categories": "own", "indicator": True}
    return {"normalise": "standard", "missing": missing, **options}


# -- roles ----------------------------------------------------------------------------------------


def test_each_column_plays_its_role_and_no_other(tmp_path: Path) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    assert dataset.columns is not None
    assert [column.name for column in dataset.columns] == [*NUMBERS, *WORDS]
    assert [column.categories for column in dataset.columns[3:]] == [
        ("east", "north", "south", "west"),
        ("1", "2", "3"),
    ]
    assert isinstance(dataset.features, np.memmap)
    np.testing.assert_array_equal(dataset.features[:, :3], table[NUMBERS].to_numpy(np.float32))
    np.testing.assert_array_equal(dataset.features[:, 4], table["grade"] - 1)
    np.testing.assert_array_equal(dataset.groups, table["clinic"])
    np.testing.assert_array_equal(dataset.weights, table["importance"].astype(np.float32))
    assert dataset.ids is not None
    assert dataset.ids.tolist() == table["patient"].tolist()
    assert dataset.class_names == ["benign", "malignant"]


def test_columns_of_text_are_categories_unless_told_otherwise(tmp_path: Path) -> None:
    dataset = load(patients(), tmp_path, categories="auto")
    assert dataset.columns is not None
    kinds = {column.name: column.categories is not None for column in dataset.columns}
    assert kinds == dict.fromkeys(NUMBERS, False) | {"ward": True, "grade": False}


def test_weights_and_categories_are_part_of_the_digest_and_names_are_not(tmp_path: Path) -> None:
    table = patients()
    digest = load(table, tmp_path).digest
    for column, changed in {"importance": True, "ward": True, "patient": False}.items():
        other = table.copy()
        if column == "ward":
            other["ward"] = other["ward"].replace("north", "arctic")
        else:
            other[column] = other[column].to_numpy()[::-1]
        assert (load(other, tmp_path).digest != digest) == changed, column


REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("names that repeat", ("patient", 7, "p003"), {}, r"patient \(data\.id\) has 'p003' .* row 7"),
    ("missing name", ("patient", 7, None), {}, "column patient has 1 missing values, .* row 7"),
    ("missing weight", ("importance", 9, None), {}, "column importance has 1 missing .* row 9"),
    ("negative weight", ("importance", 9, -1.0), {}, "sample weight -1 at row 9"),
    ("weight in words", ("importance", 9, "much"), {}, "importance of numbers has 'much' in row 9"),
    ("missing target", ("outcome", 5, None), {}, "column outcome has 1 missing values, .* row 5"),
    ("missing number", None, {"missing": {}}, r"the first at row \d+ \(columns .*data\.missing\.n"),
    (
        "missing category",
        None,
        {"missing": {"numbers": "mean", "categories": "refuse"}},
        r"columns ward\); .* or set data\.missing\.categories",
    ),
    ("infinite number", ("mean area", 4, np.inf), {}, "1 samples with infinite features.* row 4"),
    (
        "free text",
        None,
        {"id": None, "categories": "auto"},
        r"patient has 569 different.*data\.id",
    ),
    ("word among numbers", ("mean area", 4, "?"), {}, "column mean area of numbers has '.' in row"),
    ("unknown category column", None, {"categories": ["wards"]}, r"no column wards \(data\.cat"),
    ("unknown weight", None, {"weight": "w"}, r"no column w \(data\.weight\); it has mean radius"),
    (
        "no features",
        None,
        {"features": None, "targets": [*NUMBERS, *WORDS, "outcome"]},
        "no column",
    ),
    ("another shape", None, {"reshape": [5, 1]}, r"data\.reshape \[5, 1\] for a table with cat"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_what_can_not_serve_is_refused_with_column_and_row(tmp_path: Path, case: Any) -> None:
    _, change, options, complaint = case
    table = patients()
    if change:
        column, row, value = change
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    with pytest.raises(DataError, match=complaint):
        load(table, tmp_path, **options)


# -- encoding -------------------------------------------------------------------------------------


def reference(table: pd.DataFrame, rows: Any, **encoder: Any) -> ColumnTransformer:
    """Return what scikit-learn itself fits on these rows."""
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("words", OneHotEncoder(sparse_output=False, **encoder), WORDS),
        ]
    ).fit(table.iloc[rows][[*NUMBERS, *WORDS]])


@pytest.mark.parametrize("min_frequency", [1, 30])
def test_encoding_is_what_scikit_learn_s_column_transformer_does(
    tmp_path: Path, min_frequency: int
) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    training, other = np.arange(0, 569, 2), np.arange(1, 569, 2)
    expected = reference(
        table, training, handle_unknown="infrequent_if_exist", min_frequency=min_frequency
    )
    options = settings(min_frequency=min_frequency)
    options["missing"]["indicator"] = False
    fitted = preprocessing.fit(options, dataset, training)
    assert fitted.shape((5,)) == (expected.transform(table).shape[1],)
    for rows in (training, other):
        np.testing.assert_allclose(
            fitted.apply(dataset.features[rows]), expected.transform(table.iloc[rows]), atol=2e-5
        )


def test_only_the_training_part_is_looked_at(tmp_path: Path) -> None:
    table = patients()
    training = np.arange(400)
    fitted = [
        preprocessing.fit(settings(), load(each, tmp_path), training)
        for each in (
            table,
            table.assign(**{"mean area": table["mean area"].where(table.index < 400, 1e6)}),
        )
    ]
    assert fitted[0].encoding == fitted[1].encoding
    np.testing.assert_array_equal(fitted[0].scaling.center, fitted[1].scaling.center)


def test_a_category_that_the_training_part_lacks_is_no_feature(tmp_path: Path) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    without = np.flatnonzero(table["ward"] != "north")
    fitted = preprocessing.fit(settings(), dataset, without)
    everything = preprocessing.fit(settings(), dataset, np.arange(569))
    assert fitted.encoding is not None
    assert everything.encoding is not None
    assert fitted.encoding.width == everything.encoding.width - 1
    north = fitted.encode(dataset.features[table["ward"] == "north"])
    # Three numbers, their indicators, three wards and the missing one, then three grades.
    assert not north[:, 6:10].any()
    assert (north[:, 10:].sum(axis=1) == 1).all()


def test_indicators_say_where_numbers_were_missing(tmp_path: Path) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    encoded = preprocessing.fit(settings(), dataset, np.arange(569)).apply(dataset.features)
    np.testing.assert_array_equal(encoded[:, 3:6], table[NUMBERS].isna())
    assert np.isfinite(encoded).all()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [("mean", np.nanmean), ("median", np.nanmedian), ("zero", lambda values: 0.0)],
)
def test_missing_numbers_become_a_figure_of_the_training_part(
    tmp_path: Path, numbers: str, expected: Any
) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    options = settings(missing={"numbers": numbers, "categories": "own", "indicator": False})
    encoding = preprocessing.fit(options, dataset, np.arange(100)).encoding
    assert encoding is not None
    fill = encoding.columns[0].fill  # type: ignore[union-attr]
    assert fill == pytest.approx(expected(table["mean radius"][:100]))


def test_missing_categories_can_be_the_most_frequent_one(tmp_path: Path) -> None:
    table = patients()
    dataset = load(table, tmp_path)
    options = settings(
        missing={"numbers": "mean", "categories": "most_frequent", "indicator": False}
    )
    fitted = preprocessing.fit(options, dataset, np.arange(569))
    gaps = np.flatnonzero(table["ward"].isna())
    most = table["ward"].value_counts().idxmax()
    ward = sorted(table["ward"].dropna().unique()).index(most)
    assert (fitted.encode(dataset.features[gaps])[:, 3 + ward] == 1).all()


def test_complete_numbers_are_only_scaled(tmp_path: Path) -> None:
    table = patients().dropna()
    dataset = load(table, tmp_path, features=["mean area"], categories="auto", missing={})
    fitted = preprocessing.fit({"normalise": "standard"}, dataset, np.arange(100))
    assert fitted.encoding is None


# -- raw rows for a saved model -------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[pd.DataFrame, Dataset, preprocessing.Preprocessing, ModelInputs]:
    table = patients()
    dataset = load(table, tmp_path)
    fitted = preprocessing.fit(settings(), dataset, np.arange(300))
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    return table, dataset, fitted, ModelInputs.load(tmp_path / "preprocessing.json")


def test_raw_rows_become_what_the_model_was_trained_on(saved: Any) -> None:
    table, dataset, fitted, model_inputs = saved
    raw = table[table.columns[::-1]].sample(frac=1, random_state=0)
    np.testing.assert_array_equal(
        model_inputs.from_table(raw), fitted.encode(dataset.features[raw.index.to_numpy()])
    )
    assert model_inputs.from_table(raw).shape[1:] == model_inputs.input_shape


def test_the_file_holds_names_and_plain_numbers(saved: Any, tmp_path: Path) -> None:
    stored = json.loads((tmp_path / "preprocessing.json").read_text())
    assert stored["columns"][3] == {
        "name": "ward",
        "categories": ["east", "north", "south", "west"],
    }
    assert stored["encoding"][0]["kind"] == "number"
    assert stored["class_names"] == ["benign", "malignant"]


def test_rows_may_hold_unknown_categories_and_gaps(saved: Any) -> None:
    table, _, _, model_inputs = saved
    row = table.iloc[[0]].copy()
    row["ward"], row["grade"], row["mean area"] = "abroad", 7, None
    inputs = model_inputs.from_table(row)
    assert np.isfinite(inputs).all()
    assert not inputs[:, 6:].any()


def test_types_of_columns_may_differ_from_those_of_the_study_s_table(saved: Any) -> None:
    table, _, _, model_inputs = saved
    as_text = table.assign(
        grade=table["grade"].astype(float), **{"mean area": table["mean area"].astype(str)}
    )
    complete = table["mean area"].notna()
    np.testing.assert_array_equal(
        model_inputs.from_table(as_text[complete]), model_inputs.from_table(table[complete])
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.drop(columns=["ward"]), "no column ward; there are mean radius"),
        (lambda t: t.assign(**{"mean area": "large"}), "mean area of numbers has 'large' in row 0"),
        (lambda t: t.assign(**{"mean area": np.inf}), "mean area has a missing or infinite value"),
    ],
)
def test_rows_that_do_not_fit_are_refused(saved: Any, change: Any, complaint: str) -> None:
    table, _, _, model_inputs = saved
    with pytest.raises(DataError, match=complaint):
        model_inputs.from_table(change(table))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    for text in ("no json", "{}", '{"format": 99}'):
        (tmp_path / "preprocessing.json").write_text(text)
        with pytest.raises(DataError, match="not a preprocessing file"):
            ModelInputs.load(tmp_path / "preprocessing.json")


def test_arrays_have_model_inputs_too(tmp_path: Path) -> None:
    study = Study.model_validate(tiny_study(data={"source": "digits"}))
    dataset = prepare(study.data.model_dump(), "multiclass")
    fitted = preprocessing.fit({"normalise": "global"}, dataset, np.arange(100))
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    model_inputs = ModelInputs.load(tmp_path / "preprocessing.json")
    flat = dataset.features[:5].reshape(5, 64)
    np.testing.assert_array_equal(model_inputs.from_array(flat), dataset.features[:5])
    with pytest.raises(DataError, match=r"samples of shape \(63,\); this model takes \(8, 8, 1\)"):
        model_inputs.from_array(flat[:, 1:])
    with pytest.raises(DataError, match="not rows of a table"):
        model_inputs.from_table(pd.DataFrame(flat))
