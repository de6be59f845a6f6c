"""Names of splits whose training part is reduced, as in cheap stages of a search: `r0f3@0.5`."""

from __future__ import annotations


def reduced(split: str, share: float) -> str:
    """Return the name of the split with only that share of the training part."""
    return f"{split}@{share:g}"


def share_of(split: str) -> float:
    """Return the share of the training part that the name of a split says."""
    return float(split.partition("@")[2] or 1)
