"""What baselines are called; light to import."""

from __future__ import annotations

from typing import get_args

from gridfold.study.sections.report import Baseline

BASELINE_NAMES: tuple[str, ...] = get_args(Baseline)
"""As studies and tables name them."""

_NAMES = {
    "last_value": "the last value",
    "gradient_boosting": "gradient boosting",
    "nearest_neighbours": "nearest neighbours",
}
_OF_CLASSES = {"constant": "the majority class", "linear": "logistic regression"}
_OF_NUMBERS = {"constant": "the mean", "linear": "ridge regression"}


def baseline_name(name: str, problem: str) -> str:
    """Return the name of a baseline as people write it.

    Parameters
    ----------
    name : str
    problem : {"regression", "multi_output", "binary", "multiclass"}
    """
    classes = problem in ("binary", "multiclass")
    return (_NAMES | (_OF_CLASSES if classes else _OF_NUMBERS))[name]
