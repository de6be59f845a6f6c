"""The key `search.budget`: what a search may take."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from gridfold.study.sections.base import PositiveFloat, Section

_KINDS = ("core_hours", "gpu_hours", "until")
_FORM = "%Y-%m-%d %H:%M"


class Budget(Section):
    """What the search may take: core-hours, GPU-hours, or the time until a date; one of the three.

    What its training jobs hold counts, used or not, also in attempts that were killed. The final
    model comes on top.
    """

    core_hours: PositiveFloat | None = Field(
        None, description="CPU cores of the training jobs times hours."
    )
    gpu_hours: PositiveFloat | None = Field(
        None, description="GPUs of the training jobs times hours."
    )
    until: str | None = Field(
        None, description='Local time at which training ends: `"2026-12-04 08:00"`.'
    )

    @field_validator("until", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        # With seconds, YAML makes a time of it.
        return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value

    @field_validator("until")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            local_time(value)
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"{found} given; allowed: exactly one of {', '.join(_KINDS)}")
        return self


def local_time(text: str) -> float:
    """Return a local time, such as ``2026-12-04 08:00``, as Unix time.

    Raises
    ------
    ValueError
        When it is none.
    """
    for form in (_FORM, f"{_FORM}:%S"):
        try:
            return datetime.strptime(text, form).timestamp()
        except ValueError:
            continue
    raise ValueError(f"{text!r}; allowed: a local time such as 2026-12-04 08:00")
