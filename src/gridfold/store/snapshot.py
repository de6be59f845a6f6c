"""What a run was asked for, as it lies with copies of the user's files in ``request/<digest>/``."""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.store.last_run import LastRun


@dataclass(frozen=True)
class Snapshot(LastRun):
    """What a run was asked for, down to the content of all that it reads.

    Attributes
    ----------
    files, overrides, study
        As in :class:`gridfold.store.last_run.LastRun`.
    results : str
        Folder of all results.
    content : str
        Digest of the data files; empty where there are none.
    versions : dict of str to str
        Versions of the packages that decide numbers.
    package : str
        Digest of the modules of gridfold that decide numbers.
    """

    results: str
    content: str
    versions: dict[str, str]
    package: str
