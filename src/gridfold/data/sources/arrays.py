"""Arrays: of scikit-learn, of NumPy files, and of a function of the user."""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridfold import arrays
from gridfold.data.sources.raw import Raw
from gridfold.errors import DataError, summary_of
from gridfold.usercode import functions

ARRAYS = ("features", "targets", "groups", "weights", "test_features", "test_targets")


def read_embedded(data: Mapping[str, Any]) -> Raw:
    """Read a data set that scikit-learn ships."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{data['source']}")()
    if data["source"] == "digits":
        return Raw(
            bunch.images[..., np.newaxis], bunch.target, class_names=_texts(bunch.target_names)
        )
    names = _texts(bunch.feature_names)
    if data["source"] in ("diabetes", "linnerud"):
        targets = list(bunch.target_names) if "target_names" in bunch else ["progression"]
        return Raw(bunch.data, bunch.target, target_names=targets, feature_names=names)
    return Raw(
        bunch.data, bunch.target, class_names=_texts(bunch.target_names), feature_names=names
    )


def _texts(names: Any) -> list[str]:
    return [str(name) for name in names]


def read_npz(data: Mapping[str, Any]) -> Raw:
    """Read the arrays of an ``.npz`` file by their names in the ``data`` section."""
    with open_npz(data["path"]) as archive:
        names = {key: data[key] for key in ARRAYS if data.get(key) is not None}
        return Raw(
            **{
                key: array_of(archive, data["path"], name, f"data.{key}")
                for key, name in names.items()
            }
        )


def open_npz(path: str) -> Any:
    """Open an ``.npz`` file.

    Raises
    ------
    DataError
        When it is none.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile):
        archive = None
    except Exception as error:
        raise _damaged(path, error) from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{path} is not an .npz file")
    return archive


def _damaged(what: Path | str, error: Exception) -> DataError:
    """Return what to say of a file of NumPy's that can't be read.

    One wrong byte can look like encryption, an unknown compression or a huge array: the readers
    raise errors of all kinds.
    """
    return DataError(f"{what} can't be read, it may be damaged: {summary_of(error)}")


def array_of(archive: Any, path: str, name: str, key: str) -> Any:
    """Return one array of an open ``.npz`` file; `key` says where its name comes from."""
    if name not in archive:
        raise DataError(f"{path}: no array `{name}` ({key}); it has {', '.join(archive.files)}")
    try:
        return archive[name]
    except Exception as error:
        raise _damaged(f"{path}: array `{name}`", error) from None


def read_python(data: Mapping[str, Any]) -> Raw:
    """Call the user's function."""
    answer = functions.load(data["function"])()
    if not isinstance(answer, Mapping) or not {"features", "targets"} <= set(answer):
        raise DataError(
            f"{data['function']} must return a mapping with `features` and `targets`, "
            f"not {type(answer).__name__}"
        )
    unknown = set(answer) - set(ARRAYS)
    if unknown:
        raise DataError(
            f"{data['function']} returns unknown {', '.join(sorted(unknown))}; "
            f"known: {', '.join(ARRAYS)}"
        )
    return Raw(**answer)


def read_npy(data: Mapping[str, Any], folder: Path | None = None) -> Raw:
    """Map the arrays of a folder of ``.npy`` files into memory; parts become one array.

    Parameters
    ----------
    data : mapping
        The ``data`` section.
    folder : Path, optional
        Where there is room for parts that are put together.
    """
    names = {key: data[key] for key in ARRAYS if data.get(key) is not None}
    return Raw(
        **{key: _mapped(Path(data["path"]), name, key, folder) for key, name in names.items()}
    )


def npy_files(folder: Path, name: str) -> list[Path]:
    """Return the file of an array, or the files of its parts in their order."""
    whole = folder / f"{name}.npy"
    return [whole] if whole.is_file() else sorted(folder.glob(f"{glob.escape(name)}-*.npy"))


def _mapped(source: Path, name: str, key: str, folder: Path | None) -> Any:
    files = npy_files(source, name)
    if not files:
        there = sorted(file.name for file in source.glob("*.npy"))
        raise DataError(
            f"{source}: neither {name}.npy nor {name}-*.npy (data.{key}); it has "
            f"{', '.join(there[:20]) or 'no .npy file'}"
        )
    parts = []
    for file in files:
        try:
            parts.append(np.load(file, mmap_mode="r", allow_pickle=False))
        except Exception as error:
            raise _damaged(file, error) from None
    for file, part in zip(files, parts, strict=True):
        first = parts[0]
        if (part.shape[1:], part.dtype) != (first.shape[1:], first.dtype):
            raise DataError(
                f"{file} has {part.dtype} of shape {part.shape[1:]}, but {files[0].name} "
                f"{first.dtype} of shape {first.shape[1:]}; parts of one array must agree"
            )
    return arrays.joined(parts, parts[0].dtype, folder)
