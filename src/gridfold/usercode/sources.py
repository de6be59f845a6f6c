"""The user's files as a run has found them: its jobs read copies, whatever becomes of the files.

A run that lasts a night must not mix two versions of a model. So it begins with a copy of all files
that its jobs import or run (:mod:`gridfold.plan.snapshot`), and tells its jobs by an environment
variable where the copies are. Everything here that takes a path takes that of the user's file, and
looks at the copy where there is one. Modules are named after the user's files, and so is their
``__file__``, beside which they may look for others; their code is that of the copies, also for
tracebacks and for TensorFlow's AutoGraph, which reads the source of functions once more.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from gridfold.atomic import replacing, write_json
from gridfold.errors import DataError
from gridfold.usercode.marks import file_digest, file_mark

# Folders with copies, one for each study of a run.
VARIABLE = "GRIDFOLD_SNAPSHOTS"
_INDEX = "sources.json"


@dataclass(frozen=True)
class Source:
    """A file of the user's, as a run has found it.

    Attributes
    ----------
    file : str
        Relative to the working directory, if it lies in it.
    sha256 : str
        Digest of its content.
    copy : str or None
        Where the copy is in the folder of all copies; None for a large file, a saved model or
        weights, which is not copied.
    mark : list of int or None
        Of a file that is not copied: what tells that nobody has touched it.
    """

    file: str
    sha256: str
    copy: str | None = None
    mark: list[int] | None = None


def sources_of(copied: Mapping[Path, bytes], large: Iterable[Path]) -> list[Source]:
    """Return the files of a study as they are now.

    Parameters
    ----------
    copied : mapping of Path to bytes
        What is in each file that is copied.
    large : iterable of Path
        Files that are not.
    """
    return [
        *(
            Source(from_here(file), hashlib.sha256(found).hexdigest(), _place(file))
            for file, found in sorted(copied.items())
        ),
        *(
            Source(from_here(file), file_digest(file), mark=file_mark(file))
            for file in sorted(set(large))
        ),
    ]


def write(folder: Path, sources: Sequence[Source], copied: Mapping[Path, bytes]) -> None:
    """Write the copies, and at last which is which.

    Parameters
    ----------
    folder : Path
        Of all copies.
    sources : sequence of Source
    copied : mapping of Path to bytes
        As in :func:`sources_of`.
    """
    contents = {from_here(file): found for file, found in copied.items()}
    for source in sources:
        if source.copy is not None:
            with replacing(folder / source.copy) as temporary:
                temporary.write_bytes(contents[source.file])
    write_json(folder / _INDEX, [asdict(source) for source in sources], indent=1)


def read(folder: Path) -> list[Source]:
    """Read which copies a folder has, and of what.

    Raises
    ------
    DataError
        When they can't be read.
    """
    try:
        return [Source(**entry) for entry in json.loads((folder / _INDEX).read_text("utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder / _INDEX} can't be read ({error}); {_AGAIN}") from None


def is_complete(folder: Path) -> bool:
    """Tell whether a folder holds sound copies."""
    try:
        return all(
            source.copy is None
            or hashlib.sha256((folder / source.copy).read_bytes()).hexdigest() == source.sha256
            for source in read(folder)
        )
    except (OSError, DataError):
        return False


def use(folders: Iterable[Path]) -> None:
    """Let this process, and those that it starts, read the copies in these folders."""
    os.environ[VARIABLE] = os.pathsep.join(str(folder.absolute()) for folder in folders)


def folders() -> list[Path]:
    """Return the folders of copies that this process reads."""
    return [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]


def content(file: Path) -> bytes:
    """Return what is in a file of the user's, or was when the run began.

    Raises
    ------
    DataError
        When its copy is damaged.
    """
    copy = _copies().get(os.path.abspath(file))
    return file.read_bytes() if copy is None else copy.content()


def is_file(file: Path) -> bool:
    """Tell whether there is a file of the user's, or was when the run began."""
    # Unlike `Path.is_file`, this takes any name, however long, for that of a missing file.
    return os.path.abspath(file) in _copies() or os.path.isfile(file)


def readable(file: Path) -> Path:
    """Return a file with the content that a file of the user's has, or had when the run began."""
    copy = _copies().get(os.path.abspath(file))
    return file if copy is None else copy.path


def original(file: Path) -> Path:
    """Return the user's file that a file is a copy of, and any other file as it is."""
    for own, copy in _copies().items():
        if copy.path == file:
            return Path(own)
    return file


def require_unchanged(file: Path) -> None:
    """Refuse a large file that is not as it was when the run began.

    Raises
    ------
    DataError
        When it has another content.
    """
    known = [source for folder in folders() for source in read(folder)]
    for source in known:
        is_it = source.copy is None and os.path.abspath(source.file) == os.path.abspath(file)
        if is_it and source.mark != file_mark(file) and source.sha256 != file_digest(file):
            raise DataError(f"{file} has changed since the run began; {_AGAIN}")


def import_as(name: str, file: Path) -> ModuleSpec:
    """Return how Python imports a file of the user's as the module `name`."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    path = os.path.abspath(file)
    loader = _Loader(path) if path in _copies() else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    return spec


_AGAIN = "start the same command again, which makes another copy of the user's files"


@dataclass(frozen=True)
class _Copy:
    """A copy of a file, and the digest of what it must hold."""

    path: Path
    sha256: str

    def content(self) -> bytes:
        try:
            found = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}; {_AGAIN}") from None
        if hashlib.sha256(found).hexdigest() != self.sha256:
            raise DataError(f"{self.path} has changed since the run began; {_AGAIN}")
        return found


def _copies() -> Mapping[str, _Copy]:
    """Return the copies by the absolute paths of the user's files."""
    return _copies_in(os.environ.get(VARIABLE, ""))


@functools.cache
def _copies_in(_variable: str) -> dict[str, _Copy]:
    return {
        os.path.abspath(source.file): _Copy(folder / source.copy, source.sha256)
        for folder in folders()
        for source in read(folder)
        if source.copy is not None
    }


@functools.cache
def _names(variable: str) -> frozenset[str]:
    """Return the last names of the modules that there are copies of."""
    files = map(Path, _copies_in(variable))
    return frozenset(f.parent.name if f.stem == "__init__" else f.stem for f in files)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules beside a file of the user's that the run has copies of."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        # Most imports of a process are not of the user's modules.
        if name not in _names(os.environ.get(VARIABLE, "")):
            return None
        for folder in sys.path if path is None else path:
            package = os.path.join(os.path.abspath(folder), name)
            for file, places in (
                (os.path.join(package, "__init__.py"), [package]),
                (f"{package}.py", None),
            ):
                if file in _copies():
                    return importlib.util.spec_from_file_location(
                        fullname,
                        file,
                        loader=_Loader(file),
                        submodule_search_locations=places,
                    )
        return None


class _Loader(importlib.abc.InspectLoader):
    """Loads a module from the copy of its file; no compiled code is kept."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get_filename(self, fullname: str) -> str:
        return self._path

    def is_package(self, fullname: str) -> bool:
        return Path(self._path).name == "__init__.py"

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(_copies()[self._path].content())

    def get_code(self, fullname: str) -> CodeType:
        # AutoGraph reads the file that a function's code names.
        place = str(_copies()[self._path].path)
        return compile(self.get_source(fullname), place, "exec", dont_inherit=True)


def _place(file: Path) -> str:
    """Return where the copy of a file goes: files of the working directory keep their places."""
    relative = Path(from_here(file))
    if relative.is_absolute():
        folder = hashlib.sha256(str(relative.parent).encode()).hexdigest()[:8]
        return str(Path("outside", folder, relative.name))
    return str(Path("files", relative))


def from_here(file: Path) -> str:
    """Return the path of a file relative to the working directory, if it lies in it."""
    here = Path.cwd()
    path = file.absolute()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
