"""Checks the key `resampling.outer` against the search that it repeats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.study.sections.resampling import ORDERED_METHODS
from gridfold.study.sections.search import (
    GridStrategy,
    HyperbandStrategy,
    LatinHypercubeStrategy,
    RandomStrategy,
    SobolStrategy,
)

_OUTER: KeyPath = ("resampling", "outer")
# Their stages are files and slots, of which each outer fold has its own.
_DRAWN = (
    GridStrategy,
    RandomStrategy,
    SobolStrategy,
    LatinHypercubeStrategy,
    HyperbandStrategy,
)
_UNKNOWN_IN_FOLDS = {
    "budget": "which would have to be shared out to the folds",
    "stop": "after which each fold would have tried another part of the space",
}


def outer_problems(search: Any, training: Any, resampling: Any) -> Iterator[Problem]:
    """Refuse outer folds of what can't be repeated in them.

    Parameters
    ----------
    search, training, resampling
        Valid sections of a study.
    """
    outer = resampling.outer
    if outer is None:
        return
    strategy = search.strategy
    if not isinstance(strategy, _DRAWN):
        yield Problem(
            _OUTER,
            f"outer folds with `search.strategy: {strategy.type}`, whose one job searches on the "
            "splits of the study, and can't do so in each fold",
            "allowed: a strategy that draws its configurations (grid, random, sobol, "
            "latin_hypercube, hyperband), or no outer folds",
        )
    for key, why in _UNKNOWN_IN_FOLDS.items():
        if getattr(search, key, None) is not None:
            yield Problem(
                _OUTER,
                f"outer folds with `search.{key}`, {why}",
                f"allowed: leave out `search.{key}`, or no outer folds",
            )
    if search.objectives or search.constraints or search.select:
        yield Problem(
            _OUTER,
            "outer folds with `search.objectives`, `constraints` or `select`: each fold selects by "
            "the ranking measure alone",
            "allowed: leave these out, or no outer folds",
        )
    if getattr(strategy, "asynchronous", False):
        yield Problem(
            _OUTER,
            "outer folds with `asynchronous: true`, whose jobs share one search",
            "allowed: `asynchronous: false`, or no outer folds",
        )
    axes = [name for name in search.space if name.startswith("training.distribution.")]
    if axes or training.distribution.world_size > 1:
        yield Problem(
            _OUTER,
            "outer folds of trials on several devices, whose winners would have to be trained so",
            "allowed: training.distribution.world_size 1, or no outer folds",
        )
    for key in ("repeats", "seed"):
        if resampling.method in ORDERED_METHODS and key in outer.model_fields_set:
            yield Problem(
                (*_OUTER, key),
                f"{getattr(outer, key)} with `resampling.method: {resampling.method}`, which draws "
                "nothing",
                "allowed: leave it out",
            )
