"""The figure of a search in stages: scores and effort of each stage."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gridfold.figures.style import BLUE, GREY, WIDTH, Drawing, message, rasterise_many, style
from gridfold.plan.stage_names import title_of
from gridfold.problems import Measure
from gridfold.wording import counted, direction, measure_name, number


def draw_search_path(steps: pd.DataFrame, selected: str, measure: str) -> Drawing:
    """Draw the score of each configuration in each stage, and what each stage took.

    Parameters
    ----------
    steps : DataFrame
        The search table.
    selected : str
        Id of the selected configuration, whose way is marked.
    measure : str
        That ranks.
    """
    with style():
        return _drawn(steps, selected, measure)


def _drawn(steps: pd.DataFrame, selected: str, measure: str) -> Drawing:
    names = list(dict.fromkeys(steps["stage"]))
    caption = (
        "Above: each dot is a configuration in a stage, with its mean score over its splits "
        "there; lines join the same configuration in several stages; blue is the selected one. "
        "Scores of different stages are not comparable. Below: epochs times samples that each "
        "stage trained anew."
    )
    known = steps[steps["score"].notna()]
    if not len(known):
        return Drawing(message("No stage has a score"), caption, "No stage has a score.")
    figure = Figure(figsize=(min(WIDTH, 4 + 0.6 * len(names)), 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.5, 1])
    place = {name: position for position, name in enumerate(names)}
    many = rasterise_many(len(known))
    for config_id, way in known.groupby("config_id", sort=False):
        x, y = way["stage"].map(place), way["score"]
        if config_id != selected:
            upper.plot(x, y, "-", color=GREY, lw=0.7, alpha=0.4, **many)
            upper.plot(x, y, ".", color=GREY, ms=5, alpha=0.7, **many)
    way = known[known["config_id"] == selected]
    upper.plot(way["stage"].map(place), way["score"], "o-", color=BLUE, lw=2, ms=6, zorder=3)
    upper.set_ylabel(f"{measure_name(measure)} ({direction(measure)})")
    effort = steps.groupby("stage", sort=False)["effort"].sum()
    lower.bar(range(len(names)), effort.to_numpy(), color=GREY, width=0.6)
    lower.set_ylabel("epochs × samples")
    lower.set_xticks(range(len(names)), [title_of(n) for n in names], rotation=30, ha="right")
    lower.grid(visible=False, axis="x")
    return Drawing(figure, caption, _alt(steps, known, selected, measure))


def _alt(steps: pd.DataFrame, known: pd.DataFrame, selected: str, measure: str) -> str:
    scores = Measure.of(measure).best_of(known.groupby("stage", sort=False)["score"])
    counts = steps.groupby("stage", sort=False)["config_id"].nunique().to_dict()
    parts = [
        f"{title_of(str(name))}: {counted(int(counts[name]), 'configuration')}, best "
        f"{number(float(score), 4)}"
        for name, score in scores.items()
    ]
    way = known[known["config_id"] == selected]
    stages = ", ".join(title_of(str(name)) for name in way["stage"])
    return (
        f"Scores ({measure_name(measure)}) by stage. {'; '.join(parts)}. The selected "
        f"configuration was trained in: {stages}."
    )
