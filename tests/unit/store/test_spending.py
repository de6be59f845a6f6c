"""What jobs have taken, by their meters: those that go on, have ended, or were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.store.spending import Meter, MeterFile, Spending, SpentFolder


def meter(**more: object) -> Meter:
    return Meter("s0001", 1000.0, 1360.0, cores=4, gpus=1, **more)  # type: ignore[arg-type]


def test_a_job_that_has_ended_is_charged_to_its_end() -> None:
    spending = Spending.of([meter(ended=True)], now=9000.0)
    assert spending.core_hours == pytest.approx(0.4)
    assert spending.gpu_hours == pytest.approx(0.1)
    assert (spending.cores, spending.workers, spending.has_live_jobs) == (0, 0, False)


def test_a_job_that_goes_on_is_charged_until_now() -> None:
    spending = Spending.of([meter(workers=2)], now=1365.0)
    assert spending.core_hours == pytest.approx(4 * 365 / 3600)
    assert (spending.cores, spending.gpus, spending.workers) == (4, 1, 2)


def test_a_job_that_was_killed_is_charged_for_the_interval_after_its_last_word() -> None:
    spending = Spending.of([meter(interval=10.0)], now=9000.0)
    assert spending.core_hours == pytest.approx(4 * 370 / 3600)
    assert not spending.has_live_jobs


def test_what_is_measured_corrects_the_estimates() -> None:
    assert Spending.of([meter()], now=1365.0).correction is None
    parts = [meter(estimated=10.0, took=30.0), meter(estimated=10.0, took=10.0)]
    assert Spending.of(parts, now=1365.0).correction == pytest.approx(2.0)


def test_what_was_promised_in_this_run_is_open_until_it_is_done() -> None:
    before = meter(promised={"explore/a": 100.0})
    now = Meter("s2", 2000.0, 2000.0, 1, 0, promised={"explore/b": 50.0, "explore/c": 8.0})
    other = Meter("s3", 2100.0, 2100.0, 1, 0, done={"explore/b": 20.0, "explore/c": 8.0})
    spending = Spending.of([before, now, other], now=2100.0, since=1500.0)
    assert spending.open == {"explore/b": 30.0}
    assert spending.begun == {"explore/a", "explore/b", "explore/c"}


def test_files_are_read_back_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    folder = SpentFolder(tmp_path)
    assert folder.meters() == []
    clock = iter([5.0, 6.0, 7.0])
    file = MeterFile(tmp_path, meter(), lambda: next(clock))
    with file:
        file.meter.promised = {"explore/a": 1.0}
        (found,) = folder.meters()
        assert (found.ended, found.updated) == (False, 5.0)
    (tmp_path / "s2-1-1.json").write_text('{"job": "s2"')
    (found,) = folder.meters()
    assert (found.ended, found.promised) == (True, {"explore/a": 1.0})
