"""Files of predictions: whole under their name, unfinished under another."""

from __future__ import annotations

import resource
from pathlib import Path

import pandas as pd
import pytest

from gridfold.errors import DataError, NotWritten
from gridfold.final.predictions import PredictionsFile, PrintedPredictions

PIECES = [
    pd.DataFrame({"file": ["a", "é"], "prediction": ["x", "y"], "p(x)": [1.0, 0.25]}),
    pd.DataFrame({"file": ["c"], "prediction": ["x"], "p(x)": [0.5]}),
]


def content(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)


def write_and_raise(
    target: PredictionsFile | PrintedPredictions,
    pieces: list[pd.DataFrame],
    error: BaseException,
) -> None:
    with target as written:
        for piece in pieces:
            written.write(piece)
        raise error


@pytest.mark.parametrize("name", ["deep/answers.csv", "answers.parquet"])
def test_pieces_become_one_table(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    with PredictionsFile(file) as written:
        for piece in PIECES:
            written.write(piece)
            assert not file.exists()
    pd.testing.assert_frame_equal(content(file), pd.concat(PIECES, ignore_index=True))
    assert [f.name for f in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["answers.csv", "answers.parquet"])
def test_after_an_error_the_rows_before_it_are_kept_under_another_name(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text("of an earlier day")
    with pytest.raises(KeyboardInterrupt) as error:
        write_and_raise(PredictionsFile(file), PIECES[:1], KeyboardInterrupt())
    unfinished = file.with_name(f"answers.unfinished{file.suffix}")
    pd.testing.assert_frame_equal(content(unfinished), PIECES[0])
    assert file.read_text() == "of an earlier day"
    assert error.value.__notes__ == [f"{unfinished} has the predictions of the first 2 samples."]


def test_an_error_before_the_first_row_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        write_and_raise(PredictionsFile(tmp_path / "answers.csv"), [], DataError("no"))
    assert list(tmp_path.iterdir()) == []
    assert not hasattr(error.value, "__notes__")


def test_a_disk_that_fills_up_keeps_whole_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = pd.concat([PIECES[0]] * 50, ignore_index=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = tmp_path / "answers.csv"
    written = PredictionsFile(file)
    written.write(PIECES[0])
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(NotWritten, match=r"answers\.csv can't be written: ") as error, written:
            written.write(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    unfinished = tmp_path / "answers.unfinished.csv"
    pd.testing.assert_frame_equal(content(unfinished), PIECES[0])
    assert "first 2 samples" in error.value.__notes__[0]


def test_places_that_take_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritten, match=r"a folder is needed where the file .*/file is$"):
        PredictionsFile(tmp_path / "file" / "answers.csv")
    with pytest.raises(DataError, match=r"answers\.xlsx: .* allowed: \.csv, \.parquet"):
        PredictionsFile(tmp_path / "answers.xlsx")
    with (
        pytest.raises(NotWritten, match="/dev/full can't be written: No space left"),
        PredictionsFile(Path("/dev/full")) as written,
    ):
        written.write(PIECES[0])
    assert Path("/dev/full").is_char_device()


def test_printed_rows_are_counted_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError) as error:
        write_and_raise(PrintedPredictions(), PIECES, DataError("no"))
    assert capsys.readouterr().out == "file,prediction,p(x)\na,x,1.0\né,y,0.25\nc,x,0.5\n"
    assert error.value.__notes__ == ["Predictions of the first 3 samples were printed."]
