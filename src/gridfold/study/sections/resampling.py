"""The `resampling` section: how the non-test samples are split into training and validation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import (
    MOST_FOLDS,
    FoldCount,
    NonNegativeInt,
    Section,
)
from gridfold.study.sections.outer import Outer

# Of all repeats together.
MOST_SPLITS = 100_000
# Methods by time, which draw nothing.
ORDERED_METHODS = ("blocked", "forward")
# Methods of k parts that have whole groups.
GROUPED_METHODS = ("group", "stratified_group")
# Methods that know no groups, and would separate their samples.
UNGROUPED_METHODS = ("kfold", "stratified")


class _Plan(Section):
    repeats: Annotated[int, Field(gt=0, le=MOST_FOLDS)] = Field(
        1, description="Repetitions with new random splits."
    )
    seed: NonNegativeInt = Field(0, description="Seed of the splits.")
    outer: Outer | None = Field(None, description=Outer.__doc__)

    @model_validator(mode="after")
    def _splits_can_be_held(self) -> Self:
        folds: int = getattr(self, "folds", 1)
        if self.repeats * folds > MOST_SPLITS:
            raise ValueError(
                f"{self.repeats} repeats of {folds} folds are {self.repeats * folds:,} splits; "
                f"allowed: at most {MOST_SPLITS:,}"
            )
        return self


class Holdout(_Plan):
    """One training and one validation part in each repeat."""

    method: Literal["holdout"]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Share of the samples in the validation part."
    )

    @property
    def folds(self) -> int:
        """One fold a repeat."""
        return 1


class KFold(_Plan):
    """k parts, each the validation part once in each repeat."""

    method: Literal["kfold"]
    folds: FoldCount = Field(5, description="Number of parts.")


class Stratified(_Plan):
    """k parts with the class proportions of the whole (classification only)."""

    method: Literal["stratified"]
    folds: FoldCount = Field(5, description="Number of parts.")


class Group(_Plan):
    """k parts of about equal size that never separate a group's samples (needs `data.groups`)."""

    method: Literal["group"]
    folds: FoldCount = Field(5, description="Number of parts.")


class StratifiedGroup(_Plan):
    """The same, as near to the class proportions of the whole as groups allow (classes only)."""

    method: Literal["stratified_group"]
    folds: FoldCount = Field(5, description="Number of parts.")


class _Ordered(Section):
    folds: FoldCount = Field(5, description="Number of parts.")
    gap: NonNegativeInt = Field(
        0,
        description="Steps in time that are left out between training and validation, and before "
        "the test set, besides what windows cover.",
    )
    outer: Outer | None = Field(None, description=Outer.__doc__)

    @property
    def repeats(self) -> int:
        """Nothing is drawn, so nothing is repeated."""
        return 1

    @property
    def seed(self) -> int:
        """Nothing is drawn."""
        return 0


class Blocked(_Ordered):
    """k blocks in time, each the validation part once; the test set is the last stretch."""

    method: Literal["blocked"]


class Forward(_Ordered):
    """k blocks in time, each validating what came before it; the test set is the last stretch."""

    method: Literal["forward"]


Plan = Holdout | KFold | Stratified | Group | StratifiedGroup | Blocked | Forward
Resampling = Annotated[Plan, Field(discriminator="method")]


def split_names(plan: Plan) -> list[str]:
    """Return the names of all splits, ``r<repeat>f<fold>``, both from 0."""
    return [f"r{repeat}f{fold}" for repeat in range(plan.repeats) for fold in range(plan.folds)]


def reduced(split: str, share: float) -> str:
    """Return the name of the split with only that share of the training part."""
    return f"{split}@{share:g}"


def share_of(split: str) -> float:
    """Return the share of the training part that the name of a split says."""
    return float(split.partition("@")[2] or 1)
