"""The `keras_tuner` strategy of the `search` section: the tuners and their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    MOST_EPOCHS,
    MOST_FOLDS,
    MOST_PROCESSES,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    TrialCount,
)

TunerName = Literal["hyperband", "random", "bayesian", "grid"]

_COMMON = (
    "type",
    "tuner",
    "objective",
    "executions_per_trial",
    "seed",
    "tune_new_entries",
    "allow_new_entries",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
    "overwrite",
    "workers",
)
_OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hyperband": ("max_epochs", "factor", "hyperband_iterations"),
        "random": ("max_trials",),
        "bayesian": ("max_trials", "num_initial_points", "alpha", "beta"),
        "grid": ("max_trials",),
    }
)
# Keras Tuner's own; of trials, that of random search and Bayesian optimisation.
_DEFAULT_TRIALS = 10
_DEFAULTS: Mapping[str, float] = MappingProxyType(
    {"factor": 3, "hyperband_iterations": 1, "alpha": 1e-4, "beta": 2.6}
)


class KerasTunerStrategy(Section):
    """A tuner of Keras Tuner, with its own arguments, over the space of this study."""

    type: Literal["keras_tuner"]
    tuner: TunerName = Field(
        description="`hyperband` (Li et al., 2018), `random`, `bayesian` (Gaussian process with "
        "upper confidence bound) or `grid`."
    )
    objective: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="A measure of the problem, or `val_loss` or `val_<metric>` of the best epoch; "
        "the mean over splits and executions counts. For a list, the sum of the measures that "
        "should be small, minus those that should be large. If left out, the study's measure.",
    )
    max_epochs: Annotated[int, Field(ge=2, le=MOST_EPOCHS)] | None = Field(
        None, description="`hyperband`: most epochs of a trial; `training.epochs` when left out."
    )
    factor: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="`hyperband`: by how much each round has fewer trials with more epochs; 3 when "
        "left out.",
    )
    hyperband_iterations: TrialCount | None = Field(
        None, description="`hyperband`: how many times the whole algorithm runs; once if left out."
    )
    max_trials: TrialCount | None = Field(
        None,
        description="Trials at most, except with `hyperband`; when left out 10, with `grid` all.",
    )
    num_initial_points: TrialCount | None = Field(
        None, description="`bayesian`: random trials first; when left out 3 for each axis."
    )
    alpha: PositiveFloat | None = Field(
        None,
        description="`bayesian`: noise of the objective, added to the kernel's diagonal; 0.0001 "
        "when left out.",
    )
    beta: PositiveFloat | None = Field(
        None,
        description="`bayesian`: weight of exploration against exploitation; 2.6 when left out.",
    )
    executions_per_trial: Annotated[int, Field(gt=0, le=MOST_FOLDS)] = Field(
        1, description="Trainings of each trial on each split, with `training.seed` and the next."
    )
    seed: PositiveInt = Field(1, description="Seed of the tuner; Keras Tuner takes 0 for no seed.")
    tune_new_entries: bool = Field(
        False,
        description="Also search the hyperparameters that the model function asks `hp` for and "
        "that are not in the space, in the ranges that the function gives; if false, they keep "
        "their defaults.",
    )
    allow_new_entries: bool = Field(
        True,
        description="Whether the model function may ask for hyperparameters that are not in the "
        "space.",
    )
    max_retries_per_trial: NonNegativeInt = Field(
        0, description="How many times a crashed trial is repeated."
    )
    max_consecutive_failed_trials: PositiveInt = Field(
        3, description="The search ends after so many failed trials in a row."
    )
    overwrite: bool = Field(
        False, description="Begin the search anew each time its job runs; trainings are kept."
    )
    workers: Annotated[int, Field(ge=0, le=MOST_PROCESSES)] = Field(
        0,
        description="Worker processes that ask one chief over gRPC, in one allocation, each with "
        "its own share of cores and GPUs; 0 for one job with a pool of trials.",
    )

    @model_validator(mode="after")
    def _arguments_of_this_tuner(self) -> Self:
        allowed = (*_COMMON, *_OWN[self.tuner])
        foreign = [
            name
            for name in type(self).model_fields
            if name not in allowed and getattr(self, name) is not None
        ]
        if foreign:
            raise ValueError(
                f"{', '.join(f'`{name}`' for name in foreign)} with `tuner: {self.tuner}`; "
                f"allowed: {', '.join(allowed[2:])}"
            )
        if self.tune_new_entries and not self.allow_new_entries:
            raise ValueError(
                "`tune_new_entries: true` with `allow_new_entries: false`; allowed: one of the two"
            )
        return self

    @property
    def objectives(self) -> list[str]:
        """What is looked at; empty for the study's measure."""
        if self.objective is None:
            return []
        return self.objective if isinstance(self.objective, list) else [self.objective]

    def argument(self, name: str) -> Any:
        """Return an argument of this tuner, or Keras Tuner's default of it."""
        value = getattr(self, name)
        return _DEFAULTS.get(name) if value is None else value

    @property
    def trials(self) -> int | None:
        """Most trials of the tuner; None when only the space or the algorithm ends it."""
        if self.tuner in ("random", "bayesian"):
            return self.max_trials or _DEFAULT_TRIALS
        return self.max_trials
