"""Trials that share a GPU have parts of its memory; a stand-in speaks for the driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.cluster.gpu_memory import gpu_memory_mb, part_of_memory
from gridfold.jobs.pool import GpuSlots

# GPU 0 is large, GPU 1 is shared out in parts, and the driver knows no other.
DRIVER = """#!/bin/sh
case "$1" in
--id=0) echo "81559, Disabled" ;;
--id=1) echo "81559, Enabled" ;;
--id=GPU-old) echo "16160, [N/A]" ;;
*) echo "No devices were found"; exit 6 ;;
esac
"""


@pytest.fixture
def _driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(DRIVER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("_driver")
def test_the_driver_tells_the_memory_of_a_whole_gpu() -> None:
    assert gpu_memory_mb("0") == 81559
    assert gpu_memory_mb("GPU-old") == 16160
    assert gpu_memory_mb("1") is None
    assert gpu_memory_mb("MIG-8932f937") is None


def test_without_a_driver_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_memory_mb("0") is None


def test_parts_leave_room_for_cuda_itself() -> None:
    for total, trials in [(81559, 1), (81559, 4), (16160, 8), (4096, 8)]:
        part = part_of_memory(total, trials)
        assert 0 < part * trials < total
    assert part_of_memory(16160, 4) == 4040 - 600
    # Of small GPUs the rest would be too little for anything.
    assert part_of_memory(4096, 8) == 256


@pytest.mark.usefixtures("_driver")
@pytest.mark.parametrize(
    ("gpus", "workers", "memory_mb"),
    [
        (["0"], 1, None),
        (["0"], 4, 81559 // 4 - 600),
        (["0"], 3, 81559 // 3 - 600),
        # Two share the smaller one.
        (["0", "GPU-old"], 3, 16160 // 2 - 600),
        (["0", "GPU-old"], 2, None),
        (["0", "1"], 4, None),
        ([], 4, None),
    ],
)
def test_trials_that_share_a_gpu_have_a_part_of_its_memory(
    gpus: list[str], workers: int, memory_mb: int | None
) -> None:
    assert GpuSlots(gpus, workers).memory_mb == memory_mb
