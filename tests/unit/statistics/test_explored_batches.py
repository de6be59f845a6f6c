"""What a search that may stop has explored is what all its batches have."""

from __future__ import annotations

import pandas as pd
import pytest

from gridfold.requests import SummaryRequest
from gridfold.statistics import explored


def test_axes_are_judged_by_all_batches_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # How a table is summed up is tested elsewhere.
    monkeypatch.setattr(explored, "summarise", lambda trials, request: trials)
    stages = {"explore": "abc", "more1": "de", "refine1": "afgh", "confirm": "abcd"}
    path = pd.DataFrame(
        [
            {"stage": stage, "config_id": name, "split": split, "epochs": 2}
            for stage, names in stages.items()
            for name in names
            for split in ("r0f0", "r0f1")
        ]
    )
    compared = path[path["stage"] == "confirm"]
    found = explored.explored(compared, path, SummaryRequest("accuracy", 0.95))
    assert found is not None
    assert list(dict.fromkeys(found.trials["config_id"])) == list("abcde")
    assert found.effort.startswith("all 5 configurations of the stage Explore, each trained for 2")
