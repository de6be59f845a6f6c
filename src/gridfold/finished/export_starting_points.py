"""The best configurations of a study as points that another search tries first."""

from __future__ import annotations

from typing import Any

import pandas as pd
import yaml

from gridfold.tables.trials import axis_columns


def starts(configurations: pd.DataFrame, most: int) -> str:
    """Return the best configurations as the value of ``search.starts``, in YAML.

    Parameters
    ----------
    configurations : DataFrame
        The configurations table, best first.
    most : int
        So many of them; those that lost trials are left out.
    """
    complete = configurations[configurations["n_failed"] == 0].head(most)
    names = axis_columns(complete)
    if complete["model"].nunique() > 1:
        names.insert(0, "model")
    points = [
        {name: _plain(row[name]) for name in names if pd.notna(row[name])}
        for _, row in complete.iterrows()
    ]
    return yaml.safe_dump(points, sort_keys=False, default_flow_style=None)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    # A column of whole numbers with gaps holds real ones.
    return int(value) if isinstance(value, float) and value.is_integer() else value
