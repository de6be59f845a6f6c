"""The sentences of the report about why a search stopped."""

from __future__ import annotations

from collections.abc import Iterator

from gridfold.plan.stopping import StopDecision
from gridfold.wording import decimals, number


def stopping_sentences(decision: StopDecision | None) -> Iterator[str]:
    """Yield why a search stopped or not; nothing where it was not asked.

    Parameters
    ----------
    decision : StopDecision or None
        The one that stopped the search, or the last one.
    """
    if decision is None:
        return
    yield f"The search {decision.sentence}."
    if decision.noise is None or decision.rest_gain is None:
        return
    if not decision.stops:
        yield (
            "At no look was the rest improbable enough to improve the score, so all configurations "
            "were tried."
        )
        return
    rest_gain = number(decision.rest_gain, decimals([decision.noise], []))
    yield (
        f"All that were left out together are expected to gain {rest_gain}. The estimate takes "
        "them to be like those that were tried: it can’t know of a small part of the space, not "
        "yet hit, in which scores are much better."
    )
