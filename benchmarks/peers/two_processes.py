"""Two long-lived processes that take one trial after another, as a careful hand-written script.

``two_processes.py SIZE loop`` trains with the hand-written loop, ``fit`` with `Model.fit`.
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import task


def trained(trial: dict[str, Any]) -> float:
    fitted = {"loop": task.fitted_by_hand, "fit": task.fitted_by_keras}[sys.argv[2]]
    return fitted(trial, task.size_asked_for())


if __name__ == "__main__":
    trials = task.size_asked_for().trials()
    with multiprocessing.get_context("spawn").Pool(task.WORKERS, task.begin) as pool:
        task.write_scores(trials, pool.map(trained, trials, chunksize=1))
