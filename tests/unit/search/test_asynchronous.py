"""Jobs of an asynchronous Hyperband share its trials, fail, are killed, go on; nothing trains."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import tiny_study
from workbench import prepare_bench, wait_for

from gridfold.errors import Interrupted, TrialFailure
from gridfold.jobs.pool import Event, Listener
from gridfold.jobs.shard import Attempt, TrialsFailed
from gridfold.jobs.work import JobInputs
from gridfold.paths import result_file
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.stage_file import StageFile
from gridfold.plan.status import state
from gridfold.requests import RungsRequest
from gridfold.search.asynchronous import Crew, RungsJobDone, RungsSearch, run_rungs
from gridfold.search.decisions import choose
from gridfold.search.rungs import ClosedRungs, Rungs, Unfinished
from gridfold.space.hyperband import schedule
from gridfold.store.decision_log import Decision, DecisionLog
from gridfold.store.job_records import JobResources
from gridfold.store.locks import TrialLock, is_locked
from gridfold.store.progress import JobProgress, ProgressFile
from gridfold.store.trials import TrialResult

EPOCHS, FACTOR = 4, 2


def study(**strategy: Any) -> dict[str, Any]:
    return tiny_study(
        training={"epochs": EPOCHS},
        search={
            "strategy": {
                "type": "hyperband",
                "factor": FACTOR,
                "asynchronous": True,
                **strategy,
            },
            "space": {"mlp.units": {"int": {"min": 2, "max": 512}}},
        },
    )


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return prepare_bench(tmp_path, study()).plan


def asked(plan: Plan) -> RungsRequest:
    return JobRequests(plan).rungs()


def begun(plan: Plan) -> list[StageFile]:
    first = [stage for stage in plan.rungs if not stage.sources]
    return [choose(JobRequests(plan).choice(stage.name), [], []) for stage in first]


def rungs(plan: Plan) -> Rungs:
    request = asked(plan)
    inputs = JobInputs.load(request.conditions, plan.paths, 1)
    return Rungs(request, begun(plan), plan.paths, inputs)


def score(config_id: str, epochs: int) -> float:
    """Return a score that depends on nothing else; longer trainings order otherwise."""
    return int(config_id[epochs : epochs + 4], 16) / 16**4


Answer = TrialResult | TrialFailure


def answered(work: Any) -> Answer:
    epochs, value = work.task.epochs, score(work.task.config_id, work.task.epochs)
    return TrialResult("finished", epochs, epochs_trained=epochs, scores={"accuracy": value})


class Trainer:
    """Stands for the pool: one worker that gets its answers from a function."""

    def __init__(
        self, answer: Callable[[Any], Answer] = answered, most: int = 10**6, pause: float = 0.0
    ) -> None:
        self._answer, self._most, self._pause = answer, most, pause
        self.trained: list[tuple[str, str, int]] = []

    def __call__(
        self, search: RungsSearch, listener: Listener, meanwhile: Callable[[], None]
    ) -> None:
        meanwhile()
        while not search.is_over():
            if len(self.trained) == self._most:
                raise Interrupted
            work = search.take()
            if work is None:
                time.sleep(0.01)
                continue
            listener(Event("started", work))
            time.sleep(self._pause)
            task, answer = work.task, self._answer(work)
            self.trained.append((task.config_id, task.split, task.epochs))
            if isinstance(answer, TrialResult):
                work.store.finish(answer, None)
                listener(Event("finished", work, usage={}))
            else:
                listener(Event("failed", work, failure=answer, usage={}))


def run(
    plan: Plan,
    trainer: Trainer,
    crew: Crew | None = None,
    attempt: Attempt = Attempt(),  # noqa: B008
) -> RungsJobDone:
    return run_rungs(
        rungs(plan), asked(plan), crew or Crew("rungs-001"), attempt, trainer, JobResources(1)
    )


def decisions(plan: Plan) -> list[Decision]:
    (file,) = plan.paths.search.glob("rungs-*.jsonl")
    return DecisionLog(file).news()


def test_a_job_trains_all_rungs_and_each_trial_once(plan: Plan) -> None:
    trainer = Trainer()
    done = run(plan, trainer)
    assert done == RungsJobDone("rungs-001", len(trainer.trained), 0)
    assert max(Counter(trainer.trained).values()) == 1
    per_rung = Counter((d.bracket, d.rung) for d in decisions(plan))
    for rung in schedule(EPOCHS, FACTOR):
        found = per_rung[rung.bracket, rung.rung]
        assert found == rung.configurations if rung.rung == 0 else found >= rung.configurations
    # Each on both splits.
    assert len(trainer.trained) == 2 * len(decisions(plan))


def test_the_order_of_one_worker_is_the_same_wherever_it_was_interrupted(
    plan: Plan, tmp_path: Path
) -> None:
    run(plan, Trainer())
    expected = decisions(plan)
    other = prepare_bench(tmp_path / "other", study()).plan
    trained: list[tuple[str, str, int]] = []
    for _ in range(100):
        trainer = Trainer(most=3)
        try:
            run(other, trainer)
            break
        except Interrupted:
            assert len(trainer.trained) == 3
        finally:
            trained += trainer.trained
    assert decisions(other) == expected
    assert max(Counter(trained).values()) == 1


def _race(plan: Plan, name: str, trained: Any) -> None:
    trainer = Trainer(pause=0.002 * (1 + int(name[-1])))
    run(plan, trainer, Crew(name))
    for trial in trainer.trained:
        trained.put(trial)


def test_three_jobs_at_once_train_no_trial_twice(plan: Plan) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    names = [f"rungs-{number:03d}" for number in range(1, 4)]
    jobs = [context.Process(target=_race, args=(plan, name, queue)) for name in names]
    for job in jobs:
        job.start()
    closed: list[tuple[str, str, int]] = []
    while any(job.is_alive() for job in jobs) or not queue.empty():
        while not queue.empty():
            closed.append(queue.get())
        time.sleep(0.02)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert max(Counter(closed).values()) == 1
    made = decisions(plan)
    assert max(Counter(made).values()) == 1
    assert len(closed) == 2 * len(made)
    # Whoever was first: what went on was once the best of as many as the factor.
    closed_rungs = ClosedRungs(rungs(plan))
    assert {d.rung for d in closed_rungs.decisions} == {0, 1, 2}
    for decision in closed_rungs.decisions:
        if decision.rung:
            epochs = EPOCHS // FACTOR ** (decision.bracket - decision.rung + 1)
            assert decision.score == pytest.approx(score(decision.config_id, epochs))
            below = [
                d for d in made if (d.bracket, d.rung + 1) == (decision.bracket, decision.rung)
            ]
            worse = [d for d in below if score(d.config_id, epochs) < decision.score]
            assert len(worse) >= FACTOR - 1


def test_a_job_that_is_killed_leaves_its_trial_to_another(plan: Plan) -> None:
    context = multiprocessing.get_context("fork")

    def hang() -> None:
        def forever(work: Any) -> Answer:
            if work.task.epochs == EPOCHS:
                time.sleep(600)
            return answered(work)

        run(plan, Trainer(forever), Crew("rungs-002"))

    job = context.Process(target=hang)
    job.start()
    wait_for(lambda: any(plan.paths.runs.glob(f"*/r*/result-{EPOCHS // 2:05d}.json")))
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    job.join()
    before = {file: file.stat().st_ino for file in plan.paths.runs.glob("*/r*/result-*.json")}
    trainer = Trainer()
    run(plan, trainer)
    assert (
        before.items()
        <= {file: file.stat().st_ino for file in plan.paths.runs.glob("*/r*/result-*.json")}.items()
    ), "what was known is not trained again"
    assert max(Counter(decisions(plan)).values()) == 1
    assert ClosedRungs(rungs(plan)).decisions


def _hold(plan: Plan, trial: tuple[str, str], released: Any) -> None:
    assert TrialLock(plan.paths.trial(*trial)).acquire()
    released.wait()
    # As a killed process leaves it.


@contextlib.contextmanager
def held(plan: Plan) -> Iterator[Any]:
    """Let another process, which is no job of the search, hold the lock of the first trial."""
    context = multiprocessing.get_context("fork")
    released = context.Event()
    trial = (plan.configurations[0].id, "r0f0")
    process = context.Process(target=_hold, args=(plan, trial, released))
    process.start()
    wait_for(lambda: is_locked(plan.paths.trial(*trial)))
    yield released
    released.set()
    process.join()


def _results(plan: Plan) -> int:
    return len(list(plan.paths.runs.glob("*/r*/result-*.json")))


def test_a_job_waits_for_a_trial_that_no_other_job_of_the_search_can_be_training(
    plan: Plan,
) -> None:
    with held(plan) as released:
        job = multiprocessing.get_context("fork").Process(
            target=lambda: run(plan, Trainer()) and None
        )
        job.start()
        wait_for(lambda: _results(plan) >= 20)
        known = -1
        while known != (known := _results(plan)):
            time.sleep(1.5)
        assert job.is_alive(), "all is trained but one trial, and what follows from it"
        released.set()
        job.join(300)
    assert job.exitcode == 0
    assert (plan.configurations[0].id, 0) in {(d.config_id, d.rung) for d in decisions(plan)}
    assert ClosedRungs(rungs(plan)).decisions


def test_a_job_leaves_the_last_trials_to_another_one_that_is_under_way(tmp_path: Path) -> None:
    plan = prepare_bench(tmp_path, study(brackets=1) | {"training": {"epochs": 1}}).plan
    under_way = ProgressFile(plan.paths.progress / "rungs-002.json", JobProgress(1))
    under_way.write(now=True)
    with held(plan):
        trainer = Trainer()
        run(plan, trainer, Crew("rungs-001", ("rungs-002",)))
        assert len(trainer.trained) == 2 * len(plan.configurations) - 1
        # It has said so, and the other one can't leave it in turn.
        assert not Crew("rungs-002", ("rungs-001",)).others_train(plan.paths)


def test_a_lost_log_costs_no_training(plan: Plan) -> None:
    run(plan, Trainer())
    (file,) = plan.paths.search.glob("rungs-*.jsonl")
    file.unlink()
    trainer = Trainer()
    run(plan, trainer)
    assert trainer.trained == []
    assert {d.rung for d in decisions(plan)} == {0, 1, 2}


def test_another_schedule_has_a_log_of_its_own(plan: Plan, tmp_path: Path) -> None:
    run(plan, Trainer())
    other = prepare_bench(tmp_path, study(factor=4)).plan
    trainer = Trainer()
    run(other, trainer)
    assert len(list(plan.paths.search.glob("rungs-*.jsonl"))) == 2


def failing_once(kind: str) -> Callable[[Any], Answer]:
    failed: list[str] = []

    def answer(work: Any) -> Answer:
        if not failed:
            failed.append(work.task.config_id)
            return TrialFailure(kind, "ValueError: no" if kind == "error" else "ended by SIGKILL")
        return answered(work)

    return answer


def test_a_failed_trial_ends_its_configuration_and_the_job_after_all_others(plan: Plan) -> None:
    trainer = Trainer(failing_once("killed"))
    with pytest.raises(TrialsFailed, match="1 of"):
        run(plan, trainer, attempt=Attempt(is_first=True, is_last=False))
    lost = trainer.trained[0]
    assert (lost[0], 1) not in {(d.config_id, d.rung) for d in decisions(plan)}
    # Another attempt tries it again, and nothing else.
    again = Trainer()
    run(plan, again, attempt=Attempt(is_first=False, is_last=True))
    assert again.trained[0] == lost


def test_what_always_fails_is_not_tried_again_in_another_attempt(plan: Plan) -> None:
    trainer = Trainer(failing_once("error"))
    with pytest.raises(TrialsFailed):
        run(plan, trainer)
    again = Trainer()
    with pytest.raises(TrialsFailed, match="not tried again"):
        run(plan, again, attempt=Attempt(is_first=False, is_last=True))
    assert again.trained == []
    # A new run tries it.
    anew = Trainer()
    run(plan, anew)
    assert anew.trained[0] == trainer.trained[0]


def test_a_diverged_configuration_is_an_answer(plan: Plan) -> None:
    def answer(work: Any) -> Answer:
        if work.task.config_id == plan.configurations[0].id:
            return TrialFailure("diverged", "loss is nan")
        return answered(work)

    run(plan, Trainer(answer))
    assert (plan.configurations[0].id, 1) not in {(d.config_id, d.rung) for d in decisions(plan)}


def test_a_job_that_has_done_its_part_leaves_the_rest_to_one_that_has_not_begun(
    plan: Plan,
) -> None:
    trainer = Trainer()
    run(plan, trainer, Crew("rungs-001", ("rungs-002",), trials=4))
    assert len(trainer.trained) == 4
    with pytest.raises(Unfinished, match="forcerun train_rungs"):
        ClosedRungs(rungs(plan))
    # The last one goes on to the end, since nobody comes after it.
    last = Trainer()
    run(plan, last, Crew("rungs-002", ("rungs-001",), trials=4))
    assert len(last.trained) > 4
    assert ClosedRungs(rungs(plan)).decisions


def test_closing_writes_the_file_and_the_tables_of_each_rung(plan: Plan) -> None:
    run(plan, Trainer())
    stages = {stage.name: plan.paths.stage(stage.name) for stage in plan.rungs}
    shards = {stage.name: plan.paths.shard_tables(stage.slots[0]) for stage in plan.rungs}
    ClosedRungs(rungs(plan)).write(plan.paths.decisions, stages, shards)
    for bracket, rung in {(d.bracket, d.rung) for d in decisions(plan)}:
        name = f"b{bracket}r{rung}"
        own = [d.config_id for d in decisions(plan) if (d.bracket, d.rung) == (bracket, rung)]
        epochs = plan.stage(name).epochs
        table = pd.read_parquet(shards[name][0])
        assert list(dict.fromkeys(table["config_id"])) == own
        assert set(table["epochs"]) == {epochs}
        if rung:
            file = StageFile.read(stages[name])
            assert [c.id for c in file.configurations] == own
            assert all(c.epochs == epochs for c in file.configurations)
            assert all(
                c.score
                == pytest.approx(score(c.id, plan.stage(f"b{bracket}r{rung - 1}").epochs or 0))
                for c in file.configurations
            )


def test_a_result_that_was_removed_is_missed_when_the_rungs_are_closed(plan: Plan) -> None:
    run(plan, Trainer())
    lost = decisions(plan)[0]
    result_file(
        plan.paths.trial(lost.config_id, "r0f0"), rungs(plan).promotions.epochs(lost)
    ).unlink()
    with pytest.raises(Unfinished, match=lost.config_id):
        ClosedRungs(rungs(plan))


def test_the_status_tells_how_far_each_rung_is_while_the_jobs_run(plan: Plan) -> None:
    assert "asynchronous" in state(plan)
    trainer = Trainer(most=6)
    with pytest.raises(Interrupted):
        run(plan, trainer)
    lines = state(plan).splitlines()
    done = sum(
        int(line.split()[-1].partition("/")[0]) for line in lines if "/" in line and "#" in line
    )
    assert done == 6


def test_a_job_that_is_killed_again_and_again_decides_what_one_does_that_is_left_alone(
    plan: Plan, tmp_path: Path
) -> None:
    run(plan, Trainer())
    other = prepare_bench(tmp_path / "other", study()).plan
    context, luck = multiprocessing.get_context("fork"), random.Random(0)
    kills = 0
    while True:
        job = context.Process(target=lambda: run(other, Trainer(pause=0.05)) and None)
        job.start()
        # Long enough for some trials, and short enough that a few jobs are killed.
        job.join(luck.uniform(0.1, 0.6) + 0.2 * kills)
        if job.exitcode is not None:
            break
        assert job.pid is not None
        os.kill(job.pid, signal.SIGKILL)
        job.join()
        kills += 1
    assert job.exitcode == 0
    assert kills, "it was never disturbed"
    assert decisions(other) == decisions(plan)
