"""Files that an earlier run has left: whole or not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.workflow.earlier_run import is_whole

WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.json": lambda file: file.write_text(json.dumps({"a": list(range(50))})),
    "a.npy": lambda file: np.save(file, np.arange(50)),
    "a.npz": lambda file: np.savez(file, a=np.arange(50)),
    "a.parquet": lambda file: pd.DataFrame({"a": range(50)}).to_parquet(file),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_breaks_off_is_not_whole(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    WRITERS[name](file)
    assert is_whole(file)
    for size in (file.stat().st_size - 3, 20, 3, 0):
        os.truncate(file, size)
        assert not is_whole(file)


def test_an_empty_page_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<html>")
    assert is_whole(tmp_path / "report.html")
    os.truncate(tmp_path / "report.html", 0)
    assert not is_whole(tmp_path / "report.html")
