"""The log of an asynchronous search survives what crashes leave in it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from workbench import wait_for

from gridfold.atomic import writer
from gridfold.store.decision_log import Decision, DecisionLog


def decision(number: int) -> Decision:
    return Decision(0, 0, f"{number:012d}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "search" / "rungs-0.jsonl"


def test_what_was_appended_is_news_once(file: Path) -> None:
    writing, reading = DecisionLog(file), DecisionLog(file)
    assert reading.news() == []
    writing.append(decision(1))
    assert reading.news() == [decision(1)]
    writing.append(decision(2))
    writing.append(decision(3))
    assert reading.news() == [decision(2), decision(3)]
    assert reading.news() == []
    assert DecisionLog(file).news() == [decision(1), decision(2), decision(3)]


def test_a_line_that_was_cut_short_is_dropped_and_the_next_one_is_whole(file: Path) -> None:
    reading = DecisionLog(file)
    DecisionLog(file).append(decision(1))
    with file.open("ab") as stream:
        stream.write(b'{"bracket":0,"ru')
    assert reading.news() == [decision(1)]
    DecisionLog(file).append(decision(2))
    assert reading.news() == [decision(2)]
    assert DecisionLog(file).news() == [decision(1), decision(2)]


@pytest.mark.parametrize("line", [b"\x00\x00\x00", b'{"bracket":0}', b"[1]", b'{"bracket":"x"}'])
def test_a_damaged_line_is_left_out(file: Path, line: bytes) -> None:
    DecisionLog(file).append(decision(1))
    file.write_bytes(line + b"\n" + file.read_bytes())
    assert DecisionLog(file).news() == [decision(1)]


def test_a_log_that_is_begun_anew_is_read_from_its_beginning(file: Path) -> None:
    reading = DecisionLog(file)
    for number in range(3):
        DecisionLog(file).append(decision(number))
    assert len(reading.news()) == 3
    file.unlink()
    assert reading.news() == []
    DecisionLog(file).append(decision(7))
    assert reading.news() == [decision(7)]


def _count(file: Path, times: int) -> None:
    """Append the number of lines so far, as often as asked; each in its turn."""
    log, known = DecisionLog(file), 0
    for _ in range(times):
        with log.turn():
            known += len(log.news())
            log.append(decision(known))
            known += len(log.news())


def test_processes_decide_in_turns(file: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(file, 15)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    # Had two decided at once, both would have written the same number.
    assert DecisionLog(file).news() == [decision(number) for number in range(45)]


def _decide_for_ever(file: Path) -> None:
    with DecisionLog(file).turn():
        time.sleep(600)


def test_who_is_killed_in_his_turn_keeps_nobody_waiting(file: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_decide_for_ever, args=(file,))
    process.start()
    lock = file.with_name(f".{file.name}.lock")
    wait_for(lock.exists)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with DecisionLog(file).turn():
        assert lock.exists()
    assert not lock.exists()


def test_what_a_killed_process_has_left_beside_the_lock_is_removed(file: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    gone = writer().replace(str(os.getpid()), str(process.pid))
    left = file.with_name(f".{file.name}.lock.{gone}-0123")
    left.parent.mkdir()
    left.touch()
    with DecisionLog(file).turn():
        pass
    assert list(file.parent.iterdir()) == []
