"""Writes below a folder in all the ways that a study does, and tells which calls were seen.

As a program, with the folder: prints the places as JSON.
"""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path

import disturbed


def write(root: Path) -> None:
    """Write as records, arrays, checkpoints, tables, models and locks are written."""
    import h5py
    import numpy as np
    import pandas as pd

    from gridfold.arrays import write_npy
    from gridfold.atomic import replacing, write_json
    from gridfold.store.checkpoints import Checkpoint
    from gridfold.store.locks import TrialLock
    from gridfold.tables.trials import write as write_table

    numbers = np.arange(12.0).reshape(3, 4)
    lock = TrialLock(root / "runs" / "c" / "r0f0")
    assert lock.acquire()
    write_json(root / "records" / "record.json", {"a": 1})
    with replacing(root / "numbers.npy") as temporary:
        write_npy(temporary, numbers)
    # By the C library.
    np.save(root / "plain.npy", numbers)
    for epoch in (1, 2, 3):
        Checkpoint(epoch, [numbers], [], None).save(root / "runs" / "c" / "r0f0")
    frame = pd.DataFrame(numbers).rename(columns=str)
    write_table(root / "table.parquet", frame)
    write_table(root / "table.csv", frame)
    with replacing(root / "weights.h5") as temporary, h5py.File(temporary, "w") as file:
        file["numbers"] = numbers
    lock.release()
    (root / "table.csv").unlink()


def main(folder: str) -> None:
    """Print how many calls of each kind were seen on each file."""
    root = Path(folder).resolve()
    run = disturbed.run(lambda: write(root), root, seconds=300)
    assert run.code == 0, run.said
    counts = collections.Counter(f"{place.call} {place.path}" for place in run.places)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
