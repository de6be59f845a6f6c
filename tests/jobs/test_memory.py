"""Data larger than memory: two gigabytes are prepared and trained on with half a gigabyte.

The limit is Linux's RLIMIT_DATA: all memory that a process can write to, and no files that are
mapped into it to be read.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux's limits of memory"
)

ROWS, COLUMNS = 2**19, 2**10
ROOM_MB = 512
LIMITED = f"""
import json, re, resource, sys
from pathlib import Path

def limit():
    data = re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    most = int(data[1]) * 1024 + {ROOM_MB} * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
"""
PREPARE = """
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.splits import make_splits
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan

plan = Plan.load([sys.argv[1]], results=Path(sys.argv[1]).parent / "results")
requests = JobRequests(plan)
request = requests.data()
limit()
prepare(request.data, request.problem, plan.paths.data).save(plan.paths.data)
splits = make_splits(Dataset.load(plan.paths.data), requests.splits())
splits.save(plan.paths.splits)
"""
TRAIN = """
import numpy as np, tensorflow as tf
from gridfold.plan.plan import Plan
from gridfold.store.trials import TrialTask
from gridfold.training.trial import train_trial

plan = Plan.load([sys.argv[1]], results=Path(sys.argv[1]).parent / "results")
(configuration,) = plan.configurations
limit()
task = TrialTask(
    configuration.id, "r0f0", 1, configuration.settings, plan.paths.data, plan.paths.splits,
    Path(sys.argv[1]).parent / f"run{sys.argv[2]}", threads=1, in_memory_mb=int(sys.argv[2]),
)
result, predictions = train_trial(task, lambda row: None)
print(json.dumps({"scores": result.scores, "predictions": len(predictions)}))
"""


def limited(code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own with little memory."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a study of two gigabytes whose data were prepared with little memory."""
    folder = tmp_path_factory.mktemp("large")
    block = np.random.default_rng(0).standard_normal((ROWS // 64, COLUMNS), dtype=np.float32)
    (folder / "arrays").mkdir()
    features = np.lib.format.open_memmap(
        folder / "arrays" / "x.npy", "w+", np.float32, (ROWS, COLUMNS)
    )
    for start in range(0, ROWS, len(block)):
        features[start : start + len(block)] = block
    assert features.nbytes >= 2 * 2**30
    np.save(folder / "arrays" / "y.npy", np.tile(block[:, 0] + block[:, 1], 64))
    del features
    file = folder / "study.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "study": "large",
                "data": {"source": "npy", "path": str(folder / "arrays")},
                "problem": {"type": "regression"},
                "model": {"mlp": {"units": 8}},
                "training": {"epochs": 1, "batch_size": 512},
                "resampling": {"method": "holdout"},
            }
        )
    )
    prepared = limited(PREPARE, file)
    assert not prepared.returncode, prepared.stderr
    yield file
    # Pytest would keep it for three runs.
    shutil.rmtree(folder)


def test_two_gigabytes_are_trained_on_in_half_a_gigabyte(study: Path) -> None:
    trained = limited(TRAIN, study, 1024)
    assert not trained.returncode, trained.stderr
    result = json.loads(trained.stdout.splitlines()[-1])
    assert result["scores"]["r2"] > 0.9
    assert result["predictions"] == round(0.8 * 0.2 * ROWS)


def test_in_memory_they_would_not_fit(study: Path) -> None:
    trained = limited(TRAIN, study, 8000)
    assert trained.returncode
    assert "Unable to allocate" in trained.stderr
