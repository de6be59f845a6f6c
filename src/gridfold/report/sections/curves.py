"""The section on the learning curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridfold.report.input import ReportInput, ReportSection
from gridfold.report.numbers import short_numbers
from gridfold.tables.axes import curves_over_splits
from gridfold.wording import training_metric

_MOST_EPOCHS = 60
_MOST_BANDS = 50
_QUANTITIES = ("loss", "val_loss", "metric", "val_metric")


def curves(study: ReportInput) -> ReportSection:
    """Return the learning curves."""
    content = {
        "metric": training_metric(study.study),
        "over_splits": ", mean over the splits" if study.best.n_splits > 1 else "",
    }
    return ReportSection("curves", "Learning curves", "Learning curves", content)


def chart_curves(epochs: pd.DataFrame, ids: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return mean curves of all configurations and bands of the best, with what was left out.

    Parameters
    ----------
    epochs : DataFrame
        The table of epochs.
    ids : list of str
        Of the configurations, best first.

    Returns
    -------
    curves : dict
        ``epochs``, and for each quantity one list of values for each of `ids`.
    thinned : list of str
        Sentences on what was left out.
    """
    every = sorted(int(epoch) for epoch in epochs["epoch"].unique())
    kept = every
    thinned = []
    if len(every) > _MOST_EPOCHS:
        positions = np.unique(np.linspace(0, len(every) - 1, _MOST_EPOCHS).round().astype(int))
        kept = [every[position] for position in positions]
        thinned.append(f"Curves are drawn through {len(kept)} of {len(every):,} epochs.")
    several = epochs["split"].nunique() > 1
    if several and len(ids) > _MOST_BANDS:
        thinned.append(f"Bands over splits are kept for the best {_MOST_BANDS} configurations.")
    chosen = epochs[epochs["epoch"].isin(kept)]
    tables = curves_over_splits(chosen, _QUANTITIES)
    lines = {
        name: _rows(table.reindex(index=ids, columns=kept))
        for name, table in tables["mean"].items()
    }
    bands = {
        f"{name}_{end}": _rows(tables[end][name].reindex(index=ids[:_MOST_BANDS], columns=kept))
        for name in ("val_loss", "val_metric")
        for end in ("min", "max")
        if several
    }
    return {"epochs": kept, **lines, **bands}, thinned


def _rows(table: pd.DataFrame) -> list[list[float | None]]:
    """Return one curve for each configuration, without the missing epochs at its end."""
    rows = []
    for values in table.to_numpy(float):
        known = np.flatnonzero(np.isfinite(values))
        rows.append(short_numbers(values[: known[-1] + 1]) if len(known) else [])
    return rows
