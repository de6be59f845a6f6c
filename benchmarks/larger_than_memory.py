"""Compare ways to read samples in random order that are larger than the memory for them.

Rows of a mapped file in the order of an epoch, by a process in a control group with little memory:
as the system reads them by itself, as gridfold has it read them, and in shuffled blocks
(`training.shuffle_block`). Each in a fresh process, for some seconds.

Run as root, who may make control groups: ``uv run python benchmarks/larger_than_memory.py``
(two minutes, 320 MB in the working directory, or in `--folder`)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

SAMPLES, NUMBERS = 400_000, 200
MEMORY_MB, SECONDS, AT_ONCE = 150, 15, 1024
WAYS = {"as the system does": None, "as gridfold does": None, "64": 64, "256": 256, "1024": 1024}


def read(file: Path, way: str, group: Path) -> dict[str, float]:
    """Read samples for some seconds; return microseconds and bytes from disk for each."""
    from gridfold.training import feeds
    from gridfold.training.loop import epoch_order
    from gridfold.training.preprocessing import Preprocessing

    block = WAYS[way]
    order = epoch_order(SAMPLES, 0, 0, block).numpy()
    # Only what comes from here on counts, the page cache included.
    (group / "cgroup.procs").write_text(str(os.getpid()))
    if way == "as the system does":
        feeds.available_memory = lambda: sys.maxsize
    samples = np.load(file, mmap_mode="r")
    rows = feeds.Rows(samples, np.arange(SAMPLES), Preprocessing(), block)
    began, before, count = time.perf_counter(), _bytes_read(), 0
    while count < SAMPLES and time.perf_counter() - began < SECONDS:
        positions = order[count : count + AT_ONCE]
        rows[positions].sum()
        count += len(positions)
    seconds, kilobytes = time.perf_counter() - began, (_bytes_read() - before) / 1e3
    return {"us a sample": 1e6 * seconds / count, "KB a sample": kilobytes / count}


def _bytes_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["read_bytes"])


@contextlib.contextmanager
def small_group() -> Iterator[Path]:
    """Make a control group with little memory, in either version of them."""
    root, name = Path("/sys/fs/cgroup"), f"gridfold-{os.getpid()}"
    is_first = (root / "memory").is_dir()
    group = root / ("memory" if is_first else "") / name
    group.mkdir()
    limit = group / ("memory.limit_in_bytes" if is_first else "memory.max")
    try:
        limit.write_text(str(MEMORY_MB * 2**20))
        yield group
    finally:
        group.rmdir()


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, way, group = options.one
        print(json.dumps(read(Path(file), way, Path(group))))
        return
    found = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, small_group() as group:
        file = Path(folder) / "samples.npy"
        np.save(file, np.ones((SAMPLES, NUMBERS), np.float32))
        for way in WAYS:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            command = [sys.executable, __file__, "--one", str(file), way, str(group)]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                sys.exit(answer.stderr)
            found[way] = json.loads(answer.stdout.splitlines()[-1])
    print(pd.DataFrame(found).T.round(2).to_markdown())


if __name__ == "__main__":
    main()
