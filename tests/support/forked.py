"""What tests have forks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import threadpoolctl

from gridfold.errors import EXIT_CONTINUE
from gridfold.store.trials import TrialTask


def describe(connection: Connection, *words: str) -> None:
    """Print the words and send what is seen here."""
    print(*words, flush=True)
    pools = threadpoolctl.threadpool_info()
    connection.send(
        {
            "parent": os.getppid(),
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "path": sys.path,
            "tensorflow": "tensorflow" in sys.modules,
            "blas": {p["num_threads"] for p in pools if p["user_api"] == "blas"},
        }
    )


def compute(connection: Connection, folder: str) -> None:
    """Use all libraries that start threads of their own, and send what they found."""
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(0)
    square = random.normal(size=(400, 400))
    rank = np.linalg.matrix_rank(square @ square.T)
    file = f"{folder}/{os.getpid()}"
    pd.DataFrame(square).rename(columns=str).to_parquet(f"{file}.parquet")
    rows = len(pd.read_parquet(f"{file}.parquet"))
    learner = HistGradientBoostingClassifier(max_iter=5).fit(square, square[:, 0] > 0)
    figure = Figure()
    figure.subplots().plot(square[0], label="$x^2$")
    for kind in ("pdf", "svg", "png"):
        figure.savefig(f"{file}.{kind}")
    connection.send((int(rank), rows, float(learner.score(square, square[:, 0] > 0))))


def train_and_tell_conversions(connection: Connection, task: TrialTask) -> None:
    """Train a trial and send the names of the functions that AutoGraph rewrites meanwhile."""
    from tensorflow.python.autograph.pyct.transpiler import PyToPy

    from gridfold.training.trial import train_trial

    rewritten = []
    rewrite = PyToPy.transform_function

    def transform_function(self: Any, function: Any, context: Any) -> Any:
        if not self._cache.has(function, self.get_caching_key(context)):
            rewritten.append(f"{function.__module__}.{function.__qualname__}")
        return rewrite(self, function, context)

    PyToPy.transform_function = transform_function
    train_trial(task, lambda row: None)
    connection.send(rewritten)


def convert_own_function(connection: Connection) -> None:
    """Have AutoGraph rewrite a function of a user and send the files that it has written."""
    import tensorflow as tf

    tf.autograph.to_graph(leave_plainly)
    names = [name for name in sys.modules if name.startswith("__autograph_generated_file")]
    files = [sys.modules[name].__file__ for name in names]
    connection.send([file for file in files if file and os.path.exists(file)])


def leave(connection: Connection, code: int) -> NoReturn:
    """Exit with a code."""
    sys.exit(code)


def leave_by_itself(connection: Connection, file: str, code: int) -> None:
    """Send the number of the server, and exit with a code as soon as a file exists."""
    connection.send(os.getppid())
    while not os.path.exists(file):
        time.sleep(0.01)
    sys.exit(code)


def die(connection: Connection) -> None:
    """End as when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(connection: Connection) -> None:
    """Say that it has begun, and do not end."""
    connection.send("asleep")
    time.sleep(1000)


def leave_plainly(code: int) -> NoReturn:
    """Exit with a code; for :func:`gridfold.jobs.fork_server.run`."""
    print(f"parent {os.getppid()}", flush=True)
    sys.exit(code)


def end_the_server() -> None:
    """End the process that has forked this one; for :func:`gridfold.jobs.fork_server.run`."""
    os.kill(os.getppid(), signal.SIGKILL)


def leave_threads_and_children(code: int) -> NoReturn:
    """Exit with a code, with a thread and a child that do not end; print the child's number."""
    threading.Thread(target=time.sleep, args=(100_000,)).start()
    print(f"child {subprocess.Popen(['sleep', '100000']).pid}", flush=True)
    sys.exit(code)


def end_in_order(file: str) -> NoReturn:
    """Make a file, and exit with a code of its own once a signal asks for the end."""
    from gridfold.jobs.pool import stop_signals

    with stop_signals() as stopped:
        Path(file).touch()
        stopped.wait()
    print("in order", flush=True)
    sys.exit(EXIT_CONTINUE)
