"""The `report` section: what is drawn. Nothing here retrains anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridfold.study.sections.base import PositiveInt, Section


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
