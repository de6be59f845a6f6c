"""What the jobs of a study have written, as they noted it down, and what lies there now.

Snakemake knows when a file was written, not what it holds. A flipped bit, and a copy of another
file with its times, are found by their checksums alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gridfold.store.seals import file_checksum
from gridfold.usercode.marks import file_mark

# Small files are read at each start of a run, up to so many bytes in all: some hundredths of a
# second. Larger ones count as they were written while nobody has touched them.
_READ_ANYWAY = 50e6


@dataclass(frozen=True)
class WrittenFile:
    """A file as a job has left it.

    Attributes
    ----------
    file : Path
    checksum : str
    mark : tuple of int
        Size, times and inode (:func:`gridfold.usercode.marks.file_mark`).
    """

    file: Path
    checksum: str
    mark: tuple[int, ...]

    @classmethod
    def of(cls, file: Path) -> WrittenFile:
        """Return a file as it is now."""
        return cls(file, file_checksum(file), tuple(file_mark(file)))

    def line(self, folder: Path) -> str:
        """Return it as one line of text, its name as seen from `folder`."""
        name = os.path.relpath(self.file, folder)
        return " ".join([self.checksum, *map(str, self.mark), name])

    @classmethod
    def parse(cls, line: str, folder: Path) -> WrittenFile:
        """Return what :meth:`line` has written.

        Raises
        ------
        ValueError
            When it was written otherwise, or broke off.
        """
        checksum, size, changed, touched, inode, name = line.split(" ", 5)
        mark = (int(size), int(changed), int(touched), int(inode))
        return cls(Path(os.path.normpath(folder / name)), checksum, mark)

    def touched(self) -> WrittenFile:
        """Return the same with the size, times and inode that it has now."""
        return replace(self, mark=tuple(file_mark(self.file)))


def altered(written: Iterable[WrittenFile]) -> tuple[set[Path], set[Path]]:
    """Compare files with what was written.

    Parameters
    ----------
    written : iterable of WrittenFile
        A file may be there several times: two rules can make it, of which a study uses one.

    Returns
    -------
    altered, touched : set of Path
        Files that hold something else than any job has written, what lies in their place and is no
        file among them; and large ones that hold the same though their times have changed. A file
        that is missing is neither.
    """
    versions: dict[Path, list[WrittenFile]] = defaultdict(list)
    for version in written:
        versions[version.file].append(version)
    found, touched = set(), set()
    left = _READ_ANYWAY
    for file in sorted(versions, key=lambda file: versions[file][0].mark[0]):
        try:
            mark = tuple(file_mark(file))
            is_untouched = any(version.mark == mark for version in versions[file])
            left -= mark[0]
            if left < 0 and is_untouched:
                continue
            checksum = file_checksum(file)
        except FileNotFoundError:
            if file.is_symlink():
                found.add(file)
            continue
        except OSError:
            found.add(file)
            continue
        if all(version.checksum != checksum for version in versions[file]):
            found.add(file)
        elif left < 0:
            touched.add(file)
    return found, touched
