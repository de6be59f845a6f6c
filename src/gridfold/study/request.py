"""Writes a study into the request of a job that chooses its own configurations."""

from __future__ import annotations

from gridfold.requests import StudySections
from gridfold.study import Study

# What a configuration follows from, besides the values of the axes.
_SECTIONS = ("study", "data", "problem", "model", "training", "search", "resampling")


def sections_of(study: Study) -> StudySections:
    """Return what of a study the configurations follow from, as :func:`study_of` reads it."""
    sections = study.model_dump(
        mode="json", by_alias=True, exclude_unset=True, include=set(_SECTIONS)
    )
    # It decides how much is trained, and nothing about what.
    sections.get("search", {}).pop("budget", None)
    return StudySections(sections, tuple(study.search.space))


def study_of(request: StudySections) -> Study:
    """Return the study that has travelled."""
    search = request.sections["search"]
    axes = {name: search["space"][name] for name in request.axes}
    return Study.model_validate({**request.sections, "search": {**search, "space": axes}})
