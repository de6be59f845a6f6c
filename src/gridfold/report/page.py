"""The report: one page that holds everything, asks nothing of a network and escapes everything."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from gridfold.report.charts import chart_data
from gridfold.report.input import BESIDE, FigureFile, ReportInput, WriteSection
from gridfold.report.sections import (
    answer,
    comparison,
    configurations,
    cost,
    model,
    provenance,
    search,
)

SECTIONS: tuple[WriteSection, ...] = (
    answer.answer,
    answer.cautions,
    configurations.configurations,
    search.search,
    comparison.comparison,
    configurations.curves,
    configurations.hyperparameters,
    configurations.errors,
    model.classes,
    model.model,
    cost.scaling,
    cost.failures,
    cost.cost,
    model.notebook,
    provenance.provenance,
)
"""In the order of the page."""

# An SVG larger than this gives way to its PNG, so that the page stays small.
_LARGEST_SVG = 400_000


@dataclass(frozen=True)
class _EmbeddedFigure:
    source: str
    width: int
    height: int
    caption: str
    alt: str
    links: tuple[tuple[str, str], ...]


def render(study: ReportInput, templates: Path) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    study : ReportInput
    templates : Path
        Folder of ``report.html.j2`` with its style, its script and its sections.
    """
    environment = _environment(templates)
    figures = {name: _embedded(figure) for name, figure in study.figures.items()}
    sections = []
    for write in SECTIONS:
        section = write(study)
        if section is not None:
            template = environment.get_template(f"sections/{section.name}.html.j2")
            sections.append((section, Markup(template.render(section.content, figures=figures))))
    style = _joined(templates, "report.css", "charts.css", "sections/*.css")
    script = _joined(templates, "vendor/d3.js", "report.js", "charts.js", "sections/*.js")
    return environment.get_template("report.html.j2").render(
        # Only this style and this script may run: whatever a label smuggles in is dead text.
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src {_fingerprint(style)}",
                f"script-src {_fingerprint(script)}",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        style=Markup(style),
        script=Markup(script),
        title=study.study["report"]["title"] or study.study["study"],
        subtitle=answer.subtitle(
            study.study, study.tables.trials, study.tables.configurations, study.card
        ),
        sections=sections,
        data=chart_data(study),
    )


def _environment(templates: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    # As short as JSON can be; `tojson` escapes what could end the script that holds it.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _joined(folder: Path, *patterns: str) -> str:
    """Return files one after the other, those of one pattern by name."""
    files = (file for pattern in patterns for file in sorted(folder.glob(pattern)))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    parts = text.split("`")
    pairs = zip(parts[::2], [*parts[1::2], ""], strict=True)
    return Markup("").join(
        escape(plain) + (Markup("<code>{}</code>").format(code) if code else "")
        for plain, code in pairs
    )


def _fingerprint(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _pixels(side: bytes, svg: bytes) -> int:
    """Return the width or height that an SVG states, so that the page needs no second layout."""
    points = re.search(rb"<svg[^>]*?\s" + side + rb'="([\d.]+)pt"', svg)
    return round(float(points[1]) * 96 / 72) if points else 0


def _embedded(figure: FigureFile) -> _EmbeddedFigure:
    """Return a figure as a data URI in an ``<img>``, where an SVG can run nothing."""
    svg = figure.svg.read_bytes()
    width, height = (_pixels(side, svg) for side in (b"width", b"height"))
    small = len(svg) <= _LARGEST_SVG
    kind, content = ("svg+xml", svg) if small else ("png", figure.png.read_bytes())
    return _EmbeddedFigure(
        f"data:image/{kind};base64,{base64.b64encode(content).decode()}",
        width,
        height,
        figure.caption,
        figure.alt,
        tuple(
            (file.suffix[1:].upper(), str(BESIDE.figures / file.name))
            for file in (figure.svg, figure.png)
        ),
    )
