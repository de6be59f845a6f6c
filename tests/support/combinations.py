"""Studies that combine everything a study can ask for: each pair of choices meets in one of them.

`FACTORS` are the choices, `REFUSALS` what must be refused, and what is said then. The set is
made by covertable, the same one each time; data are written by :mod:`combineddata`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

import combineddata
from covertable import make

from gridfold.problems import PROBLEM_KINDS

Combination = Mapping[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]

# The first choice of each can be had with the first ones of all others.
FACTORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "strategy": (
            "grid",
            "random",
            "hyperband",
            "asynchronous",
            "optuna",
            "tuner-random",
            "tuner-bayesian",
            "tuner-hyperband",
        ),
        "source": ("arrays", "bundled", "table", "images", "function", "windows"),
        "model": ("mlp", "cnn", "function", "subclass", "saved", "loop"),
        "resampling": ("holdout", "kfold", "repeats", "stratified", "group", "forward"),
        "training": (
            "plain",
            "bfloat16",
            "accumulation",
            "augmentation",
            "class weights",
            "sample weights",
        ),
        "problem": ("multiclass", "binary", "regression", "multi_output"),
        "threshold": ("usual", "another"),
        "stages": ("none", "refine", "confirm", "all", "race"),
        "beside": ("nothing", "budget", "outer folds", "objectives"),
        "distribution": ("none", "mirrored", "horovod"),
        "stopping": ("off", "best epoch", "last epoch", "own measure", "inner part"),
        "test set": ("drawn", "given", "none"),
        "jobs": ("auto", "one trial each", "tuner's workers"),
        "steps": ("auto", "one by one"),
        "final": ("model", "ensemble"),
        "report": ("page", "notebook"),
        "profile": ("default", "slurm", "expanse"),
    }
)

_NUMBERS = ("regression", "multi_output")
_NOT_MULTICLASS = ("binary", *_NUMBERS)
_TABLES = ("table", "windows")
_TUNERS = ("tuner-random", "tuner-bayesian", "tuner-hyperband")
_ASKED = (*_TUNERS, "optuna")
_SEVERAL = ("mirrored", "horovod")


@dataclass(frozen=True)
class Refusal:
    """What no study can have together.

    Attributes
    ----------
    choices : mapping of str to tuple of str
        Of each of these factors, any of these choices.
    said : str
        Part of what is said when the study is read.
    """

    choices: Mapping[str, tuple[str, ...]]
    said: str

    def concerns(self, combination: Combination) -> bool:
        """Tell whether a combination, which may lack factors, has all of it."""
        return all(combination.get(factor) in given for factor, given in self.choices.items())

    def examples(self) -> list[Combination]:
        """Return each combination of these choices, all else being the first choice."""
        first = {factor: choices[0] for factor, choices in FACTORS.items()}
        return [
            first | dict(zip(self.choices, choices, strict=True))
            for choices in product(*self.choices.values())
        ]


REFUSALS = (
    Refusal({"source": _TABLES, "model": ("cnn",)}, "rows of a table"),
    Refusal({"source": _TABLES, "training": ("augmentation",)}, "rows of a table"),
    Refusal(
        {"source": ("bundled",), "problem": _NOT_MULTICLASS, "model": ("cnn",)},
        "allowed: images (height, width, channels); set `data.reshape`",
    ),
    Refusal(
        {"source": ("bundled",), "problem": _NOT_MULTICLASS, "training": ("augmentation",)},
        "allowed: images (height, width, channels); set `data.reshape`",
    ),
    Refusal({"source": ("bundled",), "resampling": ("group",)}, "`group` without `data.groups`"),
    Refusal({"source": ("bundled",), "training": ("sample weights",)}, "data.weights: unknown key"),
    Refusal({"source": ("bundled", *_TABLES), "test set": ("given",)}, "unknown key"),
    Refusal(
        {"source": ("windows",), "resampling": ("kfold", "repeats", "stratified")},
        "would separate groups",
    ),
    Refusal({"problem": _NUMBERS, "resampling": ("stratified",)}, "strata need classes"),
    Refusal({"problem": _NUMBERS, "training": ("class weights",)}, "class weights need classes"),
    Refusal(
        {"problem": ("multiclass", *_NUMBERS), "threshold": ("another",)},
        "only `type: binary` has a positive class",
    ),
    Refusal(
        {"distribution": _SEVERAL, "stages": ("refine", "confirm", "all", "race")},
        "a search in stages of trials on several devices",
    ),
    Refusal(
        {"distribution": _SEVERAL, "strategy": ("hyperband", "asynchronous", *_ASKED)},
        "a search in stages of trials on several devices",
    ),
    Refusal(
        {"distribution": ("mirrored",), "training": ("accumulation",)},
        "Keras can't accumulate gradients under MirroredStrategy",
    ),
    Refusal(
        {"model": ("saved",), "training": ("bfloat16",)},
        "all keep the precision that they were saved with",
    ),
    Refusal({"model": ("loop",), "distribution": _SEVERAL}, "allowed: a world size of 1"),
    Refusal(
        {"model": ("loop",), "stopping": ("best epoch", "last epoch", "own measure", "inner part")},
        "trains by itself",
    ),
    Refusal({"model": ("loop",), "training": ("class weights",)}, "trains by itself"),
    Refusal(
        {"stages": ("race",), "strategy": ("hyperband", "asynchronous", *_ASKED)},
        "which decides by itself what goes on",
    ),
    Refusal({"stages": ("race",), "beside": ("objectives",)}, "a race with several objectives"),
    Refusal(
        {"beside": ("outer folds",), "strategy": _ASKED},
        "whose one job searches on the splits of the study",
    ),
    Refusal(
        {"beside": ("outer folds",), "strategy": ("asynchronous",)}, "whose jobs share one search"
    ),
    Refusal(
        {"beside": ("outer folds",), "distribution": _SEVERAL},
        "outer folds of trials on several devices",
    ),
    Refusal(
        {"beside": ("budget",), "strategy": ("asynchronous",)},
        "whose jobs decide what they train while they run",
    ),
    Refusal(
        {"stages": ("race",), "resampling": ("holdout", "kfold", "stratified")},
        "of which the first two say how much scores vary",
    ),
    Refusal(
        {"stages": ("race",), "resampling": ("group", "forward")},
        "are no draws from one whole",
    ),
    Refusal(
        {"strategy": ("tuner-hyperband",), "stages": ("none",)},
        "most trials are not trained in full",
    ),
    Refusal(
        {
            "strategy": ("grid", "random", "hyperband", "asynchronous"),
            "jobs": ("tuner's workers",),
        },
        "unknown key",
    ),
)


def pairs_of(combination: Combination) -> set[Pair]:
    """Return all pairs of choices in a combination."""
    return set(combinations(combination.items(), 2))


def all_pairs() -> set[Pair]:
    """Return all pairs of choices of different factors."""
    return {
        ((one, a), (other, b))
        for one, other in combinations(FACTORS, 2)
        for a, b in product(FACTORS[one], FACTORS[other])
    }


def is_refused(combination: Combination) -> bool:
    """Tell whether a study with this combination, which may lack factors, must be refused."""
    return any(refusal.concerns(combination) for refusal in REFUSALS)


def is_possible(pair: Pair) -> bool:
    """Tell whether two choices can meet, whatever the choice of any third factor."""
    both = dict(pair)
    return not is_refused(both) and all(
        any(not is_refused({**both, factor: choice}) for choice in choices)
        for factor, choices in FACTORS.items()
        if factor not in both
    )


@cache
def covering_set() -> Mapping[str, Combination]:
    """Return combinations by name in which each pair of choices meets that is not refused."""
    rows = make(
        {factor: list(choices) for factor, choices in FACTORS.items()},
        constraints=[
            {
                "operator": "fn",
                "requires": list(refusal.choices),
                "evaluate": lambda row, refusal=refusal: not refusal.concerns(row),
            }
            for refusal in REFUSALS
        ],
    )
    named = {}
    for number, row in enumerate(rows, 1):
        combination = {factor: row[factor] for factor in FACTORS}
        words = (combination[factor] for factor in ("source", "model", "strategy"))
        named[f"c{number:02}-{'-'.join(words)}"] = combination
    return MappingProxyType(named)


def splits_of(combination: Combination) -> int:
    """Return on how many splits configurations are compared in the end."""
    plan = _RESAMPLING[combination["resampling"]]
    if combination["stages"] in ("confirm", "all"):
        plan = {**plan, **_CONFIRMING.get(combination["resampling"], {})}
    return int(plan.get("folds", 1) * plan.get("repeats", 1))


# -- studies --------------------------------------------------------------------------------------

EPOCHS = 2


def study(name: str, combination: Combination) -> dict[str, Any]:
    """Return a study with everything that a combination names.

    Parameters
    ----------
    name : str
    combination : mapping of str to str
        A choice for each factor. Its data must lie in the working directory:
        :func:`combineddata.write`.
    """
    return {
        "study": name,
        "data": combineddata.section(name, combination),
        "problem": _problem(name, combination),
        "model": _model(name, combination),
        "training": _training(combination),
        "search": _search(combination),
        "resampling": _resampling(combination),
        "execution": {"trials_per_job": "split"} if combination["jobs"] == "one trial each" else {},
        "final": {"ensemble": combination["final"] == "ensemble"},
        "report": {"notebook": combination["report"] == "notebook"},
    }


_RESAMPLING: Mapping[str, Mapping[str, Any]] = {
    "holdout": {"method": "holdout", "validation_fraction": 0.3},
    "kfold": {"method": "kfold", "folds": 2},
    "repeats": {"method": "kfold", "folds": 2, "repeats": 2},
    "stratified": {"method": "stratified", "folds": 2},
    "group": {"method": "group", "folds": 2},
    "forward": {"method": "forward", "folds": 2},
}


def _resampling(combination: Combination) -> dict[str, Any]:
    outer = {"outer": {"folds": 2}} if combination["beside"] == "outer folds" else {}
    return {**_RESAMPLING[combination["resampling"]], **outer}


# Folds instead of one split; and by time, where nothing is drawn, other ones than in the search.
_CONFIRMING: Mapping[str, Mapping[str, Any]] = {"holdout": {"folds": 2}, "forward": {"folds": 3}}


def _problem(name: str, combination: Combination) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if combination["stopping"] == "own measure":
        reference = f"{combineddata.code_file(name)}:{combineddata.MEASURE}"
        own = {"measure": combineddata.MEASURE, "measures": [reference]}
    if combination["threshold"] == "another":
        own["threshold"] = 0.4
    return {"type": combination["problem"], **own}


def _model(name: str, combination: Combination) -> dict[str, Any]:
    code = combineddata.code_file(name)
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "mlp": lambda: {"mlp": {"units": 4}},
        "cnn": lambda: {"cnn": {"filters": 2, "dense_units": 4}},
        "function": lambda: {"python": {"build": f"{code}:build"}},
        "subclass": lambda: {"python": {"build": f"{code}:build_subclass"}},
        "saved": lambda: {"saved": {"path": combineddata.saved_model(combination), "head": "new"}},
        "loop": lambda: {"custom": {"train": f"{code}:train"}},
    }
    return kinds[combination["model"]]()


_WIDTH = {
    "mlp": "mlp.units",
    "cnn": "cnn.filters",
    "function": "python.units",
    "subclass": "python.units",
    "saved": "training.batch_size",
    "loop": "custom.units",
}


def _training(combination: Combination) -> dict[str, Any]:
    training: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 8, "learning_rate": 0.01}
    training |= {
        "bfloat16": {"mixed_precision": "bfloat16"},
        "accumulation": {"gradient_accumulation_steps": 2},
        "augmentation": {"augmentation": {"flip": "horizontal", "rotation": 0.1}},
        "class weights": {"class_weights": "balanced"},
    }.get(combination["training"], {})
    if combination["distribution"] != "none":
        training["distribution"] = {"backend": combination["distribution"], "world_size": 2}
    if combination["stopping"] != "off":
        training["early_stopping"] = {
            "monitor": combineddata.MEASURE
            if combination["stopping"] == "own measure"
            else "val_metric",
            "patience": 1,
            "restore_best": combination["stopping"] != "last epoch",
        }
    if combination["stopping"] == "inner part":
        training["early_stopping"]["on"] = "inner"
    if combination["steps"] == "one by one":
        training["steps_per_execution"] = 1
    return training


_STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "grid": {"type": "grid"},
    "random": {"type": "random", "n": 2},
    "hyperband": {"type": "hyperband", "factor": 2},
    "asynchronous": {"type": "hyperband", "factor": 2, "asynchronous": True},
    "optuna": {"type": "optuna", "n": 3, "startup": 2},
    "tuner-random": {"type": "keras_tuner", "tuner": "random", "max_trials": 2},
    "tuner-bayesian": {
        "type": "keras_tuner",
        "tuner": "bayesian",
        "max_trials": 3,
        "num_initial_points": 2,
    },
    "tuner-hyperband": {"type": "keras_tuner", "tuner": "hyperband", "factor": 2},
}


def _search(combination: Combination) -> dict[str, Any]:
    strategy, stages = dict(_STRATEGIES[combination["strategy"]]), combination["stages"]
    space: dict[str, Any] = {_WIDTH[combination["model"]]: [4, 8]}
    if combination["strategy"] != "grid":
        space["training.learning_rate"] = {"float": {"min": 0.001, "max": 0.1, "log": True}}
    if combination["jobs"] == "tuner's workers":
        strategy["workers"] = 2
    search: dict[str, Any] = {"strategy": strategy, "space": space}
    if combination["beside"] == "budget":
        search["budget"] = {"core_hours": 50}
    if combination["beside"] == "objectives":
        own = combination["stopping"] == "own measure"
        measures = PROBLEM_KINDS[combination["problem"]].measures
        search["objectives"] = [combineddata.MEASURE if own else measures[0], "parameters"]
    # Those that choose the epochs by themselves are cheap without being told.
    own_epochs = ("hyperband", "asynchronous", "tuner-hyperband")
    cheap = {} if combination["strategy"] in own_epochs else {"epochs": 1}
    if stages in ("refine", "all"):
        search["explore"] = {"splits": 1, **cheap}
        search["refine"] = {"top": 1, "max_configurations": 2}
    if stages == "all":
        search["refine"] |= {"splits": 1, "training_fraction": 0.5}
    if stages == "race":
        search["race"] = {}
    if stages in ("confirm", "all"):
        search["confirm"] = {"top": 2, **_CONFIRMING.get(combination["resampling"], {})}
    return search


def of_day(day: str, count: int) -> list[str]:
    """Return the names of the studies that are run on a day, others on each day."""
    return random.Random(day).sample(list(covering_set()), count)
