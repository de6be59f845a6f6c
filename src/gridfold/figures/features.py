"""The figure of what each feature is worth to the final model."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gridfold.figures.style import BLUE, Drawing, message, page_width
from gridfold.store.model_card import ModelCard
from gridfold.wording import counted, decimals, measure_name, number, shorten

_MOST_FEATURES = 25


def draw_feature_importance(table: pd.DataFrame, card: ModelCard) -> Drawing:
    """Draw what the test score loses when the values of a feature are shuffled, largest first.

    Parameters
    ----------
    table : DataFrame
        :func:`gridfold.final.importance.feature_importance`.
    card : ModelCard
    """
    table = table[table["importance"].notna()]
    if not len(table):
        text = "The importance of features is measured for tables with a test set."
        return Drawing(message(text), "Importance of the features.", text)
    shown = table.head(_MOST_FEATURES)
    name = measure_name(card.cross_validation.measure)
    figure = Figure(figsize=(page_width(), 1.0 + 0.27 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        range(len(shown)),
        shown["importance"],
        xerr=shown["sd"],
        height=0.62,
        color=BLUE,
        error_kw={"lw": 1.2, "capsize": 2.5},
    )
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(shown)), [shorten(text, 34) for text in shown["feature"]])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"loss of {name} on the test set")
    return Drawing(figure, _caption(table, len(shown), name), _alt(shown, name))


def _caption(table: pd.DataFrame, shown: int, name: str) -> str:
    first = table.iloc[0]
    left_out = len(table) - shown
    few = f" The {shown} most important of {len(table):,} features are drawn." * (left_out > 0)
    return (
        f"What the final model loses of its test score ({name}) when the values of one feature are "
        f"shuffled among {int(first['samples']):,} test samples (permutation importance): mean and "
        f"standard deviation over {int(first['shuffles'])} shuffles.{few} It says what this model "
        "relies on, not what causes the target; features that tell the same share their "
        "importance, so that each may seem to matter little. All features are in "
        "`tables/feature_importance.csv`."
    )


def _alt(shown: pd.DataFrame, name: str) -> str:
    places = decimals(shown["sd"], shown["importance"])
    leaders = [
        f"{shorten(row['feature'], 40)} ({number(row['importance'], places)})"
        for _, row in shown.head(3).iterrows()
    ]
    return (
        f"Importance of {counted(len(shown), 'feature')} by the loss of {name}; the largest: "
        f"{', '.join(leaders)}."
    )
