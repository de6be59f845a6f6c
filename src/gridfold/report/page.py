"""The report: one page that holds everything, asks nothing of a network and escapes everything."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from gridfold.report.charts import chart_data
from gridfold.report.files import FOLDER, SCRIPTS, STYLES
from gridfold.report.input import BESIDE, FigureFile, ReportInput, WriteSection
from gridfold.report.sections import (
    answer,
    audit,
    baselines,
    budget,
    cautions,
    classes,
    comparison,
    configurations,
    cost,
    curves,
    dataset,
    errors,
    failures,
    features,
    hyperparameters,
    model,
    nested,
    notebook,
    objectives,
    provenance,
    scaling,
    search,
)
from gridfold.webpage.page import content_policy, joined, templates

SECTIONS: tuple[WriteSection, ...] = (
    answer.answer,
    audit.audit,
    errors.errors,
    classes.classes,
    features.features,
    cautions.cautions,
    configurations.configurations,
    objectives.objectives,
    comparison.comparison,
    nested.nested,
    baselines.baselines,
    search.search,
    budget.budget,
    curves.curves,
    hyperparameters.hyperparameters,
    dataset.dataset,
    model.model,
    scaling.scaling,
    failures.failures,
    cost.cost,
    notebook.notebook,
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


def render(study: ReportInput) -> str:
    """Return the report as HTML."""
    environment = _environment()
    figures = {name: _embedded(figure) for name, figure in study.figures.items()}
    written = [section for write in SECTIONS if (section := write(study)) is not None]
    limits = answer.limits(written)
    sections = []
    for section in written:
        template = environment.get_template(f"sections/{section.name}.html.j2")
        text = template.render(section.content, figures=figures, limits=limits)
        content = Markup(text)  # nosec B704  # its template escapes what is not ours
        sections.append((section, content))
    own_style, own_script = joined(STYLES), joined(SCRIPTS)
    style = Markup(own_style)  # nosec B704  # files of the package
    script = Markup(own_script)  # nosec B704  # files of the package
    return environment.get_template("templates/report.html.j2").render(
        policy=content_policy(style, script),
        style=style,
        script=script,
        title=study.study["report"]["title"] or study.study["study"],
        subtitle=answer.subtitle(
            study.study, study.tables.trials, study.tables.configurations, study.card
        ),
        sections=sections,
        data=chart_data(study),
    )


def _environment() -> jinja2.Environment:
    environment = templates(FOLDER)
    environment.filters["code"] = _code
    # As short as JSON can be; `tojson` escapes what could end the script that holds it.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    parts = text.split("`")
    pairs = zip(parts[::2], [*parts[1::2], ""], strict=True)
    return Markup("").join(
        escape(plain) + (Markup("<code>{}</code>").format(code) if code else "")
        for plain, code in pairs
    )


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
