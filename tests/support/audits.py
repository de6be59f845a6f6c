"""Audits of data that a test has made, prepared and split as a study would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from studies import tiny_study

from gridfold.audit.audit import audit
from gridfold.audit.finding import Audit, Finding
from gridfold.audit.material import Material
from gridfold.data.dataset import prepare
from gridfold.data.splits import make_splits
from gridfold.requests import AuditRequest, SplitsRequest
from gridfold.study import Study

CLASSES = ("binary", "multiclass")


def audited(
    data: dict[str, Any],
    problem: str,
    resampling: dict[str, Any] | None = None,
    measure: str | None = None,
) -> Audit:
    """Prepare and split data, and return what an audit of them finds."""
    usual = {"method": "stratified" if problem in CLASSES else "kfold"}
    asked = {"type": problem} | ({} if measure is None else {"measure": measure})
    study = Study.model_validate(
        tiny_study(data=data, problem=asked, resampling=resampling or usual)
    )
    dataset = prepare(study.data.model_dump(), problem)
    assert dataset.description is not None
    how = SplitsRequest(
        study.resampling.model_dump(),
        study.data.test_fraction,
        study.data.test_seed,
        problem in CLASSES,
    )
    request = AuditRequest(study.resampling.method, study.problem.ranking_measure)
    return audit(Material(dataset, make_splits(dataset, how), request, dataset.description))


def arrays(folder: Path, features: Any, targets: Any, **others: Any) -> dict[str, Any]:
    """Write arrays to a file, and return the section `data` that reads them."""
    targets = np.asarray(targets)
    if targets.dtype.kind == "f" and targets.ndim == 1:
        targets = targets[:, np.newaxis]
    file = folder / "arrays.npz"
    np.savez(file, x=np.asarray(features, np.float32), y=targets, **others)
    names = {"test_features": "test_features", "test_targets": "test_targets"} if others else {}
    return {"source": "npz", "path": str(file), **names}


def table(folder: Path, frame: pd.DataFrame, target: str, **keys: Any) -> dict[str, Any]:
    """Write a table to a file, and return the section `data` that reads it."""
    file = folder / "table.csv"
    frame.to_csv(file, index=False)
    missing = {"numbers": "median"}
    return {"source": "csv", "path": str(file), "targets": [target], "missing": missing, **keys}


def alarms(found: Audit) -> list[Finding]:
    """Return errors and warnings."""
    return found.open_findings(())
