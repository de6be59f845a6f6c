"""Measures that are the share of some samples that is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridfold.arrays import Array

SHARES: dict[str, Callable[[Array], Array]] = {
    "accuracy": lambda targets: np.ones(len(targets), bool),
    "top_3_accuracy": lambda targets: np.ones(len(targets), bool),
    "top_5_accuracy": lambda targets: np.ones(len(targets), bool),
    "sensitivity": lambda targets: np.asarray(targets == 1),
    "specificity": lambda targets: np.asarray(targets == 0),
}
"""Of which samples each is the share, as a function of all targets."""
