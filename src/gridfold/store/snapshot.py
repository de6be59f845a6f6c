"""What a run was asked for, as it lies with copies of the user's files in ``request/<digest>/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridfold.store.records import Record


@dataclass(frozen=True)
class Snapshot(Record):
    """What a run was asked for, down to the content of all that it reads.

    Attributes
    ----------
    files : list of str
        The study files, relative to the folder in which Snakemake was started.
    overrides : dict
        Values over those of the files, from ``--config``.
    results : str
        Folder of all results.
    study : dict
        Files and values together, without the defaults.
    content : str
        Digest of the data files; empty where there are none.
    versions : dict of str to str
        Versions of the packages that decide numbers.
    package : str
        Digest of the modules of gridfold that decide numbers.
    """

    files: list[str]
    overrides: dict[str, Any]
    results: str
    study: dict[str, Any]
    content: str
    versions: dict[str, str]
    package: str
