"""The section of the report on several objectives: front, constraints, and how one was selected."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gridfold.figures.front import number_of
from gridfold.objectives import BEST, COSTS, SMALLEST, sign_of
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import Cell, Heading, Table, TableColumn, configuration_cell, table_of
from gridfold.requests import Objectives
from gridfold.wording import MISSING, counted, listed, measure_name, percent, shorten

_MOST_ROWS = 50
_MOST_NAMED = 5


def objectives(study: ReportInput) -> ReportSection | None:
    """Return what is wanted beside the best mean, of a study that wants more."""
    wanted = study.request.objectives
    if wanted is None or study.pareto is None:
        return None
    content = {
        "sentences": list(sentences(study.pareto, wanted, study.best.confidence)),
        "pareto": _table(study.pareto, wanted),
        "pareto_file": BESIDE.table_csv("pareto"),
    }
    return ReportSection("objectives", "Objectives", "Objectives and constraints", content)


def sentences(table: pd.DataFrame, wanted: Objectives, confidence: float) -> Iterator[str]:
    """Say what was wanted, what is on the front, what can't be told apart, and what was selected.

    Parameters
    ----------
    table : DataFrame
        :data:`gridfold.statistics.front.PARETO_COLUMNS`.
    wanted : Objectives
    confidence : float
        Of the tests.
    """
    named = listed([_with_direction(name) for name in wanted.names])
    word = "Objective" if len(wanted.names) == 1 else "Objectives, of which the first one ranks"
    yield f"{word}: {named}."
    yield from _ruled_out(table, wanted)
    front = table[table["front"] == 1]
    if len(wanted.names) > 1:
        yield (
            f"{len(front):,} of "
            f"{counted(int(table['front'].notna().sum()), 'configuration')} that could be selected "
            f"{'is' if len(front) == 1 else 'are'} on the Pareto front: no other one is as good in "
            "every objective and better in one. That goes by the means alone; another draw of the "
            "splits has another front."
        )
        yield from _alike(front, wanted, confidence)
    yield _selected(table, wanted)
    if any(name in COSTS and COSTS[name].unit == "s" for name in wanted.looked_at):
        yield _TIMES


_TIMES = (
    "Times are of this machine, with what else ran on it. `seconds_per_sample` is the median time "
    "of at least ten predictions of up to 256 validation samples by the trained model of each "
    "trial, divided by their number, without preprocessing and without the first call, which "
    "compiles; `fit_seconds` is the wall time of the epochs of a trial."
)


def _with_direction(name: str) -> str:
    return f"{measure_name(name)} ({'higher' if sign_of(name) > 0 else 'lower'} is better)"


def _ruled_out(table: pd.DataFrame, wanted: Objectives) -> Iterator[str]:
    if not wanted.constraints:
        return
    out = table[~table["within_constraints"]]
    limits = listed([constraint.text for constraint in wanted.constraints])
    text = f"Constraints, of means over the splits: {limits}. "
    if not len(out):
        yield f"{text}All {counted(len(table), 'configuration')} satisfy them."
        return
    some = [f"“{shorten(label, 60)}”" for label in out["label"].head(_MOST_NAMED)]
    more = f" and {len(out) - _MOST_NAMED:,} more" if len(out) > _MOST_NAMED else ""
    yield (
        f"{text}{counted(len(out), 'configuration')} of {len(table):,} can’t be selected and "
        f"{'is' if len(out) == 1 else 'are'} compared with none, since a constraint is not "
        f"satisfied or a value is missing: {', '.join(some)}{more}."
    )


def _alike(front: pd.DataFrame, wanted: Objectives, confidence: float) -> Iterator[str]:
    """Say which of the front may be the best in the first objective."""
    first, level = measure_name(wanted.names[0]), percent(confidence)
    alike = front[front["may_be_best"].astype(bool)]
    if len(front) < 2:
        return
    names = [f"number {rank}" for rank in alike["rank"].head(_MOST_NAMED)]
    more = f" and {len(alike) - _MOST_NAMED:,} more" if len(alike) > _MOST_NAMED else ""
    yield (
        f"Of the front, {counted(len(alike), 'configuration')} can’t be told from the best in "
        f"{first} at {level} confidence ({', '.join(names)}{more}; paired corrected t-tests, "
        "comparisons with the best). Among these, the other objectives may decide."
    )


def _selected(table: pd.DataFrame, wanted: Objectives) -> str:
    row = table[table["selected"]].iloc[0]
    values = ", ".join(
        f"{measure_name(name)} {number_of(name, float(row[name]))}"
        for name in wanted.looked_at
        if pd.notna(row[name])
    )
    return f"Selected {_rule(wanted)}: “{shorten(str(row['label']), 90)}”, with {values}."


def _rule(wanted: Objectives) -> str:
    first = measure_name(wanted.names[0])
    if wanted.rule == BEST:
        within = " among those that satisfy the constraints" if wanted.constraints else ""
        return f"is the best mean {first}{within} (`{wanted.rule}`)"
    if wanted.rule == SMALLEST:
        cost = next(name for name in wanted.names if name in COSTS)
        return (
            f"is the one with the least {measure_name(cost)} among those whose mean {first} is at "
            "most one standard error of the difference worse than the best (corrected for shared "
            f"training samples; `{wanted.rule}`)"
        )
    return (
        "is the point of the front that gives the most of all objectives together, each in parts "
        f"of its range on the front and costs in their logarithm (`{wanted.rule}`)"
    )


def _table(table: pd.DataFrame, wanted: Objectives) -> Table:
    order = table.assign(_front=table["front"].astype(float)).sort_values(
        ["_front", "rank"], kind="stable", na_position="last"
    )
    columns: list[TableColumn] = [
        (Heading("Front", "1 is the Pareto front"), _front),
        (Heading("Rank"), lambda row: Cell(str(row["rank"]), str(row["rank"]))),
        (Heading("Configuration", numeric=False), configuration_cell),
        *(_column(name) for name in wanted.looked_at),
        (
            Heading("May be best", "in the first objective", numeric=False),
            lambda row: Cell("yes" if row["may_be_best"] else "no"),
        ),
        (
            Heading("Not satisfied", "constraints", numeric=False),
            lambda row: Cell(str(row["violations"]) or MISSING),
        ),
    ]
    return table_of(columns, order.head(_MOST_ROWS), len(table))


def _front(row: pd.Series) -> Cell:
    if pd.isna(row["front"]):
        return Cell(MISSING)
    mark = " (selected)" if row["selected"] else ""
    return Cell(f"{int(row['front'])}{mark}", str(int(row["front"])))


def _column(name: str) -> TableColumn:
    title = measure_name(name)

    def cell(row: pd.Series) -> Cell:
        value = row[name]
        return Cell(MISSING) if pd.isna(value) else Cell(number_of(name, value), f"{value:.9g}")

    return Heading(f"{title[0].upper()}{title[1:]}", "mean over the splits"), cell
