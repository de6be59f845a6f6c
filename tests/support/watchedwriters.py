"""Writes below a folder in all the ways that a study does; each call is watched or disturbed.

As a program, with a folder and perhaps a seed: prints how many calls were seen as JSON; with a
seed, what was wrong after one fault at each call, of the kind that the seed has drawn.
"""

from __future__ import annotations

import collections
import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import disturbed

_PATIENCE = 300.0


def write(root: Path) -> None:
    """Write as records, arrays, checkpoints, tables, models and locks are written."""
    import h5py
    import numpy as np
    import pandas as pd

    from gridfold.arrays import write_npy
    from gridfold.atomic import replacing, write_json
    from gridfold.plan.shards import Ledger, TrialKey
    from gridfold.store import request_notes
    from gridfold.store.checkpoints import Checkpoint
    from gridfold.store.locks import TrialLock
    from gridfold.tables.trials import write as write_table

    numbers = np.arange(12.0).reshape(3, 4)
    trial = root / "runs" / "c" / "r0f0"
    lock = TrialLock(trial)
    assert lock.acquire(), f"held by {lock.live_holder()}"
    write_json(root / "records" / "record.json", {"a": 1})
    with replacing(root / "numbers.npy") as temporary:
        write_npy(temporary, numbers)
    # By the C library.
    np.save(root / "plain.npy", numbers)
    for epoch in (1, 2, 3):
        Checkpoint(epoch, [numbers], [], None).save(trial)
    ledger = Ledger({}).assign([TrialKey("c", "r0f0")], 1)
    ledger.append_to(root / "ledger.jsonl")
    frame = pd.DataFrame(numbers).rename(columns=str)
    write_table(root / "table.parquet", frame)
    write_table(root / "table.csv", frame)
    with replacing(root / "weights.h5") as temporary, h5py.File(temporary, "w") as file:
        file["numbers"] = numbers
    request_notes.write(str(root / "logs" / "job.log"), "request")
    request_notes.settle(root / "logs")
    lock.release()


def _contents(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def faults(root: Path, seed: str) -> Iterator[str]:
    """Yield what is wrong, after the same was written again, at each call of one drawn kind."""
    draw = random.Random(seed)
    places = disturbed.run(lambda: write(root), root, _PATIENCE).places
    expected = _contents(root)
    for place in places:
        fault = disturbed.Fault(place, draw.choice(place.kinds()))
        shutil.rmtree(root)
        root.mkdir()
        first = disturbed.run(lambda: write(root), root, _PATIENCE, fault)
        again = disturbed.run(lambda: write(root), root, _PATIENCE)
        if not first.reached or first.hung or again.hung or again.code:
            yield f"{fault}: {first.reached}, {again.code}: {again.said}"
        elif (found := _contents(root)) != expected:
            names = (name for name in found | expected if found.get(name) != expected.get(name))
            yield f"{fault}: {', '.join(names)}"


def main(folder: str, seed: str = "") -> None:
    """Print how many calls of each kind were seen on each file, or what is wrong after faults."""
    # Before forks, which would each import them.
    import h5py  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow  # noqa: F401

    root = Path(folder).resolve()
    if seed:
        print(json.dumps([*faults(root, seed)]))
        return
    run = disturbed.run(lambda: write(root), root, _PATIENCE)
    assert run.code == 0, run.said
    counts = collections.Counter(f"{place.call} {place.path}" for place in run.places)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
