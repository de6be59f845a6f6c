"""What the last run of a study was asked for, as it lies in ``results/<study>/run.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridfold.store.records import Record


@dataclass(frozen=True)
class LastRun(Record):
    """What the last run of a study was asked for; written when it begins.

    Attributes
    ----------
    files : list of str
        The study files, relative to the folder in which Snakemake was started.
    overrides : dict
        Values over those of the files, from ``--config``.
    study : dict
        Both together, without the defaults.
    """

    files: list[str]
    overrides: dict[str, Any]
    study: dict[str, Any]
