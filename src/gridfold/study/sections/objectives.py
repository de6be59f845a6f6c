"""The keys `search.constraints` and `search.select`: what may be selected, and by which rule."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import Section


class Limit(Section):
    """What the mean over the splits of a measure or a cost may be."""

    at_most: float | None = Field(None, description="Largest value that is allowed.")
    at_least: float | None = Field(None, description="Smallest value that is allowed.")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise ValueError("no limit; allowed: `at_most`, `at_least`, or both")
        if None not in (self.at_most, self.at_least) and self.at_least > self.at_most:  # type: ignore[operator]
            raise ValueError(
                f"at_least {self.at_least:g}, at_most {self.at_most:g}; "
                "allowed: at_least up to at_most"
            )
        return self


class Select(Section):
    """Which configuration is selected among those that satisfy the constraints."""

    rule: Literal["best_within_constraints", "smallest_within_one_standard_error", "knee"] = Field(
        "best_within_constraints",
        description="`best_within_constraints`: the best mean of the first objective; "
        "`smallest_within_one_standard_error`: of those whose first objective is at most one "
        "standard error of the difference worse than the best, the one with the least of the first "
        "cost among the objectives; `knee`: the point of the Pareto front that gives the most of "
        "all objectives together, each in parts of its range on the front.",
    )
