"""Writes predictions piece by piece, so that an error late in a long file loses little."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from gridfold.errors import DataError, NotWritten
from gridfold.tables.spreadsheets import csv_text
from gridfold.wording import counted

if TYPE_CHECKING:
    import pandas as pd


class PrintedPredictions:
    """Predictions as CSV on the standard output."""

    def __init__(self) -> None:
        self._rows = 0

    def write(self, table: pd.DataFrame) -> None:
        """Print rows, at first with their header."""
        print(csv_text(table, header=not self._rows), end="")
        # Before the message of an error that follows.
        sys.stdout.flush()
        self._rows += len(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and self._rows:
            error.add_note(
                f"Predictions of the first {counted(self._rows, 'sample')} were printed."
            )


class PredictionsFile:
    """A CSV or Parquet file of predictions that grows by pieces.

    While it is written it has another name, ``answers.unfinished.csv``; it gets its own when the
    block has ended well. After an error it keeps the other name, and the error gets a note that
    says how many rows are there.

    Parameters
    ----------
    file : Path
        Its name tells the format. What is there and no file, such as ``/dev/stdout`` or a pipe, is
        written as CSV and under its own name.

    Raises
    ------
    DataError
        When the name tells no format.
    NotWritten
        When there is no place for the file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_device = file.exists() and not file.is_file()
        if not self._is_device and file.suffix not in (".csv", ".parquet"):
            raise DataError(f"{file}: unknown kind of file to write; allowed: .csv, .parquet")
        self._growing = (
            file if self._is_device else file.with_name(f"{file.stem}.unfinished{file.suffix}")
        )
        self._rows = 0
        # Where the last whole row ends.
        self._end = 0
        self._parquet: Any = None
        try:
            self._growing.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that what could not be written is not written again when it is closed.
            self._stream: IO[bytes] = self._growing.open("wb", buffering=0)
        except OSError as error:
            raise NotWritten(file, error) from None

    def write(self, table: pd.DataFrame) -> None:
        """Add rows, which are in the file afterwards.

        Raises
        ------
        NotWritten
            When they can't be written, as on a disk that is full.
        """
        try:
            if self._file.suffix == ".parquet":
                self._write_parquet(table)
            else:
                self._write_all(csv_text(table, header=not self._rows).encode())
        except OSError as error:
            raise NotWritten(self._file, error) from None
        self._rows += len(table)

    def _write_all(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[self._stream.write(rest) :]
        self._end += len(content)

    def _write_parquet(self, table: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = pa.Table.from_pandas(table, preserve_index=False)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._stream, rows.schema)
        self._parquet.write_table(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._close(is_whole=error is None)
        except OSError as broken:
            if error is None:
                raise NotWritten(self._file, broken) from None
            # A Parquet file can't be read without its end.
            self._rows = 0
        if error is None or self._is_device:
            return
        if self._rows:
            error.add_note(
                f"{self._growing} has the predictions of the first {counted(self._rows, 'sample')}."
            )
        else:
            self._growing.unlink(missing_ok=True)

    def _close(self, *, is_whole: bool) -> None:
        with self._stream:
            if self._parquet is not None:
                self._parquet.close()
            elif not is_whole and not self._is_device:
                self._stream.truncate(self._end)
            if not self._is_device:
                os.fsync(self._stream.fileno())
        if is_whole and not self._is_device:
            self._growing.replace(self._file)
