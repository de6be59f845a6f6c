"""Measures how long an audit takes, and how much memory, by the size of a table.

Run by hand: ``python benchmarks/audit.py``. The table in docs/audit.md is what it has printed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gridfold.audit.audit import audit
from gridfold.audit.material import Material
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.description import DataDescription
from gridfold.data.splits import Splits, make_splits
from gridfold.paths import StudyPaths
from gridfold.requests import AuditRequest, SplitsRequest

# Samples and columns; with 1 % of the rows there twice in the last.
SIZES = ((1_000, 20), (10_000, 100), (100_000, 100), (1_000_000, 50), (100_000, 3_072))
_RESAMPLING = {"method": "stratified", "folds": 5, "repeats": 1, "seed": 0}


def write_study(paths: StudyPaths, samples: int, columns: int) -> None:
    """Write a prepared table of two classes, 1% of whose rows are copies."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(samples, columns)).astype(np.float32)
    targets = (features[:, :5].sum(axis=1) + rng.normal(size=samples) > 0).astype(np.int64)
    copies = rng.permutation(samples)[: samples // 100]
    features[copies], targets[copies] = features[copies - 1], targets[copies - 1]
    paths.root.mkdir(parents=True)
    file = paths.root / "table.npz"
    np.savez(file, x=features, y=targets)
    data = {"source": "npz", "path": str(file), "features": "x", "targets": "y", "test_seed": 0}
    dataset = prepare(data, "binary")
    dataset.save(paths.data)
    make_splits(dataset, SplitsRequest(_RESAMPLING, 0.2, 0, True)).save(paths.splits)


def measure(folder: Path) -> None:
    """Audit a prepared study, and print seconds and memory."""
    paths = StudyPaths(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = audit(
        Material(
            Dataset.load(paths.data),
            Splits.load(paths.splits),
            AuditRequest("stratified", "accuracy"),
            DataDescription.read(paths.description),
        )
    )
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    codes = ", ".join(f"{f.code} {f.severity}" for f in found.findings)
    print(f"{seconds:.1f} | {grown:,.0f} | {codes}", flush=True)


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="Of a prepared study; measured here.")
    parser.add_argument("--most", type=int, default=len(SIZES), help="How many sizes.")
    options = parser.parse_args()
    if options.folder:
        measure(options.folder)
        return
    print("samples | columns | seconds | more memory [MB] | found", flush=True)
    for samples, columns in SIZES[: options.most]:
        with tempfile.TemporaryDirectory() as folder:
            paths = StudyPaths(Path(folder) / "study")
            write_study(paths, samples, columns)
            print(f"{samples:,} | {columns:,} | ", end="", flush=True)
            # Of a process of its own: memory is counted at its highest.
            command = [sys.executable, __file__, "--folder", str(paths.root)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
