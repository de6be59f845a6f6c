"""`execution.trial_timeout` in whole studies: what does not end is ended and told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from workspaces import Workspace, tiny

MODEL = """
import time

import keras


class Loop(keras.layers.Layer):
    def call(self, x, training=False):
        while training:
            time.sleep(0.01)
        return x


def build_model(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    if hp.Boolean("forever", default=False):
        x = Loop()(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def study(timeout: int, **changes: Any) -> dict[str, Any]:
    return tiny(
        model={"python": {"build": "own.py:build_model"}},
        search={"space": {"python.forever": [False, True]}},
        resampling={"method": "holdout"},
        execution={"trial_timeout": timeout, "retries": 0, "failed_trials": "report"},
        **changes,
    )


def test_a_study_with_a_trial_that_does_not_end_is_finished(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODEL)
    workspace = Workspace(tmp_path)
    workspace.snakemake(study(30))
    trials = workspace.table().set_index("python.forever")
    assert trials.loc[False, "status"] == "finished"
    assert trials.loc[True, "failure"] == "timeout"
    reason = trials.loc[True, "reason"]
    assert "30 s, the limit of execution.trial_timeout" in reason
    # AutoGraph runs what it has made of the layer, in a file that nobody will find.
    assert "autograph" not in reason
    page = (tmp_path / "results" / "tiny" / "report.html").read_text()
    assert "execution.trial_timeout" in page
    # Another limit asks for nothing to be trained.
    planned = workspace.planned_jobs(study(3600))
    assert not {"train", "fit_final", "collect"} & set(planned)


def test_a_tuner_goes_on_after_a_trial_that_does_not_end(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODEL)
    strategy = {"type": "keras_tuner", "tuner": "grid"}
    content = study(30)
    content["search"]["strategy"] = strategy
    workspace = Workspace(tmp_path)
    workspace.snakemake(content, "results/tiny/tables/trials.parquet")
    shard = tmp_path / "results" / "tiny" / "shards" / "explore-001.trials.parquet"
    assert set(pd.read_parquet(shard)["failure"]) == {"", "timeout"}
