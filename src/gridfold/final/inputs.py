"""The inputs of a saved final model: how they are made of raw tables, images or arrays.

``final/preprocessing.json`` holds plain numbers and names, so that reading it runs no code of its
author's and needs no version of scikit-learn.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array, Windows
from gridfold.atomic import write_json
from gridfold.csvfiles.format import Format
from gridfold.data.columns import FeatureColumn, as_matrix
from gridfold.data.dataset import Dataset
from gridfold.data.sources import decoding, tablefile, windows
from gridfold.data.sources.tablefile import TableFile
from gridfold.errors import DataError
from gridfold.store.seals import sealed, unsealed
from gridfold.training.preprocessing import Category, Encoding, Number, Preprocessing
from gridfold.typed_json import DamagedRecord

log = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True)
class ModelInputs:
    """Turns raw tables, images or arrays into the inputs of the saved final model.

    The model itself does the scaling.

    Attributes
    ----------
    sample_shape : tuple of int
        Shape of one sample as the study keeps it: numbers, with codes for categories.
    columns : list of FeatureColumn or None
        The columns of a table; None for images and arrays.
    encoding : Encoding or None
        What replaces categories and missing values; None where the data have neither.
    class_names : list of str or None
        Name of each class code; None if the problem has no classes.
    target_names : list of str
        Name of each output.
    reading : dict
        How the study read its samples: ``images``, ``windows`` or ``table`` with their settings,
        and ``id``, the column that names them.
    """

    sample_shape: tuple[int, ...]
    columns: list[FeatureColumn] | None
    encoding: Encoding | None
    class_names: list[str] | None
    target_names: list[str]
    reading: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, fitted: Preprocessing) -> ModelInputs:
        """Return how the inputs of a model are made that was trained on `dataset`."""
        return cls(
            dataset.features.shape[1:],
            dataset.columns,
            fitted.encoding,
            dataset.class_names,
            dataset.target_names,
            dataset.reading,
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the model."""
        return Preprocessing(self.encoding).shape(self.sample_shape)

    def read_table(self, file: Path | str, separator: str | None = None) -> Any:
        """Read a file of raw rows as the study read its own.

        Parameters
        ----------
        file : path
            By its name a ``.parquet`` file, or else CSV.
        separator : str, optional
            Of columns in a CSV file; that of the study when left out.

        Returns
        -------
        pandas.DataFrame
            For :meth:`from_table`.

        Raises
        ------
        DataError
            When it can't be read; says which row.
        """
        return self.table_file(file, separator).frame

    def table_file(
        self,
        file: Path | str,
        separator: str | None = None,
        encoding: str | None = None,
        named_by: str | None = None,
    ) -> TableFile:
        """Read a file of raw rows, and what was found out about it.

        Parameters
        ----------
        file, separator
            As :meth:`read_table` takes them.
        encoding : str, optional
            Of a CSV file; that of the study when left out.
        named_by : str, optional
            Column whose values name the rows, and stay as they are written.

        Raises
        ------
        DataError
            When it can't be read; says which row.
        """
        how = Format.of(self.reading.get("table", {}))
        how = replace(how, separator=separator or how.separator, encoding=encoding or how.encoding)
        names = [*filter(None, [named_by])]
        windowed = self.reading.get("windows", {})
        texts = [column.name for column in self.columns or () if column.categories is not None]
        texts += filter(None, [windowed.get("series")])
        asked = [column.name for column in self.columns or ()]
        asked += filter(None, [windowed.get("time"), windowed.get("series")])
        return tablefile.read(
            file,
            "parquet" if str(file).endswith(".parquet") else "csv",
            how,
            texts=texts,
            names=names,
            asked=[*asked, *names],
        )

    def from_table(self, table: Any) -> Array:
        """Return the model's inputs for raw rows.

        Parameters
        ----------
        table : pandas.DataFrame
            With the feature columns of the study's table, in any order; others are ignored.
            Categories that the study did not have count as unknown. For windows, with the columns
            of time and series, too.

        Returns
        -------
        array of shape (samples, *input_shape), float32
            A sample is a row, or a window as :meth:`last_rows` says.

        Raises
        ------
        DataError
            When a column is missing, a number is none, or a value is missing or infinite that the
            model has no answer to.
        """
        if self.columns is None:
            raise DataError(
                f"this model takes arrays of shape {self.sample_shape}, not rows of a table"
            )
        matrix = as_matrix(table, self.columns)
        self._require_numbers(matrix)
        if "windows" in self.reading:
            order, ends = self._windows_of(table)
            length = self.sample_shape[0]
            return self._inputs(Windows(matrix[order], ends - length + 1, length)[:])
        return self._inputs(matrix.reshape(len(matrix), *self.sample_shape))

    def last_rows(self, table: Any) -> Array:
        """Return the position in `table` of the last row of each sample of :meth:`from_table`.

        Windows of a study whose samples are windows are all that fit into the rows of a series,
        the series one after another; else each row is a sample.

        Raises
        ------
        DataError
            When the column of time or series is missing or no series is long enough.
        """
        if "windows" not in self.reading:
            return np.arange(len(table))
        order, ends = self._windows_of(table)
        return order[ends]

    def notes_on_times(self, table: Any) -> list[str]:
        """Return in words how many windows of `table` reach across gaps in time, if any do.

        Raises
        ------
        DataError
            As :meth:`last_rows`.
        """
        if "windows" not in self.reading:
            return []
        points, series = self._times_of(table)
        order, ends = self._windows_of(table)
        length = self.reading["windows"]["length"]
        note = windows.longer_steps(points[order], series[order], ends - length + 1, length)
        return [note] if note else []

    def _times_of(self, table: Any) -> tuple[Array, Array]:
        """Return point in time and series of each row, where samples are windows."""
        how = self.reading["windows"]
        absent = [n for n in (how["time"], how["series"]) if n and n not in table.columns]
        if absent:
            raise DataError(
                f"no column {', '.join(absent)}; there are {', '.join(map(str, table.columns))}"
            )
        series = np.zeros(len(table), np.int64)
        if how["series"]:
            series = np.unique(table[how["series"]].astype(str), return_inverse=True)[1]
        return windows.points_of(table[how["time"]]), series

    def _windows_of(self, table: Any) -> tuple[Array, Array]:
        """Return the order of rows in which windows are consecutive, and where there each ends."""
        length = self.reading["windows"]["length"]
        points, series = self._times_of(table)
        order = windows.series_order(windows.ranks_of(points), series, "table")
        starts = windows.window_starts(series[order], length, 1)
        if not len(starts):
            raise DataError(f"no series of {length} rows, which a window needs")
        return order, starts + length - 1

    def takes_gaps(self, position: int) -> bool:
        """Return whether missing values in the column at `position` have an answer."""
        assert self.columns is not None
        rule = None if self.encoding is None else self.encoding.columns[position]
        is_filled = isinstance(rule, Number) and rule.fill is not None
        return is_filled or self.columns[position].categories is not None

    def _require_numbers(self, matrix: Array) -> None:
        for position, column in enumerate(self.columns or ()):
            values = matrix[:, position]
            bad = np.isinf(values) if self.takes_gaps(position) else ~np.isfinite(values)
            if bad.any():
                raise DataError(
                    f"column {column.name} has a missing or infinite value in row "
                    f"{int(bad.argmax())}; a number is needed"
                )

    def from_images(self, files: Sequence[Path | str]) -> Array:
        """Return the model's inputs for image files, decoded as those of the study were.

        Parameters
        ----------
        files : sequence of path

        Returns
        -------
        array of shape (files, *input_shape), float32

        Raises
        ------
        DataError
            When files can't be decoded; names all of them.
        """
        if "images" not in self.reading:
            raise DataError("this model was not trained on image files")
        decoded = self.decode(files)
        pixels, errors = decoded.pixels, decoded.errors
        for note in self.notes_on([decoded]):
            log.warning("%s", note)
        if errors:
            named = ", ".join(f"{files[row]} ({text})" for row, text in sorted(errors.items()))
            raise DataError(f"{len(errors)} of {len(files)} images can't be decoded: {named}")
        return self._inputs(pixels.reshape(len(pixels), *self.sample_shape))

    def decode(self, files: Sequence[Path | str]) -> decoding.Decoded:
        """Decode image files as those of the study were; what can't be decoded is in `errors`."""
        return decoding.decode(files, self._decoding)

    def notes_on(self, decoded: Sequence[decoding.Decoded]) -> list[str]:
        """Return what is remarkable about files that were decoded, in words."""
        limits = self._decoding["range"]
        return [*decoding.notes_on(decoded, limits), *decoding.left_out_of(decoded)]

    @property
    def _decoding(self) -> dict[str, Any]:
        # Models of earlier versions took 16 bits for all that is deeper than 8.
        return {"range": decoding.SIXTEEN_BITS, **self.reading["images"]}

    def from_array(self, samples: Any) -> Array:
        """Return the model's inputs for samples as the study's source gives them.

        Parameters
        ----------
        samples : array_like of shape (samples, ...)
            Of the study's sample shape, or of another with as many numbers.

        Raises
        ------
        DataError
            When they don't fit.
        """
        array = np.asarray(samples)
        if array.dtype.kind not in "biuf":
            raise DataError(f"samples of type {array.dtype}; numbers are needed")
        if array.ndim < 1 or array[:1].size != np.prod(self.sample_shape):
            raise DataError(
                f"samples of shape {array.shape[1:]}; this model takes {self.sample_shape}"
            )
        return self._inputs(array.reshape(len(array), *self.sample_shape))

    def _inputs(self, samples: Array) -> Array:
        return np.asarray(Preprocessing(self.encoding).encode(samples), np.float32)

    def save(self, file: Path) -> None:
        """Write this as JSON."""
        columns, encoding = self.columns, self.encoding
        stored = {
            "format": _FORMAT,
            "sample_shape": list(self.sample_shape),
            "input_shape": list(self.input_shape),
            "columns": None if columns is None else [column.as_json() for column in columns],
            "encoding": None if encoding is None else list(map(_rule_as_json, encoding.columns)),
            "class_names": self.class_names,
            "target_names": self.target_names,
            "reading": self.reading,
        }
        write_json(file, sealed(stored), indent=1)

    @classmethod
    def load(cls, file: Path) -> ModelInputs:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            When the file is of another kind or of a later version.
        DamagedRecord
            When its checksum is wrong.
        """
        text = Path(file).read_bytes()
        try:
            stored = json.loads(text)
            if stored["format"] != _FORMAT:
                raise ValueError
            columns, rules = stored["columns"], stored["encoding"]
            found = cls(
                tuple(stored["sample_shape"]),
                None if columns is None else [FeatureColumn.from_json(c) for c in columns],
                None if rules is None else Encoding(tuple(map(_rule_from_json, rules))),
                stored["class_names"],
                stored["target_names"],
                stored["reading"],
            )
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{file} is not a preprocessing file that this gridfold can read"
            ) from None
        try:
            unsealed(stored, needs_seal=False)
        except ValueError as error:
            raise DamagedRecord(file, error) from None
        return found


def _rule_as_json(rule: Number | Category) -> dict[str, Any]:
    return {"kind": "number" if isinstance(rule, Number) else "category", **asdict(rule)}


def _rule_from_json(stored: Mapping[str, Any]) -> Number | Category:
    values = {key: value for key, value in stored.items() if key != "kind"}
    if stored["kind"] == "number":
        return Number(**values)
    return Category(**{**values, "positions": tuple(values["positions"])})
