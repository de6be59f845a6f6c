"""The keys `explore`, `race`, `refine` and `confirm` of `search`: stages of a search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gridfold.study.sections.base import (
    MOST_FOLDS,
    EpochCount,
    FoldCount,
    NonNegativeInt,
    PositiveInt,
    Section,
    TrialCount,
)

Share = Annotated[float, Field(gt=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]


class _Effort(Section):
    """How much each configuration of a stage is trained."""

    epochs: EpochCount | None = Field(
        None, description="Epochs of each trial, at most `training.epochs`, which is the default."
    )
    splits: PositiveInt | None = Field(
        None, description="How many of the splits of `resampling`, from the first; default all."
    )
    training_fraction: Share = Field(
        1.0, description="Share of each split's training part; the validation part stays whole."
    )

    @property
    def is_full(self) -> bool:
        """Whether each configuration is trained in full: all epochs, splits and samples."""
        return self.epochs is None and self.splits is None and self.training_fraction == 1


class Explore(_Effort):
    """How the configurations of the strategy are trained: cheaper than a full training."""


class Race(Section):
    """Trains split by split, after each only what can still be the best of all."""

    risk: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.001,
        description="Chance, for each comparison with the leader, that a configuration is left "
        "behind which would have overtaken it on the splits that were left.",
    )
    any_splits: bool = Field(
        False,
        description="Whether to race on splits by time or by groups, too. These are no draws from "
        "one whole: what leads on one may fall behind on the next for a reason.",
    )


class Refine(_Effort):
    """Trains the neighbours of the best configurations."""

    top: TrialCount = Field(3, description="Configurations whose neighbours are tried.")
    rounds: Annotated[int, Field(gt=0, le=1000)] = Field(
        1, description="Rounds; each goes on from the best so far."
    )
    step: OpenShare = Field(
        0.5,
        description="Distance of neighbours in the first round: a part of the distance between "
        "the values of the axis, or of a quarter of an interval.",
    )
    shrink: OpenShare = Field(0.5, description="Factor on the distance from round to round.")
    swap: bool = Field(True, description="Whether values without an order are exchanged, too.")
    max_configurations: TrialCount = Field(
        20, description="Most configurations of a round, the best ones themselves included."
    )


class Confirm(Section):
    """Trains the finalists in full on splits that the search has not seen."""

    top: TrialCount = Field(5, description="Number of finalists.")
    folds: FoldCount | None = Field(None, description="Folds; default those of `resampling`.")
    repeats: Annotated[int, Field(gt=0, le=MOST_FOLDS)] | None = Field(
        None, description="Repetitions; default those of `resampling`."
    )
    seed: NonNegativeInt = Field(0, description="Seed of the splits, with that of `resampling`.")
    samples: Literal["all", "held_back"] = Field(
        "all",
        description="`all`: new splits of all samples but the test set, on which the finalists "
        "have had their luck already; `held_back`: the search never sees a part of the samples, "
        "and the finalists are scored on these alone, after training on all others.",
    )
    fraction: OpenShare = Field(
        0.3, description="Share of the samples, test set left out, for `samples: held_back`."
    )
