"""The `optuna` strategy of the `search` section: a sampler of Optuna."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    MOST_PROCESSES,
    NonNegativeInt,
    PositiveInt,
    Section,
    TrialCount,
)
from gridfold.study.sections.tuner import KerasTunerStrategy

# Optuna's own; of fewer trials, NSGA-II would never get beyond its first generation.
_POPULATION, _GENERATIONS, _LEAST_POPULATION = 50, 4, 4
_STARTUP = 10
SamplerName = Literal["tpe", "nsga2", "nsga3", "cmaes", "qmc", "random"]


class OptunaStrategy(Section):
    """A sampler of Optuna chooses the configurations, by the objectives of this study."""

    type: Literal["optuna"]
    sampler: SamplerName = Field(
        "tpe",
        description="`tpe` (tree-structured Parzen estimator; Bergstra et al., 2011), `nsga2` "
        "(Deb et al., 2002), `nsga3`, `cmaes` (CMA-ES, Hansen & Ostermeier, 2001), `qmc` (Sobol "
        "points) or `random`.",
    )
    n: TrialCount = Field(description="Number of configurations.")
    seed: NonNegativeInt = Field(0, description="Seed of the sampler.")
    population: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="`nsga2`, `nsga3`: configurations of a generation, the first of which is drawn "
        "at random; when left out 50, or a quarter of `n` where that is less.",
    )
    startup: TrialCount | None = Field(
        None,
        description="`tpe`: configurations that are drawn at random first; 10 when left out.",
    )
    max_consecutive_failed_trials: PositiveInt = Field(
        3, description="The search ends after so many failed trials in a row."
    )
    workers: Annotated[int, Field(ge=0, le=MOST_PROCESSES)] = Field(
        0,
        description="Worker processes that ask one chief over gRPC, in one allocation, each with "
        "its own share of cores and GPUs; 0 for one job with a pool of trials.",
    )

    # What a tuner of Keras Tuner may be told, and how it is here.
    tuner: ClassVar[str] = "optuna"
    executions_per_trial: ClassVar[int] = 1
    tune_new_entries: ClassVar[bool] = False
    allow_new_entries: ClassVar[bool] = True
    overwrite: ClassVar[bool] = False

    @model_validator(mode="after")
    def _arguments_of_this_sampler(self) -> Self:
        for name, samplers in (("population", ("nsga2", "nsga3")), ("startup", ("tpe",))):
            if getattr(self, name) is not None and self.sampler not in samplers:
                allowed = " and ".join(samplers)
                raise ValueError(
                    f"`{name}` with `sampler: {self.sampler}`; allowed: with {allowed}"
                )
        return self

    @property
    def trials(self) -> int:
        """Most trials of the sampler."""
        return self.n

    @property
    def generation(self) -> int:
        """Configurations of a generation of NSGA-II and NSGA-III."""
        return self.population or min(_POPULATION, max(_LEAST_POPULATION, self.n // _GENERATIONS))

    @property
    def drawn_first(self) -> int:
        """Configurations that TPE draws at random first."""
        return _STARTUP if self.startup is None else self.startup

    @property
    def takes_constraints(self) -> bool:
        """Whether the sampler looks at the constraints of the study."""
        return self.sampler in ("tpe", "nsga2", "nsga3")


TunerStrategy = KerasTunerStrategy | OptunaStrategy
"""Strategies that choose what is explored while it is trained, in one job."""
