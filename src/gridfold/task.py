"""A request to train, as it travels from the job to the process that trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrialTask:
    """A request to train, with all that it takes.

    Attributes
    ----------
    config_id, split : str
        Which trial.
    epochs : int
        Epochs to reach.
    settings : dict
        The settings of the configuration.
    data, splits, folder : Path
        Prepared arrays, splits, and the trial's folder in the run store.
    threads : int
        CPU threads; 0 leaves the choice to TensorFlow.
    steps_per_execution : int or "auto"
    checkpoint_every : int
        Epochs between checkpoints.
    in_memory_mb : int
        MB of samples that are kept in memory; more are read when they are needed.
    """

    config_id: str
    split: str
    epochs: int
    settings: dict[str, Any]
    data: Path
    splits: Path
    folder: Path
    threads: int = 0
    steps_per_execution: int | str = "auto"
    checkpoint_every: int = 1
    in_memory_mb: int = 1024
