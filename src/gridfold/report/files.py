"""The files of the page: templates, styles and scripts, beside the Python of what they show."""

from __future__ import annotations

from pathlib import Path

from gridfold.webpage.style import BASE_STYLE

FOLDER = Path(__file__).parent
_SHARED, _SECTIONS = FOLDER / "templates", FOLDER / "sections"

STYLES = (
    BASE_STYLE,
    _SHARED / "report.css",
    _SHARED / "charts.css",
    *sorted(_SECTIONS.glob("*.css")),
)
SCRIPTS = (
    _SHARED / "vendor" / "d3.js",
    _SHARED / "report.js",
    _SHARED / "charts.js",
    *sorted(_SECTIONS.glob("*.js")),
)
"""In the order in which they stand in the page: what a later one says of the same mark counts."""


def page_files() -> list[Path]:
    """Return all that the page is put together from, so that an edit of it makes the page anew."""
    templates = sorted(file for folder in (_SHARED, _SECTIONS) for file in folder.glob("*.j2"))
    return [*templates, *STYLES, *SCRIPTS]
