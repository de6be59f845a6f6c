"""A rank opens nothing but what its own job has written for it."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_works_that_somebody_has_exchanged_are_not_unpickled(tmp_path: Path) -> None:
    written = pickle.dumps(([], []))
    (tmp_path / "works.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "it-has-run")))
    digest = hashlib.sha256(written).hexdigest()
    command = [sys.executable, "-m", "gridfold.jobs.rank", str(tmp_path), digest]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    messages = [json.loads(line) for line in (tmp_path / "0.jsonl").read_text().splitlines()]
    assert messages[-1]["kind"] == "died"
    assert "works.pkl is not what the job has written" in messages[-1]["reason"]
    assert not (tmp_path / "it-has-run").exists()
