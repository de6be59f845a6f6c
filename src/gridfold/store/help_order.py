"""What the training jobs of a run can help each other with; the run leaves it for its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gridfold import typed_json
from gridfold.requests import Conditions, WantedConfiguration
from gridfold.typed_json import DamagedRecord


@dataclass(frozen=True)
class WaitingTrials:
    """The trials of a job.

    Attributes
    ----------
    trials : tuple of str
        As ``config_id/split``, in the order in which the job begins them.
    memory_mb : int
        What the largest of them takes, in MB, by estimate.
    """

    trials: tuple[str, ...]
    memory_mb: int


@dataclass(frozen=True)
class HelpOrder:
    """The trials of all training jobs of a run.

    Attributes
    ----------
    conditions : Conditions
        What each training depends on; a job whose own are others was left by another run.
    jobs : mapping of str to WaitingTrials
        By shard.
    configurations : mapping of str to WantedConfiguration
        By id.
    """

    conditions: Conditions
    jobs: Mapping[str, WaitingTrials] = field(default_factory=dict)
    configurations: Mapping[str, WantedConfiguration] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> HelpOrder | None:
        """Read what the run has left; None where jobs do not help each other."""
        try:
            return typed_json.read(cls, file)
        except (FileNotFoundError, DamagedRecord):
            return None
