"""CSV and Parquet files as programs write them: read as they stand, told of, or refused.

The tables are small ones of the kinds that public questions and bug reports are about.
"""

from __future__ import annotations

import gzip
import logging
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import tiny_study, write_study

from gridfold.cli.main import main
from gridfold.data.dataset import Dataset, prepare
from gridfold.errors import DataError, StudyError
from gridfold.final.inputs import ModelInputs
from gridfold.plan.loading import load_study
from gridfold.training import preprocessing

ROWS = 30
Options = dict[str, Any]


class Case:
    """A table in a folder, looked at as `gridfold validate` and as the job that reads it do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "table.csv"

    def write(self, content: str | bytes, name: str = "table.csv") -> Case:
        self.file = self.folder / name
        self.file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def study(self, problem: str = "binary", **options: Any) -> Path:
        data = {"source": "csv", "path": str(self.file), "targets": ["y"], **options}
        study = tiny_study(data=data, problem={"type": problem})
        return write_study(self.folder / "study.yaml", study)

    def data(self, problem: str = "binary", **options: Any) -> Dataset:
        """Return what a study that is found valid gets."""
        study = load_study([self.study(problem, **options)]).study
        return prepare(study.data.model_dump(), problem)

    def said(self, capsys: Any, problem: str = "binary", **options: Any) -> str:
        """Return what `gridfold validate` says."""
        main(["validate", str(self.study(problem, **options))])
        output = capsys.readouterr()
        return str(output.out + output.err)

    def late(self, problem: str = "binary", **options: Any) -> Dataset:
        """Return what the job makes of it, whatever `gridfold validate` would say."""
        from gridfold.study import Study

        data = {"source": "csv", "path": str(self.file), "targets": ["y"], **options}
        study = Study.model_validate(tiny_study(data=data, problem={"type": problem}))
        return prepare(study.data.model_dump(), problem)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def lines(row: Callable[[int], str], rows: int = ROWS) -> str:
    return "".join(row(i) + "\n" for i in range(rows))


def names(dataset: Dataset) -> list[str]:
    assert dataset.columns is not None
    return [column.name for column in dataset.columns]


PLAIN = "a,b,y\n" + lines(lambda i: f"{i}.5,{-i},{i % 2}")


# -- row names ------------------------------------------------------------------------------------

WITH_ROW_NAMES = {
    "R's write.csv": '"","a","b","y"\n' + lines(lambda i: f'"{i + 1}",{i}.5,{-i},{i % 2}'),
    "pandas": ",a,b,y\n" + lines(lambda i: f"{i},{i}.5,{-i},{i % 2}"),
    "pandas, twice": "Unnamed: 0,a,b,y\n" + lines(lambda i: f"{i},{i}.5,{-i},{i % 2}"),
    "readr": "...1,a,b,y\n" + lines(lambda i: f"{i},{i}.5,{-i},{i % 2}"),
    "R's write.table": '"a","b","y"\n' + lines(lambda i: f'"{i + 1}",{i}.5,{-i},{i % 2}'),
    "names of cars": ",a,b,y\n" + lines(lambda i: f"car {i},{i}.5,{-i},{i % 2}"),
}


@pytest.mark.parametrize("kind", WITH_ROW_NAMES)
def test_row_names_are_no_features_and_it_is_told(
    case: Case, kind: str, capsys: Any, caplog: Any
) -> None:
    case.write(WITH_ROW_NAMES[kind])
    with caplog.at_level(logging.INFO):
        dataset = case.data()
    assert names(dataset) == ["a", "b"]
    for said in (caplog.text, case.said(capsys)):
        assert "taken for row names and left out" in said
    assert dataset.digest == case.write(PLAIN).data().digest


def test_a_column_with_a_strange_name_is_there_for_those_who_ask(case: Case) -> None:
    case.write(WITH_ROW_NAMES["pandas, twice"])
    assert names(case.data(features=["Unnamed: 0", "a"])) == ["Unnamed: 0", "a"]


@pytest.mark.parametrize("index", ["unnamed", "named", "written by others"])
def test_the_index_of_a_parquet_file_is_no_feature(
    case: Case, caplog: Any, capsys: Any, index: str
) -> None:
    table = pd.DataFrame({"a": range(20), "y": [0, 1] * 10}, index=[*range(5, 25)])
    file = case.folder / "table.parquet"
    if index == "named":
        table.index.name = "patient"
    if index == "written by others":
        table.reset_index(names="__index_level_0__").to_parquet(file, index=False)
    else:
        table.to_parquet(file)
    case.file = file
    with caplog.at_level(logging.INFO):
        assert names(case.data(source="parquet")) == ["a"]
    for said in (caplog.text, case.said(capsys, source="parquet")):
        assert "taken for row names and left out" in said
    with pytest.raises(StudyError, match='no column "z"'):
        case.data(source="parquet", ignore=["z"])
    if index == "named":
        ids = case.data(source="parquet", id="patient").ids
        assert ids is not None
        assert ids[:2].tolist() == ["5", "6"]


def test_a_feature_that_counts_the_rows_is_told(case: Case, capsys: Any) -> None:
    case.write("no,a,y\n" + lines(lambda i: f"{i + 1},{i % 7},{i % 2}"))
    assert "the feature no counts the rows; name it in data.ignore" in case.said(capsys)
    assert "counts the rows" not in case.said(capsys, ignore=["no"])
    assert names(case.data(ignore=["no"])) == ["a"]


# -- separators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["a,b,y\n", "a,b,y,\n", "a,b,y,,\n"])
def test_rows_that_end_with_a_separator_are_read_as_written(
    case: Case, header: str, capsys: Any
) -> None:
    ends = "," * max(1, header.count(",") - 2)
    case.write(header + lines(lambda i: f"{i}.5,{-i},{i % 2}{ends}"))
    dataset = case.data()
    assert names(dataset) == ["a", "b"]
    assert "has no name and is empty; left out" in case.said(capsys)
    assert dataset.digest == case.write(PLAIN).data().digest


def test_a_header_alone_may_end_with_a_separator(case: Case) -> None:
    digest = case.write(PLAIN).data().digest
    assert case.write(PLAIN.replace("y\n", "y,\n", 1)).data().digest == digest


UNEVEN = {
    "too many": ("1,2,3,4", "row 7 has 4, where the header and the other rows make 3 fields"),
    "too few": ("1,2", "row 7 has 2, where"),
    "a comma in a number": ("1,234,2,1", "row 7 has 4, where"),
}


@pytest.mark.parametrize("kind", UNEVEN)
@pytest.mark.parametrize("rows", [ROWS, 5000])
def test_rows_of_another_width_are_refused_with_their_row(case: Case, kind: str, rows: int) -> None:
    bad, complaint = UNEVEN[kind]
    place = 7 if rows == ROWS else 4321
    complaint = complaint.replace("row 7", f"row {place}")
    case.write("a,b,y\n\n" + lines(lambda i: bad if i == place else f"{i}.5,{-i},{i % 2}", rows))
    with pytest.raises(DataError, match=complaint):
        case.late()
    with pytest.raises(StudyError if rows == ROWS else DataError, match=complaint):
        case.data()


def test_lines_of_white_space_are_no_rows(case: Case) -> None:
    digest = case.write(PLAIN).data().digest
    assert case.write("\n \n" + PLAIN.replace("\n", "\n   \n\n")).data().digest == digest
    case.write("\n" + PLAIN.replace("\n", "\n   \n") + lines(lambda i: "1,2,0", 2000) + "1\n")
    with pytest.raises(DataError, match=f"row {ROWS + 2000} has 1, where"):
        case.late()


def test_a_value_in_a_field_without_a_name_is_refused_with_its_row(case: Case) -> None:
    case.write("a,b,y\n" + lines(lambda i: f"{i},2,{i % 2}," + "x" * (i == 2000), 3000))
    with pytest.raises(DataError, match="row 2000 has 4, where"):
        case.data()


def test_a_column_with_values_needs_a_name(case: Case) -> None:
    case.write("a,,y\n" + lines(lambda i: f"{i},2,{i % 2}"))
    with pytest.raises(StudyError, match=r"column 2 has values, but no name\n.*in the header"):
        case.data()


def test_white_space_can_separate(case: Case) -> None:
    case.write("a   b name y\n" + lines(lambda i: f' {i}.5  {-i}\t"a  car" {i % 2}'))
    dataset = case.data(separator=r"\s+")
    assert names(dataset) == ["a", "b", "name"]
    assert dataset.features[3].tolist() == [3.5, -3.0, 0.0]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_recognised_and_named(case: Case, separator: str) -> None:
    case.write('"a";"b";"y"\n'.replace(";", separator) + lines(lambda i: f"1{separator}2"))
    shown = separator.replace("\t", r"\\t")
    with pytest.raises(StudyError, match=rf'data\.separator: .*\n.*separator: "\{shown[0]}'):
        case.data()


def test_the_line_that_only_excel_understands_is_named(case: Case) -> None:
    case.write("sep=;\n" + PLAIN.replace(",", ";"))
    with pytest.raises(StudyError, match=r"'sep=;', which only Excel.*\n.*remove it"):
        case.data(separator=";")


@pytest.mark.parametrize(
    ("separator", "complaint"),
    [
        ("((", "'((' is no regular expression"),
        ("[;", "'[;' is no regular expression"),
        (";|", "';|' also fits where nothing stands"),
        (" *", "' *' also fits where nothing stands"),
        ("(;|,)", "'(;|,)' has a group, which would become a field"),
    ],
)
def test_what_separates_no_columns_is_refused_whatever_the_file(
    case: Case, capsys: Any, separator: str, complaint: str
) -> None:
    for there in (True, False):
        if there:
            case.write(PLAIN)
        else:
            case.file = case.folder / "absent.csv"
        said = case.said(capsys, separator=separator)
        assert "data.separator: " in said
        assert complaint in said
        assert ("no such file" in said) == (not there)
        assert "Traceback" not in said


def test_nothing_is_no_separator(case: Case, capsys: Any) -> None:
    said = case.write(PLAIN).said(capsys, separator="")
    assert 'data.separator: ""' in said
    assert "allowed: at least 1 character" in said


def test_names_that_repeat_are_refused(case: Case) -> None:
    case.write("a,y,y\n" + lines(lambda i: f"{i},{i % 2},{i % 2}"))
    with pytest.raises(StudyError, match="2 columns with the name y"):
        case.data()


# -- whole columns --------------------------------------------------------------------------------


def test_a_text_is_one_category_wherever_it_stands(case: Case) -> None:
    rows = 60_000
    case.write(
        "zip,y\n" + lines(lambda i: f"{f'{i % 20:05}' if i < rows - 8 else 'K1A'},{i % 2}", rows)
    )
    dataset = case.data()
    assert dataset.columns is not None
    assert dataset.columns[0].categories == (*(f"{i:05}" for i in range(20)), "K1A")


def test_groups_of_digits_and_letters_are_texts(case: Case) -> None:
    case.write(
        "a,g,y\n" + lines(lambda i: f"{i},{'007' if i < 20 else '7' if i < 25 else 'x'},{i % 2}")
    )
    study = load_study([case.write(case.file.read_text()).study(features=["a"])]).study
    data = study.data.model_dump() | {"groups": "g"}
    assert np.bincount(prepare(data, "binary").groups).tolist() == [20, 5, 5]


MARKS = ("a mark", "R's missing values")
MIXED = {
    "a mark": ("?", {}, "add it to data.missing.values"),
    "R's missing values": ("NA", {}, "add it to data.missing.values"),
    "a decimal comma": ("1,5", {"separator": ";"}, 'set data.decimal: ","'),
    "grouped digits": ("1,234", {"separator": ";"}, 'set data.thousands: ","'),
    "per cent": ("12%", {}, "write plain numbers"),
    "currency": ("$3", {}, "write plain numbers"),
    "a bound": ("<0.5", {}, "write plain numbers"),
}


@pytest.mark.parametrize(
    ("kind", "share"),
    # A column of nothing but marks is one of a single category.
    [
        (kind, share)
        for kind in MIXED
        for share in (10, 1)
        if share > 1 or any(map(str.isdigit, MIXED[kind][0]))
    ],
)
def test_texts_among_numbers_are_refused_with_row_and_remedy(
    case: Case, kind: str, share: int
) -> None:
    text, options, remedy = MIXED[kind]
    separator = options.get("separator", ",")
    case.write(
        "hp,a,y\n".replace(",", separator)
        + lines(
            lambda i: separator.join([text if i % share == 7 % share else str(i), "1", str(i % 2)])
        )
    )
    row = 7 if share == 10 else 0
    complaint = (
        rf"column hp of numbers has '{text.replace('$', '[$]').replace('?', '[?]')}' in row {row}"
    )
    with pytest.raises(StudyError) as early:
        case.data(**options)
    with pytest.raises(DataError) as late:
        case.late(**options)
    for error in (early, late):
        said = str(error.value)
        assert remedy in said
        assert "data.categories" in said
        assert re.search(complaint, said), said
    dataset = case.data(categories=["hp"], **options)
    assert dataset.columns is not None
    assert text in (dataset.columns[0].categories or ())


def test_all_columns_are_named_at_once(case: Case) -> None:
    case.write(
        "a,b,c,y\n" + lines(lambda i: f"{'?' if i == 3 else i},{i},{'-' if i == 4 else i},1")
    )
    with pytest.raises(DataError, match=r"column a .* row 3.*\n.*column c .* row 4"):
        case.late()


def test_marks_can_mean_missing(case: Case) -> None:
    table = "hp,kind,y\n" + lines(
        lambda i: f"{' ?' if i == 3 else i},{'?' if i == 4 else 'k'},{i % 2}"
    )
    missing = {"values": ["?"], "numbers": "mean"}
    dataset = case.write(table).data(missing=missing)
    assert np.argwhere(np.isnan(dataset.features)).tolist() == [[3, 0], [4, 1]]
    assert (
        dataset.digest
        == case.write(table.replace("?", "")).data(missing={"numbers": "mean"}).digest
    )


def test_not_a_number_is_missing_in_a_column_of_numbers(case: Case) -> None:
    table = "hp,kind,y\n" + lines(
        lambda i: f"{'NaN' if i == 3 else i},{'NaN' if i == 4 else 'k'},{i % 2}"
    )
    dataset = case.write(table).data(missing={"numbers": "mean"})
    assert np.isnan(dataset.features[3, 0])
    assert dataset.columns is not None
    assert dataset.columns[1].categories == ("NaN", "k")


def test_targets_must_be_numbers_where_numbers_are_predicted(case: Case) -> None:
    case.write("a;y\n" + lines(lambda i: f"{i};{'?' if i == 3 else i}"))
    for read, error in ((case.data, StudyError), (case.late, DataError)):
        with pytest.raises(error, match=r"column y of numbers has '[?]' in row 3"):
            read("regression", separator=";")


def test_german_numbers(case: Case) -> None:
    case.write("a;b;y\n" + lines(lambda i: f"1.{i + 100},5;{i},25;{i % 2}"))
    dataset = case.data(separator=";", decimal=",", thousands=".")
    assert dataset.features[3].tolist() == [1103.5, 3.25]
    with pytest.raises(StudyError, match=r"column a of numbers has '1\.100,5' in row 0"):
        case.data(separator=";", decimal=",")


def test_a_point_is_no_decimal_where_a_comma_is(case: Case) -> None:
    case.write("a;y\n" + lines(lambda i: f"{'1.5' if i == 4 else f'{i},5'};{i % 2}"))
    with pytest.raises(
        StudyError, match=r"'1.5' in row 4\n.*leave out data.decimal if numbers have a point"
    ):
        case.data(separator=";", decimal=",")


# -- texts as they stand --------------------------------------------------------------------------


def test_classes_ids_and_categories_are_the_texts_of_the_file(case: Case) -> None:
    words = ("01", "2", "10")
    case.write("id,ward,a,y\n" + lines(lambda i: f"{i:05},{words[i % 3]},{i},{words[i % 3]}"))
    dataset = case.data("multiclass", id="id", categories=["ward"])
    assert dataset.class_names == ["01", "2", "10"], "numbers in their order"
    assert dataset.targets[:3].tolist() == [0, 1, 2]
    assert dataset.ids is not None
    assert dataset.ids[:2].tolist() == ["00000", "00001"]
    assert dataset.columns is not None
    assert dataset.columns[0].categories == ("01", "10", "2")


def test_words_that_pandas_takes_for_nothing_are_texts(case: Case) -> None:
    words = ("None", "NA", "null")
    case.write("region,a,y\n" + lines(lambda i: f"{words[i % 3]},{i},{words[i % 3]}"))
    dataset = case.data("multiclass")
    assert dataset.class_names == ["NA", "None", "null"]
    assert dataset.columns is not None
    assert dataset.columns[0].categories == ("NA", "None", "null")


@pytest.mark.parametrize("spelling", ["{}", "{}.0", '"{}"', " {}"])
def test_numbers_are_one_class_however_they_are_written(case: Case, spelling: str) -> None:
    case.write("a,y\n" + lines(lambda i: f"{i},{spelling.format(i % 12)}", 60))
    dataset = case.data("multiclass")
    assert dataset.class_names == [str(i) for i in range(12)]
    assert dataset.targets.tolist() == [i % 12 for i in range(60)]


def test_truths_are_numbers_as_features_and_texts_as_classes(case: Case) -> None:
    case.write("a,y\n" + lines(lambda i: f"{'TRUE' if i % 3 else 'FALSE'},{bool(i % 2)}"))
    dataset = case.data()
    assert dataset.features[:3, 0].tolist() == [0.0, 1.0, 1.0]
    assert dataset.class_names == ["False", "True"]


def test_long_numbers_stay_different_names_and_groups(case: Case) -> None:
    case.write(
        "id,g,a,y\n"
        + lines(lambda i: f"1234567890123456789{i:02},99999999999999999{i // 10},{i},{i % 2}")
    )
    data = load_study([case.study(features=["a"], id="id")]).study.data.model_dump()
    dataset = prepare(data | {"groups": "g"}, "binary")
    assert np.bincount(dataset.groups).tolist() == [10, 10, 10]
    assert dataset.ids is not None
    assert dataset.ids[3] == "123456789012345678903"


# -- letters --------------------------------------------------------------------------------------

GREEK = "größe,y\n" + lines(lambda i: f"{i},{'Müller' if i % 2 else 'Weiß'}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(case: Case, encoding: str) -> None:
    case.write(GREEK.encode(encoding))
    options = {} if encoding.startswith("utf-8") else {"encoding": encoding}
    dataset = case.data(**options)
    assert names(dataset) == ["größe"]
    assert dataset.class_names == ["Müller", "Weiß"]


@pytest.mark.parametrize("place", [3, 4000])
def test_another_encoding_is_refused_with_its_key(case: Case, place: int) -> None:
    case.write(
        ("a,y\n" + lines(lambda i: f"{i},{'é' if i == place else i % 2}", 5000)).encode("latin-1")
    )
    with pytest.raises(
        StudyError if place == 3 else DataError, match=r"not written in utf-8[^#]*set data.encoding"
    ):
        case.data()
    with pytest.raises(StudyError, match="unknown encoding 'latin-77'"):
        case.data(encoding="latin-77")


def test_quotes_keep_separators_and_line_ends(case: Case) -> None:
    case.write("note,a,y\r\n" + lines(lambda i: f'"one, two\nand ""three""",{i},{i % 2}\r'))
    dataset = case.data()
    assert dataset.columns is not None
    assert dataset.columns[0].categories == ('one, two\nand "three"',)
    assert len(dataset.features) == ROWS


@pytest.mark.parametrize("name", ["table.csv.gz", "table.csv.zip"])
def test_compressed_files_are_read_by_their_names(case: Case, name: str) -> None:
    digest = case.write(PLAIN).data().digest
    if name.endswith("gz"):
        case.write(gzip.compress(PLAIN.encode()), name)
    else:
        case.file = case.folder / name
        with zipfile.ZipFile(case.file, "w") as archive:
            archive.writestr("table.csv", PLAIN)
    assert case.data().digest == digest


@pytest.mark.parametrize("name", ["table.csv.gz", "table.csv.zip", "table.csv.xz"])
def test_a_file_that_is_not_compressed_as_its_name_says_is_named(case: Case, name: str) -> None:
    case.write(PLAIN, name)
    with pytest.raises(DataError, match=rf"{name} can't be read as csv"):
        case.data()


def test_white_space_around_texts_is_none_of_them(case: Case) -> None:
    case.write(
        "age, work, y\n"
        + lines(lambda i: f"{i}, {'?' if i == 5 else 'State-gov'}, >50K{'.' * (i % 2)}")
    )
    dataset = case.data(missing={"values": ["?"]})
    assert names(dataset) == ["age", "work"]
    assert dataset.class_names == [">50K", ">50K."]
    assert np.isnan(dataset.features[5, 1])


# -- numbers that 32 bit can't hold ---------------------------------------------------------------


def seconds(i: int) -> str:
    return f"{1_700_000_000 + i},{int(i >= ROWS / 2)}"


def test_points_in_time_keep_their_differences(case: Case, caplog: Any, tmp_path: Path) -> None:
    case.write("ts,y\n" + lines(seconds))
    with caplog.at_level(logging.INFO):
        dataset = case.data()
    assert "column ts: kept as its difference from 1700000000.0" in caplog.text
    assert dataset.features[:, 0].tolist() == [*range(ROWS)]
    dataset.save(tmp_path / "data")
    dataset = Dataset.load(tmp_path / "data")
    fitted = preprocessing.fit({"normalise": "standard"}, dataset, np.arange(ROWS))
    scaled = fitted.apply(dataset.features)
    assert scaled.std() == pytest.approx(1)
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    model_inputs = ModelInputs.load(tmp_path / "preprocessing.json")
    np.testing.assert_array_equal(
        fitted.scaling.apply(model_inputs.from_table(model_inputs.read_table(case.file))), scaled
    )


def test_a_missing_point_in_time_becomes_zero_as_written(case: Case) -> None:
    case.write("ts,y\n" + lines(lambda i: ",1" if i == 3 else seconds(i)))
    dataset = case.data(missing={"numbers": "zero"})
    settings = {
        "normalise": "none",
        "missing": {"numbers": "zero", "categories": "own", "indicator": False},
    }
    encoded = preprocessing.fit(settings, dataset, np.arange(ROWS)).encode(dataset.features)
    assert encoded[3, 0] == np.float32(-1_700_000_000)


@pytest.mark.parametrize("values", ["0.1", "{i}.25", "{i}e10", "20{i:02}", "52.1{i:02}", "1e300"])
def test_other_numbers_are_kept_as_they_are(case: Case, values: str) -> None:
    case.write("a,y\n" + lines(lambda i: f"{values.format(i=i)},{i % 2}"))
    if values == "1e300":
        with pytest.raises(DataError, match="infinite"):
            case.data()
    else:
        expected = pd.read_csv(case.file)["a"].to_numpy(np.float32)
        np.testing.assert_array_equal(case.data().features[:, 0], expected)


def test_targets_and_arrays_that_32_bit_can_not_hold_are_refused(
    case: Case, tmp_path: Path
) -> None:
    case.write("a,y\n" + lines(lambda i: f"{i},{1_700_000_000 + i}"))
    with pytest.raises(
        DataError, match=r"target 0 .* 1700000000 to 1700000029.*take a constant off"
    ):
        case.data("regression")
    file = tmp_path / "arrays.npz"
    np.savez(file, x=1.7e9 + np.arange(60.0).reshape(30, 2), y=[0, 1] * 15)
    with pytest.raises(DataError, match=r"feature 0 .* take a constant off"):
        prepare(
            load_study(
                [
                    write_study(
                        tmp_path / "s.yaml", tiny_study(data={"source": "npz", "path": str(file)})
                    )
                ]
            ).study.data.model_dump(),
            "binary",
        )


# -- new rows -------------------------------------------------------------------------------------


def test_new_rows_are_read_as_the_study_s_were(case: Case, tmp_path: Path) -> None:
    table = "zip;hp;y\n" + lines(lambda i: f"{i % 3:05};{'?' if i == 4 else f'{i},5'};{i % 2}")
    options: Options = {
        "separator": ";",
        "decimal": ",",
        "categories": ["zip"],
        "missing": {"values": ["?"], "numbers": "mean"},
    }
    dataset = case.write(table).data(**options)
    settings = {
        "normalise": "standard",
        "missing": {"numbers": "mean", "categories": "own", "indicator": False},
    }
    fitted = preprocessing.fit(settings, dataset, np.arange(ROWS))
    ModelInputs.of(dataset, fitted).save(tmp_path / "preprocessing.json")
    model_inputs = ModelInputs.load(tmp_path / "preprocessing.json")
    read = model_inputs.read_table(case.file)
    np.testing.assert_array_equal(model_inputs.from_table(read), fitted.encode(dataset.features))
    with pytest.raises(
        DataError, match=r"zip has numbers, where the study has texts such as '00000'"
    ):
        model_inputs.from_table(read.assign(zip=read["zip"].astype(int)))


# -- what the rules import ------------------------------------------------------------------------


def test_a_look_at_a_table_needs_no_pandas(case: Case) -> None:
    study = case.write(PLAIN).study()
    code = f"""
import sys
from gridfold.plan.loading import load_study
from gridfold.study.checks.table import notes
notes(load_study([{str(study)!r}]).study.data)
assert not {{"pandas", "pyarrow", "tensorflow"}} & set(sys.modules), "heavy"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


KEYS = {
    "ignored and in a role": ({"ignore": ["y"]}, "the column `y` has a role"),
    "ignored and not there": ({"ignore": ["z"]}, 'no column "z"'),
    "both": ({"ignore": ["a"], "features": ["b"]}, "with `data.features`"),
    "missing text": ({"missing": {"values": "?"}}, r"data\.missing\.values"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_that_contradict_are_refused(case: Case, kind: str) -> None:
    options, complaint = KEYS[kind]
    with pytest.raises(StudyError, match=complaint):
        case.write(PLAIN).data(**options)
