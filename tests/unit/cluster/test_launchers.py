"""What processes learn of themselves, and how they are started, by whichever launcher."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from environments import programs

from gridfold.cluster import job, launchers


@pytest.mark.parametrize(
    ("variables", "rank", "local_rank"),
    [
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}, 3, 1),
        ({"HOROVOD_RANK": "2", "HOROVOD_LOCAL_RANK": "0"}, 2, 0),
        ({"SLURM_PROCID": "5", "SLURM_LOCALID": "1"}, 5, 1),
        # Slurm has started one `mpirun` on each node, which counts for itself.
        ({"PMIX_RANK": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, 4, 0),
        ({}, 0, 0),
    ],
)
def test_a_process_learns_its_rank_from_its_launcher(
    variables: dict[str, str], rank: int, local_rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if "RANK" in name or name.startswith("SLURM_")]:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launchers.launched_rank() == rank
    assert launchers.launched_local_rank() == local_rank


def test_only_inside_a_job_slurm_starts_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path, srun="exit 0")))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert launchers.launcher_of_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert launchers.launcher_of_job() == ["srun", "--mpi=none"]
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert launchers.launcher_of_job() is None


def test_ranks_die_together_and_workers_apart() -> None:
    assert launchers.options_for_ranks("/usr/bin/srun") == ["--kill-on-bad-exit=1"]
    assert launchers.options_for_ranks("mpirun") == []
    said = shlex.join(launchers.options_for_workers(3, 2))
    assert said == "--ntasks=3 --cpus-per-task=2 --kill-on-bad-exit=0 --wait=0"


def test_outside_of_slurm_nothing_is_known() -> None:
    assert job.job_number({}) == ""
    assert job.task_number({}) is None
    assert job.cpus_per_task({"SLURM_CPUS_PER_TASK": "many"}) is None
    assert not job.knows_nodes({})
    assert job.node_name({"SLURMD_NODENAME": "c7"}) == "c7"
