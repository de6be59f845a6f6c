"""What a user sees while jobs run."""

from __future__ import annotations

import io
from pathlib import Path

from gridfold.store.progress import JobProgress, Monitor, ProgressFile, progress_line, read_jobs

LABELS = {"cafe": "mlp units=32", "beef": "cnn filters=8 " + "x" * 80}


def running(epoch: int, value: float | None) -> dict[str, object]:
    return {"epoch": epoch, "epochs": 20, "metric": "accuracy", "val_metric": value}


def test_the_line_names_counts_place_and_measure() -> None:
    job = JobProgress(10, done=4, failed=1, running={"cafe/r0f1": running(7, 0.91234)})
    line = progress_line(20, [job, JobProgress(10, done=10, ended=True)], LABELS)
    assert line.startswith("trials 14/20 done, 1 running, 1 failed")
    assert "mlp units=32 r0f1 epoch 7/20 val_accuracy 0.912" in line


def test_the_time_left_follows_the_speed_of_this_run() -> None:
    job = JobProgress(20, done=10, trained=5, started=1000.0, updated=1050.0)
    assert "about 100 s left" not in progress_line(20, [job], {})
    assert "about 2 min left" in progress_line(20, [job], {})


def test_nothing_is_guessed_before_a_trial_has_ended() -> None:
    job = JobProgress(20, started=1000.0, updated=1050.0, running={"cafe/r0f1": running(0, None)})
    line = progress_line(20, [job], LABELS)
    assert "left" not in line
    assert "val_" not in line


def test_long_labels_are_cut() -> None:
    line = progress_line(2, [JobProgress(2, running={"beef/r0f0": running(1, None)})], LABELS)
    assert "x" * 50 not in line


def test_files_are_read_and_torn_ones_passed_over(tmp_path: Path) -> None:
    ProgressFile(tmp_path / "s0001.json", JobProgress(3, done=2)).write(now=True)
    (tmp_path / "s0002.json").write_text('{"total": 3, "do')
    jobs = read_jobs(tmp_path, ["s0001", "s0002", "s0003"])
    assert list(jobs) == ["s0001"]
    assert jobs["s0001"].done == 2


def test_the_monitor_counts_jobs_that_have_nothing_left_to_do(tmp_path: Path) -> None:
    stream = io.StringIO()
    (tmp_path / "s0009.json").write_text("left by an earlier run")
    monitor = Monitor(tmp_path, ["s0001", "s0002"], 8, {"s0001": 5}, LABELS, stream)
    monitor.start()
    assert not (tmp_path / "s0009.json").exists()
    ProgressFile(tmp_path / "s0002.json", JobProgress(3, done=1)).write(now=True)
    monitor.stop()
    assert "[gridfold] trials 6/8 done" in stream.getvalue()


def test_the_monitor_is_silent_when_nothing_was_trained(tmp_path: Path) -> None:
    stream = io.StringIO()
    monitor = Monitor(tmp_path, ["s0001"], 5, {"s0001": 5}, LABELS, stream)
    monitor.start()
    monitor.stop()
    assert stream.getvalue() == ""
