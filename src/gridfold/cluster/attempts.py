"""Remember why jobs of this run have ended badly, so that the next attempt asks for what it needs.

More memory helps a job that was ended for want of memory, more time one that has met its limit;
whatever else went wrong, more of either only waits longer in the queue.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gridfold.advice import CANCELLED, NODE_FAILURE, OUT_OF_MEMORY, TIME_OUT, recognise

MEMORY, TIME = "mem_mb", "runtime"
# Tells a job, and the Snakemakes in it, how its request has grown.
VARIABLE = "GRIDFOLD_GROWTH"

_lock = threading.Lock()
_ends: Counter[tuple[str, str, str]] = Counter()
_growing: set[tuple[str, str]] = set()


def grown_resource(said: str, log: str) -> str | None:
    """Return the resource of which a job that has ended badly needs more; None for none.

    Parameters
    ----------
    said : str
        What the executor says of its end.
    log : str
        What Slurm and the job have written.
    """
    state = recognise(said)
    if state in (CANCELLED, NODE_FAILURE):
        return None
    causes = {state, *(recognise(line) for line in log.splitlines())}
    if OUT_OF_MEMORY in causes:
        return MEMORY
    # The job itself, which Slurm has told in time that its limit comes.
    told = re.search(r"\[gridfold\] told to stop;", log)
    return TIME if TIME_OUT in causes or told else None


def let_grow(rule: str, resource: str) -> None:
    """Note that another attempt at a rule's job can ask for more of a resource."""
    _growing.add((rule, resource))


def grows(rule: str, resource: str) -> bool:
    """Tell whether another attempt at a rule's job can ask for more of a resource."""
    return (rule, resource) in _growing


def remember(rule: str, wildcards: Mapping[str, str], resource: str) -> None:
    """Remember that a job needs more of a resource than it had."""
    with _lock:
        _ends[(rule, _words(wildcards), resource)] += 1


def factor(rule: str, wildcards: Mapping[str, str], resource: str) -> int:
    """Return how many times its first request a job asks for now."""
    if VARIABLE in os.environ:
        return _factors(os.environ[VARIABLE]).get(resource, 1)
    return 1 + _ends[(rule, _words(wildcards), resource)]


def variable(jobs: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return what tells a job its factors, as ``mem_mb=2,runtime=1``; nothing where all are 1.

    Parameters
    ----------
    jobs : iterable of (str, mapping)
        Rule and wildcards of each rule's job that runs in it.
    """
    named = list(jobs)
    most = {r: max(factor(*job, r) for job in named) for r in (MEMORY, TIME)}
    if set(most.values()) == {1}:
        return ""
    return ",".join(f"{resource}={number}" for resource, number in most.items())


def _factors(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name: int(number) for name, _, number in pairs if number.isdigit()}


def _words(wildcards: Mapping[str, Any]) -> str:
    return repr(sorted((name, str(value)) for name, value in wildcards.items()))
