"""What must hold between the strategy `keras_tuner` and the rest of a study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.objectives import known_objectives
from gridfold.study.explain import shown
from gridfold.study.tuner import KerasTunerStrategy

_STRATEGY: KeyPath = ("search", "strategy")


def objective_problems(problem: Any, search: Any) -> Iterator[Problem]:
    """Refuse objectives that the problem does not have."""
    strategy = search.strategy
    if not isinstance(strategy, KerasTunerStrategy):
        return
    known = known_objectives(problem.type)
    is_list = isinstance(strategy.objective, list)
    for index, name in enumerate(strategy.objectives):
        if name not in known:
            yield Problem(
                (*_STRATEGY, "objective", *([index] if is_list else [])),
                f"{shown(name)} with `problem.type: {problem.type}`",
                f"allowed: {', '.join(known)}",
            )


def tuner_training_problems(training: Any, search: Any) -> Iterator[Problem]:
    """Refuse trainings that a tuner can't steer."""
    strategy = search.strategy
    if not isinstance(strategy, KerasTunerStrategy):
        return
    if strategy.tuner == "hyperband":
        if "training.epochs" in search.space:
            yield Problem(
                ("search", "space", "training.epochs"),
                "an axis of epochs with `tuner: hyperband`, which chooses them itself",
                "allowed: `max_epochs` of the strategy",
            )
        if strategy.max_epochs is None and training.epochs < 2:
            yield Problem(
                (*_STRATEGY, "max_epochs"),
                f"left out, with `training.epochs: {training.epochs}`",
                "allowed: at least 2",
            )


def tuner_model_problems(model: Any, search: Any) -> Iterator[Problem]:
    """Refuse what only a model function can answer, and a search for nothing."""
    strategy = search.strategy
    if not isinstance(strategy, KerasTunerStrategy):
        return
    if model.python is None:
        for name, value in (("tune_new_entries", True), ("allow_new_entries", False)):
            if getattr(strategy, name) is value:
                yield Problem(
                    (*_STRATEGY, name),
                    f"{shown(value)} without `model.python`",
                    "allowed: left out; the other models ask for nothing that the space has not",
                )
    if not search.space and len(model.families) == 1 and not strategy.tune_new_entries:
        yield Problem(
            ("search", "space"), "nothing to tune", "allowed: at least one axis, or two models"
        )
