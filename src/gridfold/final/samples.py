"""The new samples that a final model is asked about: tables, arrays and image files."""

from __future__ import annotations

import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.data.columns import UNKNOWN, as_matrix
from gridfold.data.sources import decoding
from gridfold.data.sources.tablefile import TableFile, first_row
from gridfold.errors import DataError
from gridfold.final.inputs import ModelInputs
from gridfold.imagefolders import SUFFIXES as IMAGES
from gridfold.imagefolders import is_of_a_tool
from gridfold.wording import counted, first_of

if TYPE_CHECKING:
    import pandas as pd

TABLES = frozenset({".csv", ".parquet"})
ARRAYS = frozenset({".npz", ".npy"})
SUFFIXES = TABLES | ARRAYS | IMAGES
# Predicted and written at once: few enough to lose little, enough to be fast.
_ROWS = 10_000
_IMAGES = 256
# Texts and files that a message names.
_SHOWN = 5


@dataclass(frozen=True)
class ReadingOptions:
    """How new samples are read, where it is not as the study's own were.

    Attributes
    ----------
    separator, encoding : str or None
        Of a CSV file; those of the study when None.
    array : str or None
        Name in an ``.npz`` file; the only one, ``x`` or ``features`` when None.
    id : str or None
        Column that names the rows of a table; that of the study when None.
    unknown : {"accept", "refuse"}
        Whether rows may have categories that the study does not have.
    """

    separator: str | None = None
    encoding: str | None = None
    array: str | None = None
    id: str | None = None
    unknown: str = "accept"


@dataclass(frozen=True)
class NewSamples(ABC):
    """Samples that a final model is asked about.

    Attributes
    ----------
    names : DataFrame
        Columns that name the samples, a row for each; without columns where nothing does.
    """

    names: pd.DataFrame

    @abstractmethod
    def pieces(self, members: Sequence[ModelInputs]) -> Iterator[list[Array]]:
        """Yield the samples piece by piece, as each of several models takes them.

        Raises
        ------
        DataError
            When samples can't be read; what stands before them has been yielded then.
        """


@dataclass(frozen=True)
class _Rows(NewSamples):
    """Rows of a table, windows of rows, or samples of an array: all in memory.

    Attributes
    ----------
    file : Path
    rows : DataFrame or array
    """

    file: Path
    rows: pd.DataFrame | Array

    def pieces(self, members: Sequence[ModelInputs]) -> Iterator[list[Array]]:
        """Yield the samples piece by piece, as each of several models takes them."""
        rows = self.rows
        try:
            whole = [
                member.from_array(rows) if isinstance(rows, np.ndarray) else member.from_table(rows)
                for member in members
            ]
        except DataError as error:
            raise DataError(f"{self.file}: {error}") from None
        for piece in arrays.pieces(whole[0], _ROWS):
            yield [inputs[piece] for inputs in whole]


@dataclass(frozen=True)
class _Images(NewSamples):
    """Image files, decoded when their turn comes.

    Attributes
    ----------
    files : list of Path
    tell : callable
        See :func:`read`.
    """

    files: list[Path]
    tell: Callable[[str], None]

    def pieces(self, members: Sequence[ModelInputs]) -> Iterator[list[Array]]:
        """Yield the samples piece by piece, as each of several models takes them."""
        how = members[0].reading["images"]
        resized, parts = 0, list[decoding.Decoded]()
        for start in range(0, len(self.files), _IMAGES):
            files = self.files[start : start + _IMAGES]
            decoded = members[0].decode(files)
            pixels, errors = decoded.pixels, decoded.errors
            parts.append(replace(decoded, pixels=pixels[:0]))
            good = min(errors, default=len(files))
            resized += int(decoded.is_resized[:good].sum())
            if good:
                yield [inputs.from_array(pixels[:good]) for inputs in members]
            if errors:
                damaged = [f"{files[row]} ({text})" for row, text in sorted(errors.items())]
                shown = first_of(damaged, _SHOWN)
                raise DataError(f"{counted(len(damaged), 'image')} can't be decoded: {shown}")
        for note in members[0].notes_on(parts):
            self.tell(note)
        if resized:
            height, width = how["size"]
            self.tell(
                f"{resized} of {counted(len(self.files), 'image')} had another size than the "
                f"model's {height} x {width} pixels and were fitted to it ({how['fit']})"
            )


def read(
    paths: Sequence[Path],
    inputs: ModelInputs,
    how: ReadingOptions,
    tell: Callable[[str], None],
) -> NewSamples:
    """Read new samples as a study has read its own.

    Parameters
    ----------
    paths : sequence of Path
        One ``.csv``, ``.parquet``, ``.npz`` or ``.npy`` file, or any number of image files and
        folders of such.
    inputs : ModelInputs
    how : ReadingOptions
    tell : callable
        Is given what is left out, filled or guessed, a sentence each, as soon as it is known.

    Raises
    ------
    DataError
        When they can't be read or don't fit; says which file, column, row or shape.
    """
    absent = [str(path) for path in paths if not path.exists()]
    if absent:
        raise DataError(f"no such file or folder: {first_of(absent, _SHOWN)}")
    if all(path.is_dir() or path.suffix.lower() in IMAGES for path in paths):
        return _read_images(paths, inputs, tell)
    if len(paths) > 1:
        raise DataError(
            f"{counted(len(paths), 'file')} to read; allowed: one table or array, or any number of "
            "image files and folders of them"
        )
    (file,) = paths
    if file.suffix in ARRAYS:
        return _read_array(file, inputs, how.array)
    if file.suffix in TABLES:
        return _read_table(file, inputs, how, tell)
    raise DataError(f"{file}: unknown kind of file; allowed: {', '.join(sorted(SUFFIXES))}")


def _read_images(
    paths: Sequence[Path], inputs: ModelInputs, tell: Callable[[str], None]
) -> NewSamples:
    import pandas as pd

    if "images" not in inputs.reading:
        raise DataError(
            f"{paths[0]}: this model was not trained on image files; it takes {_taken(inputs)}"
        )
    files: list[Path] = []
    others: list[str] = []
    of_tools: list[str] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found, passed_over = _files_below(path)
            of_tools += map(str, passed_over)
        files += [file for file in found if file.suffix.lower() in IMAGES]
        others += [str(file) for file in found if file.suffix.lower() not in IMAGES]
    if not files:
        raise DataError(
            f"{paths[0]}: no image files; allowed: names that end in {', '.join(sorted(IMAGES))}"
        )
    for left_out, why in ((others, "not named as images"), (of_tools, "hidden or made by tools")):
        if left_out:
            shown = first_of(left_out, _SHOWN)
            tell(f"{counted(len(left_out), 'file')} left out, {why}: {shown}")
    return _Images(pd.DataFrame({"file": [str(file) for file in files]}), files, tell)


def _files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of a folder and of those in it, and apart from these what tools left."""
    # A link to nothing is one of them, and fails by its name.
    files = sorted(file for file in folder.rglob("*") if not file.is_dir())
    of_tools = {f for f in files if any(map(is_of_a_tool, f.relative_to(folder).parts))}
    return [file for file in files if file not in of_tools], sorted(of_tools)


def _taken(inputs: ModelInputs) -> str:
    """Return in words what a model takes."""
    if inputs.columns is not None:
        return f"tables with the columns {', '.join(column.name for column in inputs.columns)}"
    shape = " x ".join(map(str, inputs.sample_shape))
    text = f"arrays (.npz, .npy) with samples of shape {shape}"
    return f"image files, folders of them, or {text}" if "images" in inputs.reading else text


def _read_array(file: Path, inputs: ModelInputs, name: str | None) -> NewSamples:
    import pandas as pd

    try:
        array = _array(file, name)
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise DataError(f"{file} is no {file.suffix} file, or holds more than numbers") from None
    if not array.ndim or not len(array):
        raise DataError(f"{file}: no samples; its shape is {array.shape}")
    return _Rows(pd.DataFrame(index=range(len(array))), file, array)


def _array(file: Path, name: str | None) -> Array:
    loaded = np.load(file, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        return np.asarray(loaded)
    with loaded:
        candidates = [name] if name else [n for n in ("x", "features") if n in loaded.files]
        if not candidates and len(loaded.files) == 1:
            candidates = loaded.files
        if not candidates or candidates[0] not in loaded.files:
            raise DataError(
                f"{file}: which array holds the samples? name one with --array: "
                f"{', '.join(loaded.files)}"
            )
        return np.asarray(loaded[candidates[0]])


def _read_table(
    file: Path, inputs: ModelInputs, how: ReadingOptions, tell: Callable[[str], None]
) -> NewSamples:
    import pandas as pd

    named_by = how.id or inputs.reading.get("id")
    if inputs.columns is None and "images" in inputs.reading:
        raise DataError(f"{file}: this model takes {_taken(inputs)}, not rows of a table")
    try:
        read = inputs.table_file(file, how.separator, how.encoding, named_by)
    except DataError as error:
        # The study is finished; what its keys would say is said by options here.
        text = re.sub(r"set data\.(separator|encoding)\b:?", r"give --\1", str(error))
        raise DataError(text) from None
    table, notes = read.frame, [*read.head.left_out]
    if inputs.columns is None:
        # The study had arrays; a table of numbers in their order will do.
        names, used = pd.DataFrame(index=table.index), {*table.columns}
    else:
        try:
            _require_numbers(read, inputs)
            notes += _unusual_values(table, inputs, refuse_unknown=how.unknown == "refuse")
            names = _names(table, inputs, named_by, required=how.id is not None)
            notes += inputs.notes_on_times(table)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
        used = {*names, *(column.name for column in inputs.columns)}
    if named_by and named_by not in table.columns:
        notes.append(f"no column {named_by}, which names samples; predictions in the order of rows")
    if unused := [str(name) for name in table.columns if name not in used]:
        notes.append(f"{counted(len(unused), 'column')} not used: {', '.join(unused)}")
    for note in notes:
        tell(f"{file}: {note}")
    return _Rows(names, file, table.to_numpy() if inputs.columns is None else table)


def _require_numbers(read: TableFile, inputs: ModelInputs) -> None:
    """Refuse texts in columns of numbers, all columns at once."""
    complaints = []
    for column in inputs.columns or ():
        if column.categories is None and column.name in read.strays:
            row, text = first_row(read.frame[column.name], read.strays[column.name])
            complaints.append(
                f"column {column.name} of numbers has {text!r} in row {row}; a number is needed"
            )
    if complaints:
        raise DataError("\n".join(complaints))


def _names(
    table: pd.DataFrame, inputs: ModelInputs, named_by: str | None, *, required: bool
) -> pd.DataFrame:
    """Return the columns that name samples, a row for each."""
    windowed = inputs.reading.get("windows", {})
    # A window has the time and series of its last row, which it predicts.
    columns = [*filter(None, [windowed.get("series"), windowed.get("time")])]
    if named_by in table.columns:
        columns.insert(0, named_by)
    elif required:
        raise DataError(f"no column {named_by}; there are {', '.join(map(str, table.columns))}")
    names = table[list(dict.fromkeys(columns))].iloc[inputs.last_rows(table)]
    return names.reset_index(drop=True)


def _unusual_values(table: pd.DataFrame, inputs: ModelInputs, *, refuse_unknown: bool) -> list[str]:
    """Return in words which categories are unknown and which values are missing.

    Raises
    ------
    DataError
        When there are unknown categories and these are to be refused.
    """
    columns = inputs.columns or []
    matrix = as_matrix(table, columns)
    unknown, missing = [], []
    for position, column in enumerate(columns):
        values = matrix[:, position]
        if column.categories is not None and (values == UNKNOWN).any():
            texts = table[column.name][values == UNKNOWN].astype(str).value_counts()
            found = first_of((f"{text!r} ({count})" for text, count in texts.items()), _SHOWN)
            unknown.append(f"{column.name} in {counted(int(texts.sum()), 'row')}: {found}")
        gaps = int(np.isnan(values).sum())
        # Others are refused when the inputs are made.
        if gaps and inputs.takes_gaps(position):
            missing.append(f"{column.name} ({gaps})")
    notes = []
    if unknown:
        notes.append(f"categories that the study does not have, in column {'; '.join(unknown)}")
        if refuse_unknown:
            raise DataError("; ".join(notes))
        notes[-1] += "; taken as unknown"
    if missing:
        notes.append(f"missing values, handled as in the study: {', '.join(missing)}")
    return notes
