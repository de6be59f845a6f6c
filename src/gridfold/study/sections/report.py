"""The `report` section: what is drawn. Nothing here retrains anything."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from gridfold.study.sections.base import PositiveInt, Section

Baseline = Literal["constant", "last_value", "linear", "gradient_boosting", "nearest_neighbours"]


class Report(Section):
    """What the report shows."""

    title: str | None = Field(None, description="Heading; the name of the study when left out.")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="Level of all confidence intervals."
    )
    notebook: bool | str = Field(
        False,
        description="Run a notebook on the results and link it: `true` for the one that comes with "
        "gridfold, or your own, `file.ipynb`.",
    )
    curves: PositiveInt = Field(5, description="Configurations in the learning-curve figure.")
    margin: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="How much worse than the selected configuration a smaller one may be, in units "
        "of the measure that ranks. The answer names the smallest one whose difference is below it "
        "with the study's confidence; left out, the smallest within one standard error.",
    )
    baselines: bool | list[Baseline] = Field(
        True,
        description="Simple learners on the same splits, which the selected configuration is "
        "compared with: `true` for all that suit the data, a list of some, or `false`. They are "
        "never selected.",
    )

    chance_level: Literal["auto"] | bool = Field(
        "auto",
        description="Train the selected configuration once more on one split, with permuted "
        "labels: what is reached by chance. `auto` does so where that is at most a tenth of all "
        "trainings; never where some train on several processes or devices.",
    )

    @property
    def wanted_baselines(self) -> tuple[Baseline, ...]:
        """The baselines that are asked for, whether they suit the data or not."""
        if isinstance(self.baselines, bool):
            return get_args(Baseline) if self.baselines else ()
        return tuple(self.baselines)
