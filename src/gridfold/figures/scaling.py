"""How training speeds up with more replicas: table and figure of a scaling study."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from gridfold.figures.style import GREY, Drawing, family_looks, log_axis, panels, style
from gridfold.requests import ScalingRequest
from gridfold.tables.trials import Column
from gridfold.wording import counted, shorten

SCALING_COLUMNS = (
    Column("config_id", "string", "", "Configuration"),
    Column("case", "string", "", "The same for configurations that differ in their devices alone"),
    Column("model", "string", "", "Model family"),
    Column("series", "string", "", "What distinguishes cases of a model: axis values but devices"),
    Column("device", "string", "", "What each replica computed on: the name of a GPU, or CPU"),
    Column("precision", "string", "", "Keras' dtype policy"),
    Column("backend", "string", "", "`single` with one replica"),
    Column("world_size", "int", "replicas", "Copies of the model that shared each batch"),
    Column("batch_size", "int", "samples", "Of one step, over all replicas"),
    Column("epoch_seconds", "float", "s", "Median wall time of an epoch without validation"),
    Column("samples_per_second", "float", "1/s", "Training samples over that time"),
    Column("speedup", "float", "", "Speed over that of one replica; empty without such a trial"),
    Column("efficiency", "float", "", "Speed-up over world size; 1 is ideal"),
)


def scaling_table(
    request: ScalingRequest, trials: pd.DataFrame, epochs: pd.DataFrame
) -> pd.DataFrame:
    """Return the speed of each configuration and how it compares with one replica.

    The first epoch of a trial counts only when there is no other: it also builds the graph.

    Parameters
    ----------
    request : ScalingRequest
    trials, epochs : DataFrame

    Returns
    -------
    DataFrame
        :data:`SCALING_COLUMNS`; configurations without a finished trial are left out.
    """
    finished = trials[trials["status"] == "finished"]
    keys = ["config_id", "split"]
    # An epoch of a process that was started again builds the graph, too; the median forgets it.
    last = epochs.groupby(keys)["epoch"].transform("max")
    steady = epochs[(epochs["epoch"] > 1) | (last == 1)]
    seconds = steady.groupby(keys)["training_seconds"].median().rename("epoch_seconds")
    timed = finished.merge(seconds.reset_index(), on=keys)
    timed["samples_per_second"] = timed["n_train"] / timed["epoch_seconds"]
    by_configuration = timed.groupby("config_id", sort=False).agg(
        {
            "model": "first",
            "device": "first",
            "precision": "first",
            "world_size": "first",
            "batch_size": "first",
            "epoch_seconds": "median",
            "samples_per_second": "median",
        }
    )
    described = pd.DataFrame(map(asdict, request.configurations)).set_index("config_id")
    table = by_configuration.join(described, how="inner").reset_index()
    alone = table[table["world_size"] == 1].set_index(["case", "device"])["samples_per_second"]
    base = [alone.get(key, np.nan) for key in zip(table["case"], table["device"], strict=True)]
    table["speedup"] = table["samples_per_second"] / np.array(base, float)
    table["efficiency"] = table["speedup"] / table["world_size"]
    return table[[column.name for column in SCALING_COLUMNS]]


def draw_scaling(table: pd.DataFrame) -> Drawing:
    """Draw speed and efficiency against the world size, a panel for each model and device."""
    with style():
        return _drawn(table)


def _drawn(table: pd.DataFrame) -> Drawing:
    groups = list(table.groupby(["model", "device"], sort=False))
    figure, grid = panels(len(groups), 3, 2.5, rows_of=2, sharex="col")
    looks = family_looks(table["series"].tolist())
    sizes = sorted(table["world_size"].unique().tolist())
    for (upper, lower), ((model, device), rows) in zip(grid.T, groups, strict=True):
        upper.set_title(shorten(f"{model} on {device}", 40), loc="left")
        for (_, backend), line in _lines(rows):
            colour, marker = looks[line["series"].iloc[0]]
            dashes = "--" if backend == "mirrored" else "-"
            for axes, column in ((upper, "samples_per_second"), (lower, "efficiency")):
                axes.plot(line["world_size"], line[column], dashes, color=colour, marker=marker)
        lower.axhline(1, color=GREY, lw=1, ls=":")
        lower.set_ylim(0, max(1.15, 1.1 * float(np.nanmax([1.0, *rows["efficiency"]]))))
        lower.set_xlabel("world size (replicas)")
        log_axis(lower, "x", sizes)
        upper.set_ylim(bottom=0)
        lower.tick_params(labelbottom=True)
    grid[0, 0].set_ylabel("samples per second")
    grid[1, 0].set_ylabel("efficiency")
    figure.legend(
        handles=[
            Line2D([], [], color=looks[s][0], marker=looks[s][1], label=shorten(s, 50) or "all")
            for s in dict.fromkeys(table["series"])
        ],
        loc="outside upper left",
        ncols=2,
    )
    caption = (
        "Training speed (above) and efficiency (below: speed over that of one replica times the "
        "world size; the dotted line is ideal) of each case. Medians over epochs, the first one "
        "left out. Dashed: MirroredStrategy; solid: Horovod."
    )
    return Drawing(figure, caption, _alt(table))


def _lines(rows: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return a line for each case and backend; one replica begins the lines of all backends."""
    lines = []
    for case, members in rows.groupby("case", sort=False):
        alone, shared = members[members["world_size"] == 1], members[members["world_size"] > 1]
        for backend, line in list(shared.groupby("backend", sort=False)) or [("single", shared)]:
            joined = pd.concat([alone, line]).sort_values("world_size")
            lines.append(((str(case), str(backend)), joined))
    return lines


def _alt(table: pd.DataFrame) -> str:
    known = table[(table["world_size"] > 1) & table["efficiency"].notna()]
    text = f"Training speed of {counted(len(table), 'configuration')} against the world size."
    if not len(known):
        return f"{text} None has a counterpart with one replica."
    ranked = known.sort_values("efficiency")
    worst, best = ranked.iloc[0], ranked.iloc[-1]
    return (
        f"{text} The efficiency is highest, {best['efficiency']:.2f}, for {best['model']} "
        f"{shorten(best['series'], 60)} with {best['world_size']} replicas and lowest, "
        f"{worst['efficiency']:.2f}, for {worst['model']} {shorten(worst['series'], 60)} with "
        f"{worst['world_size']}."
    )
