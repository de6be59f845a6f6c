"""Hydra: a sweep over the grid with its joblib launcher."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import hydra
import task
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


@hydra.main(version_base=None, config_path=None)
def trained(point: DictConfig) -> None:
    trial = dict(OmegaConf.to_container(point))
    size = task.SIZES[trial.pop("size")]
    trial = size.fixed | trial
    task.begin()
    score = task.fitted_by_keras(trial, size)
    with Path(HydraConfig.get().runtime.output_dir, "score.csv").open("w", newline="") as file:
        csv.writer(file).writerow((task.name_of(trial), score))


if __name__ == "__main__":
    name, size = sys.argv[1], task.size_asked_for()
    sys.argv[1:] = ["--multirun", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={task.WORKERS}"]
    sys.argv += [f"+size={name}", "hydra.sweep.dir=sweep"]
    sys.argv += [f"+{key}={','.join(map(str, values))}" for key, values in size.all_axes.items()]
    trained()
    lines = [file.read_text() for file in Path("sweep").glob("*/score.csv")]
    Path("scores.csv").write_text("".join(lines))
