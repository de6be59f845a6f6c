"""Phases of a training: first with frozen layers, then with all of them.

Which epochs belong to which phase follows from the settings alone, and a phase begins with a new
optimiser; so a training that was interrupted in one phase goes on in it, and one between two begins
the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with the same trainable layers and one optimiser.

    Attributes
    ----------
    end : int or None
        Epochs that are finished when it ends; None for the last one.
    is_frozen : bool
        Whether the layers to freeze keep their weights.
    start : int
        Epochs before it.
    learning_rate : float or None
        Its own one.
    """

    end: int | None
    is_frozen: bool
    start: int = 0
    learning_rate: float | None = None

    def training(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the ``training`` settings for this phase.

        Warm-up and schedule begin with the phase, and a cosine spans it.
        """
        if self.end is None and not self.start:
            return options
        changed = dict(options)
        if self.learning_rate is not None:
            changed["learning_rate"] = self.learning_rate
        schedule = options["schedule"]
        if schedule["kind"] == "cosine":
            end = schedule["epochs"] if self.end is None else self.end
            changed["schedule"] = {**schedule, "epochs": max(1, end - self.start)}
        if self.end is not None:
            changed["warmup_epochs"] = min(options["warmup_epochs"], self.end - 1)
        return changed


def phases_of(model: Mapping[str, Any]) -> list[Phase]:
    """Return the phases of a configuration.

    Parameters
    ----------
    model : mapping
        The ``model`` settings.
    """
    frozen = model.get("frozen_epochs", 0)
    if not frozen:
        return [Phase(None, is_frozen=False)]
    if frozen == "all":
        return [Phase(None, is_frozen=True)]
    return [
        Phase(frozen, is_frozen=True),
        Phase(None, False, frozen, model["fine_tune_learning_rate"]),
    ]


def phase_after(phases: list[Phase], epoch: int) -> Phase:
    """Return the phase in which epoch `epoch` (from 1) is trained; epoch 0 is before the first."""
    return next(p for p in phases if p.end is None or epoch <= p.end)
