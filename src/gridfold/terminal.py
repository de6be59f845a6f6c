"""What a run says to the person who has started it."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a line to the terminal at once, marked as ours among Snakemake's."""
    print(f"[gridfold] {text}", file=sys.stderr, flush=True)
