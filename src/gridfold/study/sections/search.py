"""The `search` section: the space, and how configurations are taken from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    NonNegativeInt,
    PlainValue,
    PositiveInt,
    Section,
)
from gridfold.study.sections.budget import Budget
from gridfold.study.sections.objectives import Limit, Select
from gridfold.study.sections.optuna_sampler import OptunaStrategy
from gridfold.study.sections.stages import Confirm, Explore, Race, Refine, Stop
from gridfold.study.sections.tuner import KerasTunerStrategy

Number = int | float
Condition = dict[str, PlainValue]
Values = Annotated[list[PlainValue], Field(min_length=1)]


class Range(Section):
    """`start`, `start + step`, ... up to and including `stop`."""

    start: Number = Field(description="First value.")
    stop: Number = Field(description="Last value, when a step ends on it.")
    step: Number = Field(1, description="Distance of neighbouring values, above 0.")

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.step <= 0 or self.stop < self.start:
            raise ValueError(
                f"start {self.start}, stop {self.stop}, step {self.step} gives no values; "
                "allowed: stop >= start and step > 0"
            )
        return self


class _Spaced(Section):
    start: float = Field(description="First value.")
    stop: float = Field(description="Last value.")
    num: PositiveInt = Field(description="Number of values, both ends included.")


class Linspace(_Spaced):
    """`num` values with equal differences."""


class Logspace(_Spaced):
    """`num` values with equal ratios; `start` and `stop` are values, not exponents."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.start <= 0 or self.stop <= 0:
            raise ValueError(f"start {self.start}, stop {self.stop}; allowed: both above 0")
        return self


class _Interval(Section):
    min: Number = Field(description="Smallest value.")
    max: Number = Field(description="Largest value.")
    log: bool = Field(False, description="Uniform in the logarithm.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max <= self.min:
            raise ValueError(f"min {self.min}, max {self.max}; allowed: max above min")
        if self.log and self.min <= 0:
            raise ValueError(f"min {self.min} with `log: true`; allowed: min above 0")
        return self


class IntInterval(_Interval):
    """Whole numbers from `min` to `max`, both included."""

    min: int = Field(description="Smallest value.")
    max: int = Field(description="Largest value.")
    step: PositiveInt = Field(1, description="Distance of neighbouring values.")


class FloatInterval(_Interval):
    """Real numbers from `min` to `max`; not for `grid`."""

    min: float = Field(description="Smallest value.")
    max: float = Field(description="Upper end, itself not drawn.")


Role = Literal["scientific", "nuisance", "fixed"]
DISCRETE_FORMS = ("grid", "choice", "range", "linspace", "logspace", "int")
FORMS = (*DISCRETE_FORMS, "float")


class Axis(Section):
    """One hyperparameter of the space: exactly one form, a role and perhaps a condition."""

    grid: Values | None = Field(None, description="The values, in order.")
    choice: Values | None = Field(None, description="The values, without an order.")
    range_: Range | None = Field(None, alias="range", description=Range.__doc__)
    linspace: Linspace | None = Field(None, description=Linspace.__doc__)
    logspace: Logspace | None = Field(None, description=Logspace.__doc__)
    int_: IntInterval | None = Field(None, alias="int", description=IntInterval.__doc__)
    float_: FloatInterval | None = Field(None, alias="float", description=FloatInterval.__doc__)
    role: Role = Field(
        "scientific",
        description="`scientific`: what the study asks about; `nuisance`: tuned to compare "
        "scientific values fairly; `fixed`: one value, listed for the record.",
    )
    when: Condition | None = Field(
        None, description="Only where these axes (or `model`) have these values."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [form for form in FORMS if self.form_value(form) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"forms given: {found}; allowed: exactly one of {', '.join(FORMS)}")
        values = self.grid or self.choice
        if self.role == "fixed" and values and len(values) != 1:
            raise ValueError(
                f"`role: fixed` with {len(values)} values; allowed: one value, or another role"
            )
        if self.role == "fixed" and self.float_ is not None:
            raise ValueError("`role: fixed` with an interval; allowed: one value, or another role")
        return self

    def form_value(self, form: str) -> Any:
        """Return what stands under `form`, or None."""
        return getattr(self, f"{form}_" if form in ("range", "int", "float") else form)

    @property
    def form(self) -> str:
        """The form that is given."""
        return next(form for form in FORMS if self.form_value(form) is not None)


class GridStrategy(Section):
    """Every combination of the axes' values."""

    type: Literal["grid"] = "grid"


class RandomStrategy(Section):
    """`n` different points, drawn independently on each axis (Bergstra & Bengio, 2012)."""

    type: Literal["random"]
    n: PositiveInt = Field(description="Number of configurations.")
    seed: NonNegativeInt = Field(
        0, description="Seed of the draw; a larger n keeps the first ones."
    )


class SobolStrategy(Section):
    """`n` different points of a scrambled Sobol sequence, which fill the space more evenly.

    Owen (1998); `scipy.stats.qmc.Sobol`. Most even where `n` is a power of two.
    """

    type: Literal["sobol"]
    n: PositiveInt = Field(description="Number of configurations.")
    seed: NonNegativeInt = Field(
        0, description="Seed of the scrambling; a larger n keeps the first ones."
    )


class LatinHypercubeStrategy(Section):
    """`n` different points, one in each of `n` equal parts of each axis.

    McKay, Beckman & Conover (1979); `scipy.stats.qmc.LatinHypercube`.
    """

    type: Literal["latin_hypercube"]
    n: PositiveInt = Field(description="Number of configurations.")
    seed: NonNegativeInt = Field(0, description="Seed of the draw; another n, other points.")


class HyperbandStrategy(Section):
    """Many configurations for few epochs, of which the better ones go on (Li et al., 2018).

    The longest training is `training.epochs`.
    """

    type: Literal["hyperband"]
    factor: Annotated[int, Field(ge=2)] = Field(
        3, description="One of so many configurations goes on, for so many times the epochs."
    )
    brackets: Annotated[int, Field(gt=0, le=1000)] | None = Field(
        None,
        description="Brackets, the one that explores most first; 1 is successive halving; "
        "default all.",
    )
    sampler: Literal["random", "sobol"] = Field(
        "random", description="How configurations are drawn."
    )
    seed: NonNegativeInt = Field(0, description="Seed of the draw.")
    asynchronous: bool = Field(
        False,
        description="Whether a configuration goes on as soon as it is among the best `1/factor` of "
        "those that its rung has finished so far, so that no rung waits for its slowest trial "
        "(Li et al., 2020).",
    )
    jobs: Annotated[int, Field(gt=0, le=1000)] | None = Field(
        None,
        description="With `asynchronous`: jobs that train side by side; default as many as "
        "`execution.trials_per_job` makes of the schedule.",
    )


Strategy = Annotated[
    GridStrategy
    | RandomStrategy
    | SobolStrategy
    | LatinHypercubeStrategy
    | HyperbandStrategy
    | KerasTunerStrategy
    | OptunaStrategy,
    Field(discriminator="type"),
]


class Search(Section):
    """The space, and how configurations are taken from it."""

    strategy: Strategy = Field(
        default_factory=GridStrategy,
        description="How configurations are taken; `grid` may stand alone.",
    )
    space: dict[str, Axis] = Field(
        default_factory=dict,
        max_length=100,
        description="Axes by the path of the value they set: `mlp.units`, "
        "`training.learning_rate`, `python.<name>`; a list is short for `grid`.",
    )
    zip: list[Annotated[list[str], Field(min_length=2)]] = Field(
        default_factory=list, description="Groups of axes that move together, value by value."
    )
    exclude: list[Annotated[Condition, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Combinations to leave out; a list of values means any of them.",
    )
    starts: list[Annotated[Condition, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Points to try first, each with a value of every axis: what another study has "
        "found, or what is known. They count among the `n`. Not with grids.",
    )
    max_configurations: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        10_000, description="More configurations than this are refused."
    )
    explore: Explore | None = Field(None, description=Explore.__doc__)
    stop: Stop | None = Field(None, description=Stop.__doc__)
    race: Race | None = Field(None, description=Race.__doc__)
    refine: Refine | None = Field(None, description=Refine.__doc__)
    confirm: Confirm | None = Field(None, description=Confirm.__doc__)
    budget: Budget | None = Field(None, description=Budget.__doc__)
    objectives: Annotated[list[str], Field(min_length=1, max_length=6)] | None = Field(
        None,
        description="What is wanted of a configuration: measures of the problem, and `parameters`, "
        "`seconds_per_sample` and `fit_seconds`, which cost. The first one is a measure and ranks. "
        "If left out, the study's measure alone.",
    )
    constraints: dict[str, Limit] = Field(
        default_factory=dict,
        max_length=10,
        description="What a configuration must satisfy to be selected, by the same names, each "
        "`at_most`, `at_least` or both: `parameters: {at_most: 100000}`.",
    )
    select: Select | None = Field(None, description=Select.__doc__)

    @property
    def is_staged(self) -> bool:
        """Whether the search goes on from what its first trials have found."""
        stages = (self.explore, self.stop, self.race, self.refine, self.confirm)
        is_own = isinstance(self.strategy, HyperbandStrategy | KerasTunerStrategy | OptunaStrategy)
        return is_own or any(stage is not None for stage in stages)

    @property
    def weighs(self) -> bool:
        """Whether more than the best mean of one measure decides."""
        return bool(self.objectives or self.constraints or self.select)

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("strategy"), str):
            data["strategy"] = {"type": data["strategy"]}
        if data.get("stop") == "auto":
            data["stop"] = {}
        if isinstance(data.get("select"), str):
            data["select"] = {"rule": data["select"]}
        if isinstance(data.get("space"), dict):
            data["space"] = {
                key: {"grid": value} if isinstance(value, list) else value
                for key, value in data["space"].items()
            }
        return data
