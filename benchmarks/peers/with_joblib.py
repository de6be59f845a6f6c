"""joblib's processes, which it keeps from one trial to the next."""

from __future__ import annotations

import task
from joblib import Parallel, delayed

if __name__ == "__main__":
    size = task.size_asked_for()
    trials = size.trials()
    run = Parallel(n_jobs=task.WORKERS, initializer=task.begin)
    task.write_scores(trials, run(delayed(task.fitted_by_keras)(trial, size) for trial in trials))
