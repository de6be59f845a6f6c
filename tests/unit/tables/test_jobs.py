"""What jobs asked for and used, from the words of a real `sacct` to advice."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pandas as pd
import pytest

from gridfold.cluster.accounting import ask_sacct, cpu_seconds, read_sacct
from gridfold.store.job_records import JobRecord
from gridfold.tables.jobs import JOB_COLUMNS, advise, job_table

# As Slurm 22.05 prints it: job 7 ran twice, for its node was lost; job 8 had a GPU; job 9 was
# cancelled before it began; job 10 has no steps yet.
SACCT = """\
7|NODE_FAIL|100|00:00:00|||billing=4,cpu=4,mem=8000M,node=1|120|c1
7|COMPLETED|3600|01:30:00|||billing=4,cpu=4,mem=8000M,node=1|120|c2
7.batch|COMPLETED|3600|00:00:10|300000000|1|cpu=4,mem=8000M,node=1||c2
7.0|COMPLETED|3590|01:29:50|1992294400|1|cpu=4,mem=8000M,node=1||c2
8|OUT_OF_MEMORY|61|00:40.500|||billing=2,cpu=2,gres/gpu:v100=1,gres/gpu=1,mem=4G,node=1|10|g1
8.batch|OUT_OF_MEMORY|61|00:40.500|4096000K|1|cpu=2,gres/gpu=1,mem=4G,node=1||g1
9|CANCELLED by 1000|0|00:00:00||||Partition_Limit|None assigned
10|RUNNING|30|00:00:00|||billing=4,cpu=4,mem=8000M,node=2|120|c[1-2]
10.0|RUNNING|30|00:00:00|1048576000|4|cpu=4,mem=8000M,node=2||c[1-2]
"""


def record(job: str = "", shard: str = "s0001", started: float = 1000.0) -> JobRecord:
    asked = {"cores": 4, "gpus": 0, "workers": 4, "memory_mb": 8000, "minutes": 120}
    return JobRecord(shard, "c1", job, asked, started, started + 600, 1200.0, 1500.0, 4, 0)


def jobs(*numbers: str) -> pd.DataFrame:
    return job_table([record(number) for number in numbers], read_sacct(SACCT))


def no_gpu(busy: float = math.nan) -> pd.DataFrame:
    return pd.DataFrame({"gpu_busy": [busy]})


def test_the_figures_of_accounting_are_understood() -> None:
    table = jobs("7", "8", "9", "10").set_index("slurm_job")
    assert list(table.loc["7", ["state", "runs", "seconds", "cpu_seconds"]]) == [
        "COMPLETED",
        2,
        3700.0,
        5400.0,
    ]
    assert table.loc["7", "memory_mb"] == 1900.0, "that of the step that used most"
    assert table.loc["7", "core_hours"] == pytest.approx(4 * 3700 / 3600)
    assert table.loc["8", "gpu_hours"] == pytest.approx(61 / 3600)
    assert table.loc["8", "memory_mb"] == 4000.0
    assert table.loc["9", "state"] == "CANCELLED"
    assert table.loc["10", "memory_mb"] == 2000.0, "of two tasks on each node"
    assert set(table["source"]) == {"sacct"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00.136", 0.136), ("01:02:03", 3723), ("2-00:00:01", 172801)]
)
def test_times_of_slurm(text: str, seconds: float) -> None:
    assert cpu_seconds(text) == pytest.approx(seconds)


def test_without_accounting_a_job_speaks_for_itself() -> None:
    table = job_table([record("7"), record("", started=2000.0)], {})
    assert list(table["source"]) == ["own", "own"]
    assert list(table["seconds"]) == [600.0, 600.0]
    assert list(table["cpu_efficiency"]) == [0.5, 0.5]
    assert "`mem_mb` 2000 would do" in " ".join(advise(table, no_gpu()))


def test_a_requeued_job_is_one_row_and_a_retry_another() -> None:
    lost = record("7")
    lost.ended = 0.0
    table = job_table([lost, record("7", started=2000.0), record("11", started=3000.0)], {})
    assert list(table["runs"]) == [2, 1]
    assert math.isnan(table["seconds"][0]), "how long the lost run lived, nobody knows"


def test_a_study_without_jobs_has_a_table_all_the_same(tmp_path: Path) -> None:
    table = job_table([], {})
    assert list(table.columns) == [column.name for column in JOB_COLUMNS]
    assert advise(table, no_gpu()) == []
    table.to_parquet(tmp_path / "jobs.parquet")


def test_advice_says_what_would_do() -> None:
    text = " ".join(advise(jobs("7"), no_gpu()))
    assert "asked for 8.0 GB and used 1.9 GB at most: `mem_mb` 2500 would do" in text
    assert "up to 120 min" not in text, "an hour of two is no waste"
    assert "ran out of memory" in " ".join(advise(jobs("7", "8"), no_gpu()))


def test_advice_is_for_those_who_asked() -> None:
    assert not advise(job_table([record()], {}), no_gpu())


def test_idle_gpus_are_mentioned() -> None:
    assert "GPUs computed 12% of the time" in advise(job_table([], {}), no_gpu(0.12))[0]


def test_without_sacct_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_sacct(["7"]) == {}
    assert ask_sacct([""]) == {}


def test_a_sacct_that_refuses_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "sacct"
    # What it says on a cluster without accounting.
    program.write_text("#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert ask_sacct(["7"]) == {}
