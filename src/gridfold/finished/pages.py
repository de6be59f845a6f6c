"""Pages about several studies, as text for a terminal and as HTML: the index, and a comparison."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from gridfold.finished.comparison import Difference, StudyComparison, conclusion
from gridfold.finished.study import FinishedStudy, StudyState
from gridfold.problems import Measure
from gridfold.store.answer import Answer
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.webpage.page import content_policy, joined, templates
from gridfold.webpage.style import BASE_STYLE
from gridfold.wording import (
    MISSING,
    counted,
    decimals,
    direction,
    listed,
    measure_name,
    number,
    p_value,
    percent,
    shorten,
)

_TEMPLATES = Path(__file__).parent / "templates"
# Of a column in a terminal.
_WIDEST = 46


@dataclass(frozen=True)
class Item:
    """One cell: a text, and where a link on it leads (empty: no link)."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class PagePart:
    """One section of a page.

    Attributes
    ----------
    title : str
    headings : list of str
    rows : list of list of Item
    sentences : list of str
        Above the table.
    """

    title: str
    headings: list[str] = field(default_factory=list)
    rows: list[list[Item]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StudiesPage:
    """A page about several studies.

    Attributes
    ----------
    title, subtitle : str
    parts : list of PagePart
    """

    title: str
    subtitle: str
    parts: list[PagePart]

    def html(self) -> str:
        """Return the page: self-contained, without script, everything escaped."""
        text = joined((BASE_STYLE, _TEMPLATES / "pages.css"))
        style = Markup(text)  # nosec B704  # files of the package
        return (
            templates(_TEMPLATES)
            .get_template("studies.html.j2")
            .render(
                policy=content_policy(style),
                style=style,
                title=self.title,
                subtitle=self.subtitle,
                parts=self.parts,
            )
        )

    def text(self) -> str:
        """Return the page for a terminal."""
        lines = [self.title, self.subtitle]
        for part in self.parts:
            lines += ["", part.title, *(f"  - {sentence}" for sentence in part.sentences)]
            if part.rows:
                lines += _aligned([part.headings, *([i.text for i in row] for row in part.rows)])
        return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    last = len(rows[0]) - 1
    cells = [
        [shorten(text, _WIDEST * (2 if place == last else 1)) for place, text in enumerate(row)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[t.ljust(w) for t, w in zip(row, widths, strict=True)] for row in cells]
    return [f"  {'  '.join(row)}".rstrip() for row in padded]


def _link(page: Path, target: Path) -> str:
    """Return a relative link that survives whatever stands in the name of a folder."""
    relative = os.path.relpath(target, page.parent)
    return quote(Path(relative).as_posix())


# -- index ----------------------------------------------------------------------------------------


def index_page(states: Sequence[StudyState], page: Path) -> StudiesPage:
    """Return the index of all studies of a results folder.

    Parameters
    ----------
    states : sequence of StudyState
    page : Path
        Where the page will lie; links are relative to it.
    """
    finished = [(state, state.answer) for state in states if state.answer]
    others = [state for state in states if not state.answer]
    parts = []
    if finished:
        headings = ["Study", "Problem", "Best configuration", "Score", "Test", "Final model of"]
        parts.append(
            PagePart("Finished", headings, [_finished_row(s, a, page) for s, a in finished])
        )
    if others:
        rows = [[Item(s.name), Item(_progress(s))] for s in others]
        parts.append(PagePart("Not finished", ["Study", "State"], rows))
    if not states:
        parts.append(PagePart("No studies", sentences=["There is no study in this folder yet."]))
    subtitle = f"{len(finished)} finished, {len(others)} not finished"
    return StudiesPage("Studies", subtitle, parts)


def _finished_row(state: StudyState, answer: Answer, page: Path) -> list[Item]:
    best, card, report = answer.best, answer.card, state.paths.report
    return [
        Item(state.name, _link(page, report) if report.exists() else ""),
        Item(card.configuration.problem.replace("_", " ")),
        Item(f"{best.label} ({best.config_id})"),
        Item(_score(best)),
        Item(_test_score(best, card)),
        Item(card.created[:10] + (", running again" if state.running else "")),
    ]


def _progress(state: StudyState) -> str:
    text = f"{state.done:,} of {counted(state.known, 'trial')} done"
    if state.running:
        return f"{text}, {counted(state.running, 'job')} running"
    return f"{text}, nothing is running"


def _score(best: Selection) -> str:
    places, quoted = best.decimals, best.headline
    text = f"{measure_name(best.measure)} {number(quoted.score, places)}"
    over = counted(best.n_splits, "split")
    if quoted.low is not None and quoted.high is not None:
        text += f" [{number(quoted.low, places)}, {number(quoted.high, places)}]"
        over = f"{percent(best.confidence)}, {over}"
    as_selected = f", as selected {number(best.mean, places)}" * quoted.is_corrected
    return f"{text} ({over}{as_selected})"


def _test_score(best: Selection, card: ModelCard) -> str:
    test = card.test
    if not test:
        return MISSING
    places = best.decimals
    ends = f" [{number(test.low, places)}, {number(test.high, places)}]"
    interval = ends if test.has_interval else ""
    return f"{number(test.score, places)}{interval}, n = {test.samples:,}"


# -- comparison -----------------------------------------------------------------------------------


def comparison_page(
    reference: FinishedStudy, comparisons: Sequence[StudyComparison], page: Path
) -> StudiesPage:
    """Return the comparison of several studies with the first one.

    Parameters
    ----------
    reference : FinishedStudy
    comparisons : sequence of StudyComparison
    page : Path
        Where the page will lie; links are relative to it.
    """
    studies = [reference, *(c.study for c in comparisons)]
    overview = [
        [
            Item(study.name, _link(page, study.paths.report)),
            Item(f"{study.best.label} ({study.best.config_id})"),
            Item(f"{study.best.configurations:,}"),
            Item(_score(study.best)),
            Item(_test_score(study.best, study.card)),
        ]
        for study in studies
    ]
    rows = [
        [Item(c.study.name), Item(kind), *_difference(d, reference)]
        for c in comparisons
        for kind, d in (("test samples", c.test), ("splits", c.splits))
        if d is not None
    ]
    missing = [f"{c.study.name}: {text}" for c in comparisons for text in c.obstacles]
    level = percent(reference.best.confidence)
    return StudiesPage(
        " and ".join(study.name for study in studies)
        if len(studies) == 2
        else f"{reference.name} and {counted(len(comparisons), 'other study', 'other studies')}",
        f"Compared by {measure_name(reference.measure)} ({direction(reference.measure)}); "
        f"differences are to {reference.name}.",
        [
            PagePart("What differs", sentences=[conclusion(c, reference) for c in comparisons]),
            PagePart(
                "Studies",
                ["Study", "Best configuration", "Of", "Score over splits", "Test score"],
                overview,
            ),
            PagePart(
                "Differences",
                ["Study", "On", "Difference", f"{level} interval", "p", "Basis"],
                rows,
                missing,
            ),
            PagePart(
                "How to read this", sentences=[*_notes(len(comparisons)), *_thresholds(studies)]
            ),
        ],
    )


def _difference(difference: Difference, reference: FinishedStudy) -> list[Item]:
    places = decimals(
        [difference.high - difference.value, reference.best.half_width], [difference.value]
    )
    interval = (
        f"{number(difference.low, places)} to {number(difference.high, places)}"
        if math.isfinite(difference.low)
        else MISSING
    )
    return [
        Item(number(difference.value, places, signed=True)),
        Item(interval),
        Item(p_value(difference.p_value)),
        Item(difference.basis),
    ]


def _thresholds(studies: Sequence[FinishedStudy]) -> list[str]:
    """Return at which thresholds studies predict classes, where these differ and count."""
    found = {study.name: study.card.positive_from for study in studies}
    if len({*found.values()}) == 1 or not Measure.of(studies[0].measure).of_classes:
        return []
    each = listed(f"{threshold} in {name}" for name, threshold in found.items())
    return [
        f"A sample is predicted as positive from different probabilities on: {each}. What differs "
        "is the model together with its threshold."
    ]


def _notes(count: int) -> list[str]:
    lines = [
        "Over splits: the corrected resampled t-test (Nadeau & Bengio, 2003) between the selected "
        "configurations, Holm-adjusted. Each was the best of its study on these splits, which "
        "flatters the study that tried more.",
        "On test samples: the difference between the final models, which no study has selected by; "
        "paired by sample where these are the same. Shares of samples have Newcombe’s interval "
        "(1998), other measures the percentile bootstrap. Where samples are of groups, or in the "
        "order of time, whole groups or blocks of time count, by Student’s t for their number.",
    ]
    if count > 1:
        lines.append("Intervals on test samples hold for all comparisons together (Bonferroni).")
    return lines
