"""Measures an audit: time, memory, how often it alarms without reason, what copies it sees.

Run by hand: ``python benchmarks/audit.py sizes``, ``alarms`` and ``power``. What docs/audit.md says
of them is what it has printed.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

from gridfold.audit import neighbours
from gridfold.audit.audit import audit
from gridfold.audit.material import Material
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.description import DataDescription
from gridfold.data.splits import Splits, make_splits
from gridfold.paths import StudyPaths
from gridfold.requests import AuditRequest, SplitsRequest

# Samples and columns.
SIZES = ((1_000, 20), (10_000, 100), (100_000, 100), (1_000_000, 50), (20_000, 3_072))
SEEDS = 20
_GENERATORS: dict[str, dict[str, Any]] = {
    "make_classification": {"n_samples": 500},
    "make_blobs": {"n_samples": 500},
    "make_moons": {"n_samples": 500, "noise": 0.2},
    "make_gaussian_quantiles": {"n_samples": 500},
    "make_friedman1": {"n_samples": 500},
    "make_sparse_uncorrelated": {"n_samples": 500},
}
_EMBEDDED = {
    "iris": "multiclass",
    "wine": "multiclass",
    "digits": "multiclass",
    "breast_cancer": "binary",
    "diabetes": "regression",
}
_SURVEYS = {
    "anes96": ("vote", "binary"),
    "fair": ("affairs", "regression"),
    "star98": ("NABOVE", "regression"),
    "statecrime": ("murder", "regression"),
    "engel": ("foodexp", "regression"),
}


def resampling(problem: str) -> dict[str, Any]:
    """Return the usual splits of a kind of problem."""
    method = "kfold" if problem == "regression" else "stratified"
    return {"method": method, "folds": 5, "repeats": 1, "seed": 0}


def section(file: Path) -> dict[str, Any]:
    """Return the section `data` that reads arrays of a file."""
    names = {"features": "x", "targets": "y", "scale_targets": "none", "test_seed": 0}
    return {"source": "npz", "path": str(file), **names}


def write_study(paths: StudyPaths, samples: int, columns: int) -> None:
    """Write a prepared table of two classes, 1% of whose rows are copies."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(samples, columns)).astype(np.float32)
    targets = (features[:, :5].sum(axis=1) + rng.normal(size=samples) > 0).astype(np.int64)
    copies = rng.permutation(samples)[: samples // 100]
    features[copies], targets[copies] = features[copies - 1], targets[copies - 1]
    paths.root.mkdir(parents=True)
    np.savez(paths.root / "table.npz", x=features, y=targets)
    dataset = prepare(section(paths.root / "table.npz"), "binary")
    dataset.save(paths.data)
    how = SplitsRequest(resampling("binary"), 0.2, 0, classification=True)
    make_splits(dataset, how).save(paths.splits)


def measure(folder: Path) -> None:
    """Audit a prepared study, and print seconds and memory."""
    paths = StudyPaths(folder)
    # The highest so far is that of the process that has started this one.
    Path("/proc/self/clear_refs").write_text("5")
    held = _peak()
    before = resource.getrusage(resource.RUSAGE_SELF)
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
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    grown = _peak() - held
    codes = ", ".join(f"{f.code} {f.severity}" for f in found.findings)
    print(f"{seconds:.1f} | {used:.1f} | {grown:,.0f} | {codes} |", flush=True)


def _peak() -> float:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def sizes() -> None:
    """Print one line for each size."""
    print("| samples | columns | seconds | of processors | more memory [MB] | found |", flush=True)
    for samples, columns in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            paths = StudyPaths(Path(folder) / "study")
            write_study(paths, samples, columns)
            print(f"| {samples:,} | {columns:,} | ", end="", flush=True)
            # Of a process of its own: memory is counted at its highest.
            subprocess.run([sys.executable, __file__, "one", str(paths.root)], check=True)


def clean_sets(folder: Path) -> Iterator[tuple[str, Dataset, str]]:
    """Yield data sets without a leak: real ones, and those that generators make."""
    import statsmodels.api as sm

    for name, problem in _EMBEDDED.items():
        yield name, prepare({**section(folder), "source": name}, problem), problem
    made = {
        name: getattr(datasets, name)(random_state=0, **options)
        for name, options in _GENERATORS.items()
    }
    for name, (target, _) in _SURVEYS.items():
        frame = getattr(sm.datasets, name).load_pandas().data.select_dtypes("number")
        made[name] = frame.drop(columns=target).to_numpy(), frame[target].to_numpy()
    for name, (features, targets) in made.items():
        of_numbers = targets.dtype.kind == "f" and len(np.unique(targets)) > 2
        problem = "regression" if of_numbers else "multiclass"
        file = folder / f"{name}.npz"
        shaped = targets[:, np.newaxis] if of_numbers else targets.astype(np.int64)
        np.savez(file, x=features.astype(np.float32), y=shaped)
        yield name, prepare(section(file), problem), problem


def alarms() -> None:
    """Print how often clean data raise an error or a warning, over draws of test set and splits."""
    counts: Counter[str] = Counter()
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, dataset, problem in clean_sets(Path(folder)):
            found: Counter[str] = Counter()
            assert dataset.description is not None
            for seed in range(SEEDS):
                plan = resampling(problem) | {"seed": seed}
                splits = make_splits(
                    dataset, SplitsRequest(plan, 0.2, seed, problem != "regression")
                )
                request = AuditRequest(
                    plan["method"], "mse" if problem == "regression" else "accuracy"
                )
                audited = audit(Material(dataset, splits, request, dataset.description))
                found.update({finding.code for finding in audited.open_findings(())})
                total += 1
            counts += found
            print(f"{name}: {dict(found) or 'none'} in {SEEDS} draws", flush=True)
    print(f"{dict(counts) or 'none'} in {total} audits")


def power() -> None:
    """Print how often near copies are found, by their number and by how near they are."""
    print("| data | copies | noise [SD] | found |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("breast_cancer", "digits", "diabetes"):
            features, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
            of_numbers = name == "diabetes"
            problem = "regression" if of_numbers else "multiclass"
            shape = (-1, 8, 8, 1) if name == "digits" else features.shape
            for share in (0.02, 0.05, 0.1):
                for noise in (0.03, 0.1, 0.2):
                    found = 0
                    for seed in range(SEEDS):
                        rng = np.random.default_rng(seed)
                        copied = rng.permutation(len(features))[: int(share * len(features))]
                        spread = features.std() if name == "digits" else features.std(axis=0)
                        copies = features[copied]
                        copies = copies + noise * spread * rng.normal(size=copies.shape)
                        file = Path(folder) / "copies.npz"
                        x = np.concatenate([features, copies]).astype(np.float32)
                        y = np.concatenate([targets, targets[copied]])
                        np.savez(
                            file,
                            x=x.reshape(-1, *shape[1:]),
                            y=y[:, np.newaxis] if of_numbers else y,
                        )
                        dataset = prepare(section(file), problem)
                        assert dataset.description is not None
                        plan = resampling(problem)
                        how = SplitsRequest(plan, 0.2, seed, classification=not of_numbers)
                        request = AuditRequest(plan["method"], "mse" if of_numbers else "accuracy")
                        splits = make_splits(dataset, how)
                        material = Material(dataset, splits, request, dataset.description)
                        found += bool([*neighbours.check(material)])
                    print(f"| {name} | {share:.0%} | {noise} | {found} of {SEEDS} |", flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sizes", "alarms", "power", "one"))
    parser.add_argument("folder", type=Path, nargs="?", help="Of a prepared study, for `one`.")
    options = parser.parse_args()
    if options.what == "sizes":
        sizes()
    elif options.what == "alarms":
        alarms()
    elif options.what == "power":
        power()
    else:
        measure(options.folder)


if __name__ == "__main__":
    main()
