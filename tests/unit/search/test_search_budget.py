"""What a budget has left of a search: what is compared, and what is listed apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.search.budget import begun_trials, complete, left_out_table, outcome, trained


def trials(**statuses: list[tuple[str, int]]) -> pd.DataFrame:
    """Return the trials of a stage: for each configuration, status and epochs of each split."""
    return pd.DataFrame(
        [
            {
                "stage": "explore",
                "config_id": name,
                "label": f"units={name}",
                "split": f"r0f{fold}",
                "status": status,
                "epochs": 4,
                "epochs_trained": epochs,
                "reason": f"not trained after {epochs}" if status == "left_out" else "",
            }
            for name, each in statuses.items()
            for fold, (status, epochs) in enumerate(each)
        ]
    )


WHOLE = [("finished", 4), ("finished", 4), ("finished", 4)]
BEGUN = [("finished", 4), ("left_out", 2), ("left_out", 0)]
UNTOUCHED = [("left_out", 0)] * 3
FAILED = [("failed", 0), ("finished", 4), ("finished", 4)]


def test_only_complete_configurations_are_compared() -> None:
    found = complete(trials(a=WHOLE, b=BEGUN, c=UNTOUCHED, d=FAILED))
    # A failure is no matter of the budget, and told of as ever.
    assert list(dict.fromkeys(found["config_id"])) == ["a", "d"]
    assert len(complete(trials(a=WHOLE))) == 3


def test_without_a_complete_one_there_is_no_answer() -> None:
    with pytest.raises(GridfoldError, match=r"no configuration whole.*Raise search\.budget"):
        complete(trials(b=BEGUN, c=UNTOUCHED))


def test_what_is_not_complete_is_listed_with_how_far_it_came() -> None:
    table = left_out_table([trials(a=WHOLE, b=BEGUN, c=UNTOUCHED)])
    assert table["config_id"].tolist() == ["b", "c"]
    assert table[["n_splits", "n_trained", "n_begun"]].to_numpy().tolist() == [[3, 1, 1], [3, 0, 0]]
    assert table["reason"].tolist() == ["not trained after 2", "not trained after 0"]
    assert list(left_out_table([trials(a=WHOLE)]).columns) == list(table.columns)


def test_what_was_never_begun_was_not_tried() -> None:
    part = trials(a=WHOLE, b=BEGUN, c=UNTOUCHED, d=FAILED)
    assert set(begun_trials(part)["config_id"]) == {"a", "b", "d"}
    assert trained([part]) == {"a", "b", "d"}


def test_without_a_budget_there_is_no_outcome(tmp_path: Path) -> None:
    assert outcome(StudyPaths(tmp_path), [trials(a=WHOLE)]) is None
