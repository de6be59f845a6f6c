"""What tests have forks do."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import NoReturn

import threadpoolctl


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


def leave(connection: Connection, code: int) -> NoReturn:
    """Exit with a code."""
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
