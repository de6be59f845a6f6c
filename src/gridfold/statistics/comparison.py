"""The comparison of a study's configurations as a whole: tables, rank tests and the selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from gridfold.requests import ComparisonRequest
from gridfold.statistics.explored import Explored
from gridfold.statistics.importance import importance
from gridfold.statistics.pairwise import compare_with_selected, wilcoxon_obstacle
from gridfold.statistics.ranks import effective_blocks, rank_test
from gridfold.statistics.result import Comparison, ComparisonFacts
from gridfold.statistics.scientific import scientific_values
from gridfold.statistics.scored import Scored
from gridfold.store.selection import SelectionFacts

_MOST_RANKED = 10
_FEWEST_RANKED = 2
# Axes with three and more values, whose values are compared by ranks like configurations.
_FEWEST_VALUES, _MOST_AXES = 3, 3


def compare(
    request: ComparisonRequest,
    trials: pd.DataFrame,
    configurations: pd.DataFrame,
    selection: SelectionFacts,
    search: Explored | None = None,
) -> Comparison:
    """Compare the configurations of a study.

    Parameters
    ----------
    request : ComparisonRequest
    trials, configurations : DataFrame
    selection : SelectionFacts
        What is known of the luck of the selection.
    search : Explored, optional
        By which axes are judged, where the search left most configurations behind.
    """
    scored = Scored.of(trials, configurations, request.measure, request.confidence)
    labels = dict(zip(configurations["config_id"], configurations["label"], strict=True))
    table = compare_with_selected(scored, labels)
    unknown = np.nan if selection.corrected is None else 0.0
    table["chosen"] = [selection.chosen.get(i, unknown) for i in table["config_id"]]
    judged = configurations if search is None else search.configurations
    wide = (
        scored
        if search is None
        else Scored.of(search.trials, judged, request.measure, request.confidence)
    )
    values = scientific_values(wide, judged, request.space)
    splits, count = scored.scores.shape
    blocks = effective_blocks(splits, scored.ratio) if splits else 0.0
    ranks = [
        replace(rank_test(scores, blocks, scored.alpha), title=title)
        for title, scores in _ranked(scored, labels, values if search is None else None).items()
    ]
    return Comparison(
        table,
        values,
        importance(judged, request.space, request.measure),
        ComparisonFacts(
            measure=request.measure,
            confidence=request.confidence,
            blocks=blocks,
            wilcoxon=wilcoxon_obstacle(splits, scored.repeats, count - 1, scored.alpha)
            if count > 1
            else "",
            ranks=ranks,
            # Which one is chosen how often stands in the table.
            selection=replace(selection, chosen={}),
            explored=None if search is None else search.effort,
        ),
    )


def _ranked(
    scored: Scored, labels: Mapping[str, str], values: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    """Return what is compared by ranks: the best configurations, and the best at each value."""
    oriented = (scored.scores * scored.sign).dropna()
    if len(oriented) < 2 or oriented.shape[1] < _FEWEST_RANKED:
        return {}
    top = oriented.iloc[:, :_MOST_RANKED]
    count = f"The best {top.shape[1]} of {scored.scores.shape[1]:,} configurations"
    if top.shape[1] == scored.scores.shape[1]:
        count = f"All {top.shape[1]} configurations"
    # Labels of different configurations can be equal once they are shortened; ranks are not.
    names = [f"{place + 1}: {labels[config]}" for place, config in enumerate(top.columns)]
    found = {count: top.set_axis(names, axis=1)}
    for axis, rows in () if values is None else values.groupby("axis", sort=False):
        if _FEWEST_VALUES <= len(rows) <= _MOST_RANKED and len(found) <= _MOST_AXES:
            best = oriented[rows["config_id"].tolist()]
            found[f"The best configuration at each value of {axis}"] = best.set_axis(
                rows["value"].tolist(), axis=1
            )
    return found
