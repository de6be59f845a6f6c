"""Checks the section `search` against the others: stages, and Keras Tuner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.study.checks.problem import unknown_measure
from gridfold.study.objectives import known_objectives
from gridfold.study.sections.explain import shown
from gridfold.study.sections.optuna_sampler import TunerStrategy
from gridfold.study.sections.resampling import GROUPED_METHODS, ORDERED_METHODS, split_names
from gridfold.study.sections.search import HyperbandStrategy
from gridfold.study.sections.tuner import KerasTunerStrategy

_FEWEST_RACED = 3
_STRATEGY: KeyPath = ("search", "strategy")


def stage_problems(search: Any, training: Any, resampling: Any) -> Iterator[Problem]:
    """Yield what is wrong with the stages of a search.

    Parameters
    ----------
    search, training, resampling
        Valid sections of a study.
    """
    if not search.is_staged:
        return
    yield from _distribution_problems(search, training)
    yield from _race_problems(search, resampling)
    is_hyperband = isinstance(search.strategy, HyperbandStrategy)
    if is_hyperband and "training.epochs" in search.space:
        yield Problem(
            ("search", "space", "training.epochs"),
            "an axis that Hyperband itself decides",
            "allowed: leave it out; `training.epochs` is the longest training",
        )
    if is_hyperband and search.explore is not None and search.explore.epochs is not None:
        yield Problem(
            ("search", "explore", "epochs"),
            f"{search.explore.epochs} with `strategy: hyperband`, which decides them itself",
            "allowed: leave it out; `training.epochs` is the longest training",
        )
    if is_hyperband and search.strategy.jobs is not None and not search.strategy.asynchronous:
        yield Problem(
            (*_STRATEGY, "jobs"),
            f"{search.strategy.jobs} without `asynchronous: true`: each rung has jobs of its own",
            "allowed: leave it out, or `asynchronous: true`",
        )
    if is_hyperband and search.strategy.asynchronous and search.budget is not None:
        yield Problem(
            ("search", "budget"),
            "with `asynchronous: true`, whose jobs decide what they train while they run",
            "allowed: one of the two",
        )
    count = len(split_names(resampling))
    for name in ("explore", "refine"):
        wanted = getattr(search, name)
        if wanted is None:
            continue
        path: KeyPath = ("search", name)
        if wanted.splits is not None and wanted.splits > count:
            yield Problem(
                (*path, "splits"),
                str(wanted.splits),
                f"allowed: at most {count}, the splits of `resampling`",
            )
        if wanted.epochs is not None:
            yield from _epochs_problems((*path, "epochs"), wanted.epochs, search, training)
    if search.refine is not None and search.refine.top > search.refine.max_configurations:
        yield Problem(
            ("search", "refine", "top"),
            str(search.refine.top),
            f"allowed: at most max_configurations, {search.refine.max_configurations}",
        )
    yield from _hyperband_problems(search)
    yield from _stop_problems(search, resampling)
    yield from _confirm_problems(search, resampling)
    last = "refine" if search.refine is not None else "explore"
    wanted = getattr(search, last)
    if search.confirm is None and wanted is not None and not wanted.is_full:
        saved = ("epochs", "splits", "training_fraction")
        given = [f"`{key}`" for key in saved if key in wanted.model_fields_set]
        yield Problem(
            ("search", last),
            f"{' and '.join(given)} in the last stage: nothing would be trained in full",
            "allowed: leave it out here, or add `confirm` (`confirm: {}` will do)",
        )


def _race_problems(search: Any, resampling: Any) -> Iterator[Problem]:
    """Refuse races that decide nothing, or by splits that are no draws from one whole."""
    if search.race is None:
        return
    path: KeyPath = ("search", "race")
    if isinstance(search.strategy, HyperbandStrategy | TunerStrategy):
        yield Problem(
            path,
            f"with `strategy: {search.strategy.type}`, which decides by itself what goes on",
            "allowed: grid, random, sobol, latin_hypercube",
        )
    if search.explore is not None:
        yield Problem(
            path,
            "with `search.explore`: the first round of a race is its exploration",
            "allowed: one of the two",
        )
    count = len(split_names(resampling))
    if count < _FEWEST_RACED:
        yield Problem(
            path,
            f"over {count} splits, of which the first two say how much scores vary",
            f"allowed: at least {_FEWEST_RACED} splits in `resampling`",
        )
    method = resampling.method
    if method in (*ORDERED_METHODS, *GROUPED_METHODS) and not search.race.any_splits:
        kind = "time" if method in ORDERED_METHODS else "groups"
        yield Problem(
            path,
            f"with `resampling.method: {method}`: splits by {kind} are no draws from one whole, so "
            "what leads on the first ones may fall behind on the others for a reason",
            "allowed: `any_splits: true`, or leave `race` out",
        )


_NO_END = {
    "grid": "a grid has an end, and its order is no random one",
    "latin_hypercube": "a part of a Latin hypercube is none; `sobol` is even from the beginning",
    "hyperband": "Hyperband has a schedule, and stops bad configurations by itself",
}


def _stop_problems(search: Any, resampling: Any) -> Iterator[Problem]:
    """Refuse to stop what has an end of its own, or where the scores can't say when."""
    stop, strategy = search.stop, search.strategy
    if stop is None:
        return
    path: KeyPath = ("search", "stop")
    is_tuned = isinstance(strategy, KerasTunerStrategy)
    kind = strategy.tuner if is_tuned else strategy.type
    if kind in _NO_END:
        key = "tuner" if is_tuned else "strategy"
        yield Problem(
            path,
            f"with `{key}: {kind}`: {_NO_END[kind]}",
            "allowed: `random`, `sobol`, or Keras Tuner's `random` and `bayesian`",
        )
        return
    if search.race is not None:
        yield Problem(
            path,
            "with `race`, whose first round tries all configurations: nothing is left to stop",
            "allowed: one of the two",
        )
    name, total = ("max_trials", strategy.trials) if is_tuned else ("n", strategy.n)
    # The first look (`gridfold.plan.stopping.looks`).
    least = stop.after + (stop.after + 3) // 4
    if total < least:
        yield Problem(
            (*_STRATEGY, name),
            f"{total} with `stop`, which looks at the scores after {stop.after} for the first time",
            f"allowed: at least {least}, or a smaller `stop.after`",
        )
    explored = search.explore.splits if search.explore is not None else None
    count = explored or len(split_names(resampling))
    if count < 2:
        yield Problem(
            path,
            "with one split, which does not show how much scores vary by chance",
            "allowed: at least 2 splits (`resampling.folds` or `repeats`, `explore.splits`)",
        )


def _confirm_problems(search: Any, resampling: Any) -> Iterator[Problem]:
    """Refuse to confirm on the splits of the search: those by time are not drawn."""
    confirm, method = search.confirm, resampling.method
    if confirm is None or method not in ORDERED_METHODS:
        return
    if confirm.samples == "held_back":
        yield Problem(
            ("search", "confirm", "samples"),
            f"held_back with `resampling.method: {method}`, whose search would know later times "
            "than the samples that are held back, or earlier ones",
            "allowed: all",
        )
    if confirm.folds in (None, resampling.folds):
        yield Problem(
            ("search", "confirm", "folds"),
            f"{resampling.folds} with `resampling.method: {method}`, which draws nothing: the "
            "search has seen these splits",
            f"allowed: another number than resampling.folds, {resampling.folds}",
        )
    for key in ("repeats", "seed"):
        if key in confirm.model_fields_set:
            yield Problem(
                ("search", "confirm", key),
                f"{getattr(confirm, key)} with `resampling.method: {method}`, which draws nothing",
                "allowed: leave it out",
            )


def _hyperband_problems(search: Any) -> Iterator[Problem]:
    """Refuse what contradicts a tuner that chooses epochs by itself."""
    if getattr(search.strategy, "tuner", None) != "hyperband":
        return
    if search.refine is None and search.confirm is None:
        yield Problem(
            ("search", "strategy"),
            "`tuner: hyperband` in the last stage: most trials are not trained in full",
            "allowed: add `confirm` (`confirm: {}` will do) or `refine`",
        )
    if search.explore is not None and search.explore.epochs is not None:
        yield Problem(
            ("search", "explore", "epochs"),
            f"{search.explore.epochs} with `tuner: hyperband`, which chooses them itself",
            "allowed: `max_epochs` of the strategy",
        )


def _epochs_problems(path: KeyPath, epochs: int, search: Any, training: Any) -> Iterator[Problem]:
    if epochs > training.epochs:
        yield Problem(path, str(epochs), f"allowed: at most training.epochs, {training.epochs}")
    if "training.epochs" in search.space:
        yield Problem(path, f"{epochs} with an axis `training.epochs`", "allowed: one of the two")


def _distribution_problems(search: Any, training: Any) -> Iterator[Problem]:
    """Refuse trials on several devices: the jobs of later stages do not know of them yet."""
    axes = [name for name in search.space if name.startswith("training.distribution.")]
    if axes or training.distribution.world_size > 1:
        stages = [
            k
            for k in ("explore", "stop", "race", "refine", "confirm")
            if getattr(search, k) is not None
        ]
        yield Problem(
            ("search", stages[0] if stages else "strategy"),
            "a search in stages of trials on several devices",
            "allowed: training.distribution.world_size 1, or no stages",
        )


def objective_problems(problem: Any, search: Any) -> Iterator[Problem]:
    """Refuse objectives that the problem does not have."""
    strategy = search.strategy
    if not isinstance(strategy, KerasTunerStrategy):
        return
    known = known_objectives(problem)
    if search.stop is not None and strategy.objectives not in ([], [problem.ranking_measure]):
        yield Problem(
            (*_STRATEGY, "objective"),
            f"{' and '.join(strategy.objectives)} with `stop`, which goes by the study's measure",
            f"allowed: {problem.ranking_measure}, or leave it out",
        )
    is_list = isinstance(strategy.objective, list)
    for index, name in enumerate(strategy.objectives):
        if name not in known:
            path = (*_STRATEGY, "objective", *([index] if is_list else []))
            yield unknown_measure(path, name, problem.type, [*known])


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
                    "allowed: leave it out; only a model function can ask for more",
                )
    if not search.space and len(model.families) == 1 and not strategy.tune_new_entries:
        yield Problem(
            ("search", "space"), "nothing to tune", "allowed: at least one axis, or two models"
        )
