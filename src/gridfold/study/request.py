"""Writes a study into the request of a job that chooses its own configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridfold.study import Study

# What a configuration follows from, besides the values of the axes.
_SECTIONS = ("study", "data", "problem", "model", "training", "search", "resampling")


def study_request(study: Study) -> dict[str, Any]:
    """Return the part of a request that :func:`requested_study` reads.

    As written, defaults left out: an axis must meet only what the user has set. Canonical JSON
    sorts keys, and the order of the axes is that of every label, so it travels beside them.
    """
    sections = study.model_dump(
        mode="json", by_alias=True, exclude_unset=True, include=set(_SECTIONS)
    )
    return {"study": sections, "axes": list(study.search.space)}


def requested_study(request: Mapping[str, Any]) -> Study:
    """Return the study of a request."""
    sections = request["study"]
    search = sections["search"]
    axes = {name: search["space"][name] for name in request["axes"]}
    return Study.model_validate({**sections, "search": {**search, "space": axes}})
