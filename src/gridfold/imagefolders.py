"""Folders of images: which are classes, which are parts of the data, which files are images.

Looked at before the first job and again by the job that reads the images, so that both know the
same files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridfold.wording import counted, first_of, listed

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
# Made by the Finder of macOS, by network storage, recycle bins, snapshots, file systems and Python.
_OF_TOOLS = frozenset(
    {
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "$recycle.bin",
        "#snapshot",
        "system volume information",
        "lost+found",
        "__pycache__",
    }
)
_TRAIN, _VALIDATION, _TEST = (
    frozenset({"train", "training"}),
    frozenset({"val", "valid", "validation", "dev"}),
    frozenset({"test", "testing"}),
)
_EXAMPLES = 3


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, by name; without hidden ones and those that tools make."""
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not is_of_a_tool(entry.name)
    )


def all_class_folders(folder: Path) -> list[Path]:
    """Return the folders of the classes, those in all parts of the data."""
    return [below for part in parts_of(folder).all for below in class_folders(part)]


def is_of_a_tool(name: str) -> bool:
    """Tell whether a file or folder of this name is hidden, or made by a tool."""
    return name.startswith(".") or name.lower() in _OF_TOOLS


@dataclass(frozen=True)
class Parts:
    """The folders that hold the folders of the classes.

    Attributes
    ----------
    root : Path
        The folder that a study names.
    own : tuple of Path
        Those of the samples that are split: the root itself, or its folders for training and
        validation.
    test : tuple of Path
        Those of the source's own test set.
    others : tuple of Path
        Folders beside these, which are neither.
    """

    root: Path
    own: tuple[Path, ...]
    test: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """All that hold folders of classes."""
        return self.own + self.test

    @property
    def are_named(self) -> bool:
        """Whether the root has folders of parts, and the classes are below these."""
        return self.own != (self.root,)

    def problems(self, *, key: str, has_test_path: bool) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with them: what was found, and what is allowed.

        Parameters
        ----------
        key : {"path", "test_path"}
            What names the root.
        has_test_path : bool
            Whether ``data.test_path`` names a test set.
        """
        names = listed(f"`{folder.name}`" for folder in self.all)
        if self.are_named and key == "test_path":
            yield (
                f"{self.root} has the folders {names}, which are parts of data",
                "allowed: a folder with a folder of images for each class, such as one of these",
            )
            return
        for part in self.all:
            if not class_folders(part):
                yield (
                    f"{part} has no folders; one of each class with its images is needed"
                    + f" ({names} are taken for parts of the data)" * self.are_named,
                    "allowed: folders of classes, or a CSV file of paths and classes",
                )
        if self.others:
            yield (
                f"{self.root} has {listed(f'`{other.name}`' for other in self.others)} beside "
                f"{names}, which are taken for parts of the data",
                "allowed: folders of parts alone, with the classes below, or of classes alone",
            )
        if self.test and has_test_path:
            yield (
                f"{self.root} has a test set, {listed(f'`{t.name}`' for t in self.test)}, and "
                "`data.test_path` names another one",
                "allowed: leave out data.test_path, or set data.path to the folder for training",
            )

    @property
    def note(self) -> str:
        """What was made of them, in words; nothing for a folder without parts."""
        if not self.are_named:
            return ""
        own = listed(f"`{folder.name}`" for folder in self.own)
        together = "are read together and split anew" if len(self.own) > 1 else "is split"
        test = listed(f"`{folder.name}`" for folder in self.test) if self.test else ""
        held_out = f", {test} is the held-out test set" * bool(test)
        return f"{self.root} has parts of data, with classes below: {own} {together}{held_out}"


def parts_of(folder: Path) -> Parts:
    """Tell folders of classes from folders for training, validation and test with classes below.

    A folder has parts if it has one named ``train``, and another one for validation or test, or
    nothing else.
    """
    below = class_folders(folder)
    train, validation, test = (
        tuple(entry for entry in below if entry.name.lower() in names)
        for names in (_TRAIN, _VALIDATION, _TEST)
    )
    others = tuple(entry for entry in below if entry not in train + validation + test)
    if not train or (others and not validation + test):
        return Parts(folder, (folder,))
    return Parts(folder, train + validation, test, others)


@dataclass
class Listing:
    """The image files of the classes.

    Attributes
    ----------
    files : list of Path
        Those of a folder by name, one folder after another.
    classes : list of str
        The class of each file.
    empty : list of Path
        Folders of classes without images.
    of_tools, hidden, links, outside : list of Path
        What was left out: files in hidden folders and in those that tools make, files whose names
        begin with a point, links to folders, and files that are in no folder of a class.
    others : Counter of str
        How many files were left out because of their suffix.
    parts : set of str
        Names of folders in those of classes that are usually names of parts of the data.
    """

    files: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    of_tools: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Listing:
        """Look for image files in the folders of the classes in each of `folders`."""
        listing = cls()
        for folder in folders:
            for entry in sorted(folder.iterdir()):
                if entry.is_dir() and is_of_a_tool(entry.name):
                    listing.of_tools += _files_below(entry)
                elif entry.is_dir():
                    listing._add_class(entry)
                elif not entry.name.startswith("."):
                    listing.outside.append(entry)
        return listing

    def _add_class(self, folder: Path) -> None:
        found = []
        for place, folders, names in os.walk(folder):
            here = Path(place)
            self.parts |= {n for n in folders if n.lower() in _TRAIN | _VALIDATION | _TEST}
            for name in [name for name in folders if is_of_a_tool(name)]:
                self.of_tools += _files_below(here / name)
                folders.remove(name)
            self.links += [here / name for name in folders if (here / name).is_symlink()]
            for name in names:
                suffix = Path(name).suffix.lower()
                if name.startswith("."):
                    self.hidden.append(here / name)
                elif suffix in SUFFIXES:
                    found.append(here / name)
                else:
                    self.others[suffix or "without one"] += 1
        if not found:
            self.empty.append(folder)
        self.files += sorted(found)
        self.classes += [folder.name] * len(found)

    @property
    def notes(self) -> list[str]:
        """What may be meant otherwise, in words."""
        if len(self.parts) < 2:
            return []
        names = listed(f"`{name}`" for name in sorted(self.parts))
        return [
            f"the folders {names} in those of classes are read together and split anew; to keep a "
            "test set, put the folders of classes into folders of parts"
        ]

    @property
    def left_out(self) -> list[str]:
        """What was left out, in words."""
        texts = [
            f"{counted(len(files), noun)} {reason}: {first_of(map(str, sorted(files)), _EXAMPLES)}"
            for files, noun, reason in (
                (self.of_tools, "file", "in hidden folders or those that tools make"),
                (self.hidden, "hidden file", "(their names begin with a point)"),
                (self.links, "link", "to folders, which are not followed"),
                (self.outside, "file", "outside the folders of classes"),
            )
            if files
        ]
        if self.others:
            kinds = [f"{suffix} ({number:,})" for suffix, number in sorted(self.others.items())]
            number = self.others.total()
            texts.append(f"{counted(number, 'file')} with other suffixes: {', '.join(kinds)}")
        return texts


def _files_below(folder: Path) -> list[Path]:
    return [Path(place) / name for place, _, names in os.walk(folder) for name in names]
