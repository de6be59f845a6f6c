"""Ray Tune: a grid search, a core for each trial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
import task
from ray import tune


def trained(point: dict[str, Any], size: task.Size) -> None:
    task.begin()
    tune.report({"accuracy": task.fitted_by_keras({**size.fixed, **point}, size)})


if __name__ == "__main__":
    size = task.size_asked_for()
    here = str(Path(__file__).parent)
    ray.init(
        num_cpus=task.WORKERS,
        include_dashboard=False,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
        _temp_dir=os.environ["TMPDIR"],
    )
    tuner = tune.Tuner(
        tune.with_parameters(trained, size=size),
        param_space={name: tune.grid_search(values) for name, values in size.all_axes.items()},
        run_config=tune.RunConfig(storage_path=str(Path("ray").absolute())),
    )
    results = list(tuner.fit())
    task.write_scores(
        [size.fixed | r.config for r in results], [r.metrics["accuracy"] for r in results]
    )
