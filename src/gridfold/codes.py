"""Stable codes of what is found about a study: `GF1..` by the audit, `GF2..` by the report.

Each has a section in docs/audit.md. A code never changes its meaning; what is no longer checked
keeps its number.
"""

from __future__ import annotations

AUDIT_CODES = {
    "GF101": "the same samples in two parts",
    "GF102": "nearly the same samples in two parts",
    "GF103": "equal samples with different targets",
    "GF104": "groups on both sides",
    "GF105": "what looks like groups, and is not declared",
    "GF106": "the future on the training side",
    "GF107": "consecutive rows that are alike, in shuffled splits",
    "GF108": "a feature that predicts the target alone",
    "GF109": "a feature that looks like an identifier",
    "GF110": "a feature that counts the rows",
    "GF111": "rows sorted by the target, in splits that are not shuffled",
    "GF112": "constant features",
    "GF113": "classes that are missing in a part",
    "GF114": "splits on which the measure says nothing",
    "GF115": "a test part unlike the training part",
    "GF116": "rare classes",
    "GF117": "missing values",
}
"""What :mod:`gridfold.audit` looks for before anything is trained; a study may accept them."""

CAUTION_CODES = {
    "GF201": "few splits",
    "GF202": "failed trials",
    "GF203": "splits without a score",
    "GF204": "no test set",
    "GF205": "a winner at the edge of the search space",
    "GF206": "a loss that was still falling",
    "GF207": "a loss that rose again",
    "GF208": "weights picked by the score that they get",
    "GF209": "the best of many",
    "GF210": "no significant difference",
    "GF211": "combinations that were there already",
    "GF212": "a simple learner that is as good",
    "GF213": "configurations that were ended early by their scores",
    "GF214": "a score above chance with permuted labels",
    "GF215": "a search that its budget has ended",
}
"""What the report warns of, after training."""


def place_of(code: str) -> str:
    """Return where the documentation explains a code."""
    return f"docs/audit.md#{code.lower()}"
