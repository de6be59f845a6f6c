"""One spelling for every value: the root of stable ids, fingerprints and seeds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_ID_HEX_DIGITS = 12
_AS_THEY_ARE = frozenset({type(None), bool, str, int})


def canonical(value: Any) -> Any:
    """Return `value` in canonical form.

    Numbers that compare equal become the same object (``1.0`` and ``1``, ``-0.0`` and ``0``),
    tuples become lists, and mapping keys become strings. Booleans stay apart from numbers.

    Raises
    ------
    ValueError
        For NaN and infinities, which have no JSON form and never equal themselves.
    TypeError
        For anything that is not JSON-like.
    """
    # Most values by their type alone: the studies of a plan are told apart by millions of them.
    kind = type(value)
    if kind in _AS_THEY_ARE or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return int(value) if value.is_integer() else value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [canonical(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of `value`: sorted keys, no spaces, canonical numbers."""
    return _text(canonical(value))


def _text(found: Any) -> str:
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    return _digest(canonical(value))


def _digest(found: Any) -> str:
    return hashlib.sha256(_text(found).encode()).hexdigest()


def short_id(value: Any) -> str:
    """Return the first 12 hex digits of :func:`digest`, enough for 10^5 ids at 10^-5 risk."""
    return short_id_of_canonical(canonical(value))


def short_id_of_canonical(found: Any) -> str:
    """Return :func:`short_id` of what is in canonical form already."""
    return _digest(found)[:_ID_HEX_DIGITS]


def case_id(settings: Mapping[str, Any]) -> str:
    """Return the id of a configuration, its devices left out.

    Configurations that train the same on other devices are one case: they share seeds, and their
    speeds are compared.
    """
    training = {k: v for k, v in settings["training"].items() if k != "distribution"}
    return short_id({**settings, "training": training})


def derive_seed(*parts: Any) -> int:
    """Return a seed in [0, 2^31) that depends on `parts` alone, not on the process."""
    return int(digest(list(parts))[:8], 16) >> 1


def uniform(*parts: Any) -> float:
    """Return a number in [0, 1) with 53 random bits that depends on `parts` alone."""
    return (int(digest(list(parts))[:16], 16) >> 11) / (1 << 53)
