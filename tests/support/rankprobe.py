"""Trains tasks on the ranks of a launch and keeps what each rank ends with.

Run by a launcher as ``python rankprobe.py FOLDER``; ``FOLDER/tasks.pkl`` holds the tasks by name,
``FOLDER/<name>.<rank>.npz`` the answers.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from gridfold.jobs.frozen_imports import lasting

with lasting():
    import keras
    import numpy as np

    from gridfold.data.dataset import Dataset
    from gridfold.data.splits import Splits
    from gridfold.training import devices as distribution
    from gridfold.training.devices import seed_states
    from gridfold.training.trial import fit
    from gridfold.training.turns import Turns
    from gridfold.usercode import functions


def main(folder: Path) -> None:
    tasks = pickle.loads((folder / "tasks.pkl").read_bytes())
    first = next(iter(tasks.values()))
    options = first.settings["training"].get("distribution")
    devices = distribution.start(options, first.threads)
    for name, task in tasks.items():
        functions.forget()
        devices.configure(task.settings["training"].get("distribution"))
        split = Splits.load(task.splits, task.split).by_name[task.split]
        dataset = Dataset.load(task.data)
        fitted = fit(
            task, dataset, split.training, split.validation, lambda row: None, Turns(devices)
        )
        seeds = {id(state) for state in seed_states(fitted.model)}
        weights = [
            keras.ops.convert_to_numpy(variable)
            for variable in (*fitted.model.variables, *fitted.model.optimizer.variables)
            if id(variable) not in seeds
        ]
        curve = [[row["loss"], row["val_loss"], row["val_metric"]] for row in fitted.history]
        # By name: the arrays of a model have any shapes.
        arrays = {f"weights{index:03d}": weight for index, weight in enumerate(weights)}
        np.savez(folder / f"{name}.{devices.rank}.npz", curve=np.array(curve), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
