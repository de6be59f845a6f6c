"""The key `resampling.outer`: outer folds, in each of which the whole search runs once more."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from gridfold.study.sections.base import MOST_FOLDS, FoldCount, NonNegativeInt, Section

# Of all repeats together; each is a whole search.
MOST_OUTER_FOLDS = 1000

FOLD_PATTERN = r"o[0-9]+f[0-9]+"
"""Names of outer folds."""


class Outer(Section):
    """Runs the whole search in each of some outer folds, and scores each winner once.

    Nested cross-validation (Varma & Simon, 2006; Cawley & Talbot, 2010): an estimate of search and
    training together, by samples that the search of their fold never saw.
    """

    folds: FoldCount = Field(5, description="Outer folds of each repeat, drawn as `method` says.")
    repeats: Annotated[int, Field(gt=0, le=MOST_FOLDS)] = Field(
        1, description="Repetitions with new outer folds; not with methods by time."
    )
    seed: NonNegativeInt = Field(
        0, description="Seed of the outer folds, with that of `resampling`; not by time."
    )

    @model_validator(mode="after")
    def _searches_can_be_run(self) -> Self:
        if self.repeats * self.folds > MOST_OUTER_FOLDS:
            raise ValueError(
                f"{self.repeats} repeats of {self.folds} outer folds are "
                f"{self.repeats * self.folds:,} whole searches; allowed: at most "
                f"{MOST_OUTER_FOLDS:,}"
            )
        return self


def outer_folds(outer: Outer | None) -> list[str]:
    """Return the names of all outer folds, ``o<repeat>f<fold>``, both from 0.

    So is the split called on which the winner of a fold is trained and scored.
    """
    if outer is None:
        return []
    return [f"o{repeat}f{fold}" for repeat in range(outer.repeats) for fold in range(outer.folds)]


def inner_split(fold: str, split: str) -> str:
    """Return the name of a split of the search in an outer fold, as ``o0f1.r0f0``."""
    return f"{fold}.{split}"


def outer_fold_of(split: str) -> str | None:
    """Return the outer fold that a split belongs to; None for those of the study's own search."""
    found = re.fullmatch(rf"({FOLD_PATTERN})(?:\..+)?", split)
    return found[1] if found else None
