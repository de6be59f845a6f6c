"""The section on outer folds: how good search and training are together, and how stable."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gridfold.problems import Measure
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import Cell, Heading, Table
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection
from gridfold.tables.trials import axis_columns
from gridfold.wording import (
    MISSING,
    counted,
    listed,
    measure_name,
    number,
    percent,
)


def nested(study: ReportInput) -> ReportSection | None:
    """Return the nested estimate beside the corrected one; None for a study without outer folds."""
    found, folds = study.nested, study.outer_folds
    if found is None or folds is None:
        return None
    content = {
        "sentences": [
            *_estimates(found, study.best),
            *_stability(found, folds),
            *_missing(found, folds),
            *_cost(found, folds),
        ],
        "table": _table(found, folds),
        "files": [("nested", BESIDE.table_csv("nested"))],
    }
    return ReportSection("nested", "Outer folds", "How good is the whole procedure?", content)


def _estimates(found: NestedEstimate, best: Selection) -> Iterator[str]:
    name, places = measure_name(found.measure), found.decimals
    if found.score is None:
        yield "No outer fold has a score, so there is no nested estimate."
        return
    interval = ""
    if found.low is not None and found.high is not None:
        ends = f"{number(found.low, places)} to {number(found.high, places)}"
        interval = f" ({percent(found.confidence)} interval {ends})"
    yield (
        f"Nested cross-validation gives {name} {number(found.score, places)}{interval}, the mean "
        f"over {counted(found.folds, 'outer fold')}. It is an estimate of the whole procedure, "
        "search and training together, on new samples: each fold ran the search anew on its own "
        "training part, trained the winner there as the final model is trained, and scored it once "
        "on samples that nothing in the fold had seen. It is no estimate of the one final model, "
        "which is trained on more samples and may have another configuration than some folds."
    )
    quoted = best.headline
    if quoted.is_corrected:
        yield (
            f"The corrected estimate above, {number(quoted.score, places)}, is one of the selected "
            "configuration: its cross-validated score less what being the best of many flatters "
            "it, by bootstrap. The two answer different questions, and rest on training parts of "
            "different size. The corrected one took no further training; the nested one needs no "
            "assumption about how the search chose."
        )
    if found.searched is not None:
        sign = Measure.of(found.measure).sign
        gain = sign * (found.searched - found.score)
        yield (
            f"In the same folds the searches themselves gave their winners "
            f"{number(found.searched, places)} on average: "
            + (
                f"{number(abs(gain), places)} too {'optimistic' if gain > 0 else 'pessimistic'}."
                if number(abs(gain), places).strip("0.,")
                else "the two agree."
            )
        )


def _stability(found: NestedEstimate, folds: pd.DataFrame) -> Iterator[str]:
    chosen = folds[folds["config_id"] != ""]
    if not len(chosen):
        return
    count = counted(len(chosen), "outer fold")
    if found.distinct == 1:
        text = f"All of {count} selected the same configuration"
    else:
        text = f"{count} selected {counted(found.distinct, 'different configuration')}"
    share = found.as_study
    yield (
        f"{text}; {share} of {len(chosen)} selected the one that the study has selected."
        + (
            f" Two folds agree in {percent(round(found.agreement, 2))} of all pairs."
            if found.agreement is not None and found.distinct > 1
            else ""
        )
    )
    varying = []
    for name in axis_columns(folds):
        counts = chosen[name].map(str, na_action="ignore").value_counts()
        if len(counts) > 1:
            varying.append(f"{name} ({counts.iloc[0]} times {counts.index[0]})")
    if varying:
        yield (
            f"The folds differ in {listed(varying)}. Where many configurations are about equally "
            "good, that is to be expected, and does no harm to the score; a value that most folds "
            "agree on matters."
        )


def _missing(found: NestedEstimate, folds: pd.DataFrame) -> Iterator[str]:
    if not found.missing:
        return
    failed = folds[folds["status"] != "finished"]
    reasons = [f"{row['outer_fold']}: {row['reason']}" for row in failed.to_dict("records")]
    undefined = found.missing - len(failed)
    if undefined:
        reasons.append(f"on {undefined} the measure is not defined")
    yield (
        f"{counted(found.missing, 'outer fold')} of {len(folds)} without a score, left out of the "
        f"estimate ({'; '.join(reasons)})."
    )


def _cost(found: NestedEstimate, folds: pd.DataFrame) -> Iterator[str]:
    trials = counted(int(folds["trials"].sum()), "trial")
    hours = f" and {found.hours}" * bool(found.hours)
    yield f"The outer folds took {trials}{hours} beside those of the study's own search."


def _table(found: NestedEstimate, folds: pd.DataFrame) -> Table:
    places, name = found.decimals, measure_name(found.measure)
    headings = [
        Heading("Outer fold", numeric=False),
        Heading("Selected configuration", numeric=False),
        Heading("As the study", "whether the study selected the same", numeric=False),
        Heading("In the search", f"{name} that it was selected for"),
        Heading(f"Outer {name}", "on samples that its search never saw"),
        Heading("Epochs", "of its training on the whole training part"),
        Heading("Training", "samples"),
        Heading("Validation", "samples"),
    ]
    rows = [
        [
            Cell(row["outer_fold"]),
            Cell(row["label"] or MISSING, detail=row["config_id"]),
            Cell("yes" if row["as_study"] else "no"),
            Cell(number(row["search_mean"], places)),
            Cell(number(row.get(found.measure), places)),
            *(
                Cell(MISSING if pd.isna(row[key]) else f"{row[key]:,}")
                for key in ("epochs", "n_train", "n_validation")
            ),
        ]
        for row in folds.to_dict("records")
    ]
    return Table(headings, rows, len(rows))
