"""The metrics that a user has compiled into a model, followed beside the one of the problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from gridfold.errors import TrialFailure
from gridfold.training.state import RESERVED

# What Keras calls the metrics that are followed anyway.
_SAME = {
    "accuracy": ("accuracy", "acc"),
    "mae": ("mae", "MAE", "mean_absolute_error"),
}


@dataclass(frozen=True)
class OwnMetrics:
    """The metrics of a model's own compilation.

    Attributes
    ----------
    metrics, weighted : list
        As `compile` takes them.
    """

    metrics: list[Any] = field(default_factory=list)
    weighted: list[Any] = field(default_factory=list)


def of(model: keras.Model, followed: str) -> OwnMetrics:
    """Return the metrics that a model is compiled with, but for the one that is followed anyway.

    Parameters
    ----------
    model : keras.Model
        As the user has compiled it.
    followed : str
        Metric of the problem.

    Raises
    ------
    TrialFailure
        When one has a name that the history keeps for something else.
    """
    compiled = model._compile_metrics
    if compiled is None:
        return OwnMetrics()
    found = OwnMetrics(
        [
            metric
            for metric in keras.tree.flatten(compiled._user_metrics or [])
            if not (isinstance(metric, str) and metric in _SAME[followed])
        ],
        keras.tree.flatten(compiled._user_weighted_metrics or []),
    )
    names = {_name(metric) for metric in (*found.metrics, *found.weighted)}
    taken = sorted(name for name in names if name in RESERVED or name.startswith("val_"))
    if taken:
        raise TrialFailure(
            "error",
            f"the model is compiled with a metric of the name {', '.join(taken)}, which the tables "
            'have for something else; give it another one: keras.metrics.AUC(name="...")',
        )
    return found


def _name(metric: Any) -> str:
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", metric))
