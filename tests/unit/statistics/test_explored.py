"""What a search in stages has explored: which stage, with which trials, and how that is said."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gridfold.requests import SummaryRequest
from gridfold.statistics.explored import explored
from gridfold.statistics.summary import summarise

REQUEST = SummaryRequest("accuracy", 0.95)


def stage(name: str, configurations: str, epochs: Any = 2, splits: int = 2) -> pd.DataFrame:
    """Return the trials of a stage; each letter is a configuration."""
    rows = [
        {
            "stage": name,
            "config_id": config,
            "split": f"r0f{fold}",
            "label": config,
            "model": "mlp",
            "status": "finished",
            "epochs": epochs if isinstance(epochs, int) else epochs[place],
            "epochs_trained": 1,
            "best_epoch": 1,
            "n_train": 80,
            "n_validation": 20,
            "parameters": 1,
            "fit_seconds": 1.0,
            "accuracy": 0.5 + 0.05 * place + 0.01 * fold,
        }
        for place, config in enumerate(configurations)
        for fold in range(splits)
    ]
    return pd.DataFrame(rows)


def search(*stages: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(stages, ignore_index=True)


def test_axes_are_judged_by_all_batches_together() -> None:
    path = search(
        stage("explore", "abc"), stage("more1", "de"), stage("refine1", "afgh"),
        stage("confirm", "abcd"),
    )  # fmt: skip
    found = explored(path[path["stage"] == "confirm"], path, REQUEST)
    assert found is not None
    assert list(dict.fromkeys(found.trials["config_id"])) == list("abcde")
    assert found.effort == (
        "all 5 configurations of the stage Explore, each trained for 2 epochs on 2 splits"
    )


def test_its_configurations_are_the_summary_of_its_own_trials() -> None:
    path = search(stage("explore", "abcd", splits=3), stage("refine1", "ab"))
    found = explored(path[path["stage"] == "refine1"], path, REQUEST)
    assert found is not None
    own = path[path["stage"] == "explore"].drop(columns="stage")
    pd.testing.assert_frame_equal(found.trials, own)
    pd.testing.assert_frame_equal(found.configurations, summarise(own, REQUEST))
    assert sorted(found.configurations["config_id"]) == list("abcd")


def test_the_stage_with_most_configurations_is_it() -> None:
    path = search(stage("explore", "ab"), stage("refine1", "acdef"), stage("confirm", "ab"))
    found = explored(path[path["stage"] == "confirm"], path, REQUEST)
    assert found is not None
    assert list(dict.fromkeys(found.trials["config_id"])) == list("acdef")
    assert "5 configurations of the stage Refine" in found.effort


@pytest.mark.parametrize(
    ("epochs", "splits", "said"),
    [
        (1, 1, "each trained for 1 epoch on 1 split"),
        ([1, 3, 9], 2, "each trained for its own epochs on 2 splits"),
        ([4, 4, 4], 2, "each trained for 4 epochs on 2 splits"),
    ],
)
def test_it_says_how_long_each_was_trained(epochs: Any, splits: int, said: str) -> None:
    path = search(stage("explore", "abc", epochs, splits), stage("confirm", "ab", 20))
    found = explored(path[path["stage"] == "confirm"], path, REQUEST)
    assert found is not None
    assert found.effort.endswith(said)


def test_a_single_stage_has_nothing_besides_what_is_compared() -> None:
    path = search(stage("explore", "abc"), stage("more1", "def"))
    assert explored(path[path["config_id"].isin(list("ab"))], path, REQUEST) is None


@pytest.mark.parametrize(("compared", "beyond"), [("abc", False), ("abcd", False), ("ab", True)])
def test_what_was_compared_in_full_needs_no_other_stage(compared: str, beyond: bool) -> None:
    path = search(stage("explore", "abc"), stage("confirm", compared))
    found = explored(path[path["stage"] == "confirm"], path, REQUEST)
    assert (found is not None) is beyond
