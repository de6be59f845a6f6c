"""The report: one page that holds everything, asks nothing of a network and escapes everything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from gridfold import reportanswer, reportcomparison, reportfacts
from gridfold.cautions import find_cautions
from gridfold.comparison import Comparison
from gridfold.jobtable import advise
from gridfold.paths import StudyPaths
from gridfold.reporttable import configurations_table, failures_table, scaling_table
from gridfold.summary import all_measures
from gridfold.tables import StudyTables

TEMPLATE = "report.html.j2"
# An SVG larger than this gives way to its PNG, so that the page stays small.
_LARGEST_SVG = 400_000
# Links in the report are relative to it, so that the folder can be moved or published.
_BESIDE = StudyPaths(Path())


@dataclass(frozen=True)
class FigureFile:
    """A figure as it lies on disk.

    Attributes
    ----------
    svg, png : Path
    caption, alt : str
    """

    svg: Path
    png: Path
    caption: str
    alt: str


@dataclass(frozen=True)
class _EmbeddedFigure:
    source: str
    width: int
    height: int
    caption: str
    alt: str
    links: tuple[tuple[str, str], ...]


def read_figures(words: Iterable[Path]) -> dict[str, FigureFile]:
    """Return the figures that lie beside their words, ``<name>.json``."""
    return {
        file.stem: FigureFile(
            file.with_suffix(".svg"),
            file.with_suffix(".png"),
            **json.loads(file.read_text(encoding="utf-8")),
        )
        for file in words
    }


def render(
    request: Mapping[str, Any],
    tables: StudyTables,
    *,
    jobs: pd.DataFrame,
    best: Mapping[str, Any],
    card: Mapping[str, Any],
    manifest: Mapping[str, Any],
    figures: Mapping[str, FigureFile],
    templates: Path,
    scaling: pd.DataFrame | None = None,
    comparison: Comparison | None = None,
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.Plan.report_request`.
    tables : StudyTables
    jobs : DataFrame
        :func:`gridfold.jobtable.job_table`.
    best : mapping
        :func:`gridfold.summary.select`.
    card : mapping
        The model card.
    manifest : mapping
        What the prepared data are.
    figures : mapping of str to FigureFile
        By the names in :data:`gridfold.figures.FIGURES`.
    templates : Path
        Folder of :data:`TEMPLATE` with its style and script.
    scaling : DataFrame, optional
        The scaling table, of a study that compares world sizes.
    comparison : Comparison, optional
        Left out, the report has no section on it.
    """
    study, trials, configurations = request["study"], tables.trials, tables.configurations
    style = (templates / "report.css").read_text(encoding="utf-8")
    script = (templates / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment.get_template(TEMPLATE).render(
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
        title=study["report"]["title"] or study["study"],
        subtitle=reportanswer.subtitle(study, trials, configurations, card),
        selected=reportanswer.selected(configurations, best),
        scores=reportanswer.scores(best, card),
        sentences=reportanswer.sentences(configurations, best, card),
        cautions=find_cautions(request, tables, card),
        table=configurations_table(configurations, best, all_measures(trials)),
        table_file=_BESIDE.tables / "configurations.csv",
        methods=[*reportfacts.methods(best, trials), *reportfacts.replicas(study, trials)],
        figures={name: _embedded(figure) for name, figure in figures.items()},
        scaling=None if scaling is None else scaling_table(scaling),
        scaling_file=_BESIDE.tables / "scaling.csv",
        comparison=None if comparison is None else reportcomparison.section(comparison, best, card),
        failures=failures_table(trials),
        trials_file=_BESIDE.tables / "trials.csv",
        trial_count=len(trials),
        cost=reportfacts.cost(trials),
        cost_advice=advise(jobs, trials),
        jobs_file=_BESIDE.tables / "jobs.csv",
        provenance=reportfacts.provenance(request, trials, card, manifest),
        command=f"snakemake --configfile {shlex.join(request['files'])}",
        settings=reportfacts.settings_text(study),
        card_file=_BESIDE.final / "card.md",
        model_file=_BESIDE.final / "model.keras",
    )


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
            (file.suffix[1:].upper(), str(_BESIDE.figures / file.name))
            for file in (figure.svg, figure.png)
        ),
    )
