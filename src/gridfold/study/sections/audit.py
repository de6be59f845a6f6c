"""The `audit` section: what becomes of findings about data and splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gridfold.codes import AUDIT_CODES
from gridfold.study.sections.base import Section


def _known(accepted: dict[str, str]) -> dict[str, str]:
    for code, reason in accepted.items():
        if code not in AUDIT_CODES:
            raise ValueError(
                f"`{code}` is no code of the audit; allowed: {', '.join(AUDIT_CODES)} "
                "(docs/audit.md)"
            )
        if not reason.strip():
            raise ValueError(f"`{code}` without a reason; allowed: a sentence for the report")
    return accepted


_Accepted = Annotated[
    dict[str, str],
    AfterValidator(_known),
    Field(json_schema_extra={"propertyNames": {"enum": [*AUDIT_CODES]}}),
]


class Audit(Section):
    """What becomes of findings about data and splits. Nothing here trains a trial again."""

    accept: _Accepted = Field(
        default_factory=dict,
        description="Findings that are as they should be: the code of each, as `GF101`, with the "
        "reason, which the report prints.",
    )
    fail_on: Literal["error", "warning"] | None = Field(
        None,
        description="Train nothing while there are findings of this severity or worse that are "
        "not accepted; left out, they are only told.",
    )
