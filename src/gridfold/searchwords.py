"""A search in stages in words: its schedule before it runs, and how far it is."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gridfold.cost import seconds_per_trial
from gridfold.space import Configuration
from gridfold.splitnames import share_of
from gridfold.stages import Stage
from gridfold.study import Study
from gridfold.wording import format_seconds

_HEADINGS = ("stage", "configurations", "epochs", "splits", "trials", "new epochs", "cost")


def schedule_lines(
    study: Study, stages: Sequence[Stage], configurations: Iterable[Configuration]
) -> list[str]:
    """Return the stages as a table: what each trains at most, and what that costs on one worker.

    Parameters
    ----------
    study : Study
    stages : sequence of Stage
    configurations : iterable of Configuration
        Those known; the others are taken to be as slow as their mean.
    """
    known = list(configurations)
    rows, seconds = [], 0.0
    for stage in stages:
        cost = _seconds(study, stage, known)
        seconds += cost
        epochs = "own" if stage.epochs is None else str(stage.epochs)
        if stage.epochs is None and "training.epochs" not in study.search.space:
            epochs = str(study.training.epochs)
        new = "" if epochs == "own" else f"{stage.trials * (int(epochs) - stage.before):,}"
        rows.append(
            (
                stage.title,
                f"{'' if stage.is_exact else 'up to '}{stage.most:,}",
                epochs,
                str(len(stage.splits)),
                f"{stage.trials:,}",
                new,
                format_seconds(cost),
            )
        )
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [_line(row, widths) for row in (_HEADINGS, *rows)]
    return [*lines, f"  estimated cost  {format_seconds(seconds)} on one worker (rough)"]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return "    " + "  ".join([row[0].ljust(widths[0]), *cells[1:]])


def _seconds(study: Study, stage: Stage, known: Sequence[Configuration]) -> float:
    """Return what a stage costs at most on one worker."""
    share = share_of(stage.splits[0])
    each = statistics.fmean(
        seconds_per_trial(
            study,
            replace(c, epochs=(stage.epochs or study.training.epochs) - stage.before),
        )
        for c in known
    )
    return each * share * stage.trials
