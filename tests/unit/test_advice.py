"""Failures are recognised by their own words, produced for real wherever a machine lets us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import tiny_study
from workbench import Bench, prepare_bench, shard_tables, shared_forks, start_shard_job

from gridfold import advice
from gridfold.advice import advice_in_log, cause_of, explained, is_final, recognise, refusal
from gridfold.cli.main import main
from gridfold.errors import TrialFailure
from gridfold.jobs.ranks import Launch, RanksFailed

# What a model file does when it is asked for its model.
DEEDS = {
    "memory": """
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    limit = int(open("/proc/self/statm").read().split()[0]) * 4096 + 50_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    bytearray(500_000_000)""",
    "array": """
    import numpy as np
    np.empty((1 << 45,))""",
    "kill": """
    import os, signal
    print("the last thing that I did", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)""",
    "abort": """
    import os
    os.write(2, b"free(): invalid pointer\\n")
    os.abort()""",
    "module": "    import no_such_module",
    "horovod": """
    import sys
    sys.modules["horovod"] = None
    raise ModuleNotFoundError("No module named 'horovod'")""",
    "mistake": '    raise ValueError("units must be divisible by 3, got 64")',
    "filesystem": """
    import errno, os
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))""",
}
MODEL = """
def build_model(hp, input_shape, outputs):
    deed = hp.Choice("deed", {deeds})
{branches}
"""


def model_file(folder: Path) -> Path:
    branches = "\n".join(f'    if deed == "{n}":\n' + _deeper(text) for n, text in DEEDS.items())
    file = folder / "deeds.py"
    file.write_text(MODEL.format(deeds=list(DEEDS), branches=branches))
    return file


def _deeper(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines() if line.strip())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("advice")
    return prepare_bench(
        folder,
        tiny_study(
            model={"python": {"build": f"{model_file(folder)}:build_model"}},
            search={"space": {"python.deed": list(DEEDS)}},
            resampling={"method": "holdout"},
            execution={"trials_per_job": 100, "failed_trials": "report"},
        ),
    )


@pytest.fixture(scope="module")
def terminal(bench: Bench) -> str:
    # With retries to come, nothing is reported yet.
    with shared_forks():
        job = start_shard_job(bench.plan, last_attempt=False)
    _, errors = job.communicate(timeout=180)
    assert job.returncode == 1
    return errors.decode()


def failure_of(bench: Bench, deed: str) -> TrialFailure:
    (configuration,) = [c for c in bench.plan.configurations if c.axes["python.deed"] == deed]
    (file,) = (bench.plan.paths.runs / configuration.id).glob("*/failure.json")
    content = json.loads(file.read_text())
    return TrialFailure(content["kind"], content["reason"], content["detail"])


@pytest.mark.parametrize(
    ("deed", "cause", "final"),
    [
        ("memory", advice.OUT_OF_MEMORY, False),
        ("array", advice.OUT_OF_MEMORY, False),
        ("kill", advice.OUT_OF_MEMORY, False),
        ("abort", advice.CRASH, False),
        ("module", advice.NO_MODULE, True),
        ("horovod", advice.NO_HOROVOD, True),
        ("mistake", None, True),
        ("filesystem", None, False),
    ],
)
def test_what_a_trial_has_died_of(
    bench: Bench, terminal: str, deed: str, cause: advice.Cause | None, final: bool
) -> None:
    failure = failure_of(bench, deed)
    assert cause_of(failure) is cause
    assert is_final(failure) is final
    if cause is not None:
        assert cause.advice in terminal


def test_the_terminal_shows_the_trials_own_words_and_where(bench: Bench, terminal: str) -> None:
    assert f"{len(DEEDS)} of {len(DEEDS)} trials failed" in terminal
    assert "ValueError: units must be divisible by 3, got 64 (deeds.py, line " in terminal
    assert "| the last thing that I did" in terminal
    assert "| free(): invalid pointer" in terminal
    assert "Traceback" not in terminal


def test_show_gives_the_same_advice_and_the_traceback(
    bench: Bench, terminal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (configuration,) = [c for c in bench.plan.configurations if "module" in c.label]
    study, results = bench.plan.files[0], bench.plan.paths.root.parent
    assert main(["show", configuration.id, str(study), "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert "ModuleNotFoundError: No module named 'no_such_module' (deeds.py, line " in out
    assert advice.NO_MODULE.advice in out
    assert "Traceback" in out


def test_a_retry_repeats_what_may_end_otherwise_and_nothing_else(
    bench: Bench, terminal: str
) -> None:
    with shared_forks():
        job = start_shard_job(bench.plan, first_attempt=False)
    _, errors = job.communicate(timeout=180)
    assert job.returncode == 0, errors.decode()
    log = Path(bench.plan.paths.log("train", "s0001")).read_text()
    assert f"{len(DEEDS)} trials, 0 known, 5 to train" in log
    assert "3 not tried again" in log
    table = pd.read_parquet(shard_tables(bench.plan).trials)
    assert set(table["status"]) == {"failed"}
    assert (table.loc[table["failure"] == "error", "core_hours"] > 0).all()
    assert "its last line: the last thing that I did" in " ".join(table["reason"])


def test_a_new_run_tries_everything_for_its_file_may_be_whole_now(
    bench: Bench, terminal: str
) -> None:
    with shared_forks():
        job = start_shard_job(bench.plan)
    job.communicate(timeout=180)
    log = Path(bench.plan.paths.log("train", "s0001")).read_text()
    assert f"0 known, {len(DEEDS)} to train" in log


def test_where_only_code_has_failed_a_report_needs_no_retry(tmp_path: Path) -> None:
    bench = prepare_bench(
        tmp_path,
        tiny_study(
            model={"python": {"build": f"{model_file(tmp_path)}:build_model"}},
            search={"space": {"python.deed": ["mistake", "module"]}},
            execution={"trials_per_job": 100, "failed_trials": "report"},
        ),
    )
    with shared_forks():
        job = start_shard_job(bench.plan, last_attempt=False)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 0, errors.decode()
    assert len(pd.read_parquet(shard_tables(bench.plan).trials)) == 4


def test_a_loss_that_is_not_a_number(tmp_path: Path) -> None:
    bench = prepare_bench(
        tmp_path,
        tiny_study(
            data={"source": "diabetes"},
            problem={"type": "regression"},
            training={"epochs": 2, "learning_rate": 1e30, "optimizer": "sgd"},
        ),
    )
    (event,) = [e for e in bench.train(bench.work()) if e.failure]
    assert event.failure is not None
    assert cause_of(event.failure) is advice.DIVERGED


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Any:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "gridfold-test", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command).returncode:
        pytest.skip("only root may mount a file system of 64 kB; a full disk was NOT tested")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tiny_disk: Path) -> None:
    code = f"open({str(tiny_disk / 'file')!r}, 'wb').write(bytes(10**6))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    reason = answer.stderr.strip().splitlines()[-1]
    failure = TrialFailure("error", reason)
    assert cause_of(failure) is advice.DISK_FULL, reason
    assert not is_final(failure)


def test_a_launcher_that_is_not_there() -> None:
    with pytest.raises(RanksFailed) as error:
        Launch("no-such-mpirun", 2).command(["-V"])
    assert recognise(str(error.value)) is advice.NO_LAUNCHER


def test_tensorflow_without_memory_for_a_tensor() -> None:
    code = "import tensorflow as tf; tf.zeros((1 << 22, 1 << 22))"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert "OOM when allocating tensor" in answer.stderr
    assert recognise(answer.stderr) is advice.OUT_OF_MEMORY


# Not produced here: what TensorFlow says on a GPU (from its sources and issue threads), what Slurm
# 22.05 has answered (tests/cluster asks it again), and what its executor writes into the log.
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "ResourceExhaustedError: OOM when allocating tensor with shape[4096,4096] and type "
            "float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc",
            advice.GPU_MEMORY,
        ),
        (
            "failed to allocate 2.20G (2363031552 bytes) from device: CUDA_ERROR_OUT_OF_MEMORY: "
            "out of memory",
            advice.GPU_MEMORY,
        ),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.", advice.OUT_OF_MEMORY),
        ("OSError: [Errno 122] Disk quota exceeded", advice.DISK_FULL),
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition "
            "combination specified",
            advice.ACCOUNT,
        ),
        ("sbatch: error: invalid partition specified: nowhere", advice.PARTITION),
        (
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            advice.PARTITION,
        ),
        ("sbatch: error: Memory specification can not be satisfied", advice.TOO_LARGE),
        ("Requested node configuration is not available", advice.TOO_LARGE),
        ("sbatch: error: Invalid generic resource (gres) specification", advice.TOO_LARGE),
        ("sbatch: error: Requested time limit is invalid (missing or exceeds", advice.TOO_LONG),
        ("sbatch: error: Invalid qos specification", advice.QOS),
        (
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission "
            "failed: Job violates accounting/QOS policy (job submit limit, user's size and/or",
            advice.TOO_MANY_JOBS,
        ),
        ("sbatch: error: AssocGrpSubmitJobsLimit", advice.TOO_MANY_JOBS),
        ("sbatch: error: QOSMaxCpuPerUserLimit", advice.LIMITED),
        ("sbatch: error: AssocMaxWallDurationPerJobLimit", advice.LIMITED),
        ("Job violates accounting/QOS policy (job submit limit, user's", advice.LIMITED),
        ("/bin/sh: 1: sbatch: not found", advice.NO_SLURM),
        ("SLURM status is: 'OUT_OF_MEMORY'", advice.OUT_OF_MEMORY),
        ("SLURM status is: 'TIMEOUT'", advice.TIME_OUT),
        ("SLURM status is: 'NODE_FAIL'", advice.NODE_FAILURE),
        ("SLURM status is: 'CANCELLED'", advice.CANCELLED),
        ("slurmstepd: error: *** JOB 5 CANCELLED AT 2026 DUE TO TIME LIMIT ***", advice.TIME_OUT),
        ("ended by SIGILL", advice.WRONG_PROCESSOR),
    ],
)
def test_words_that_are_known(text: str, cause: advice.Cause) -> None:
    assert recognise(text) is cause


def test_what_is_not_known_gets_no_advice() -> None:
    assert recognise("ValueError: shapes (3,) and (4,) do not match") is None


def test_trials_of_the_same_reason_are_named_together() -> None:
    same = TrialFailure("error", "ValueError: no")
    lines = explained([("a/r0f0", same), ("a/r0f1", same), ("b/r0f0", TrialFailure("killed", "x"))])
    assert lines == ["  a/r0f0 and 1 more: ValueError: no", "  b/r0f0: x"]


def test_ranks_fail_like_trials() -> None:
    assert is_final(TrialFailure("error", "rank 1: ValueError: no"))
    assert not is_final(TrialFailure("error", "rank 0: HorovodInternalError: peer is gone"))


# What the executor says of a job that `sbatch` has refused, from a run on the test cluster.
REFUSED = """SLURM sbatch failed. The error message was 'sbatch: error: CPU count per node can not \
be satisfied
sbatch: error: Batch job submission failed: Requested node configuration is not available'.
    sbatch call:
        sbatch --parsable --job-name 1-2 --output '/a b/%j.log' --export=ALL --comment rule_train \
-A 'my lab' -p cpu -t 20 --mem 5900 --nodes=2 --requeue --ntasks-per-node=2 --cpus-per-task=5 \
--exclusive --signal=USR1@120 -D '/a b' --gres=gpu:v100:2 --wrap="python -m snakemake -p none"
"""


def test_a_refused_job_is_told_with_what_it_asked_for_and_how_to_ask_again() -> None:
    why, asked, again = refusal("report", REFUSED)
    assert why == (
        "Slurm has not taken the job of report: CPU count per node can not be satisfied; "
        "Batch job submission failed: Requested node configuration is not available"
    )
    assert asked == (
        "  asked for: account my lab, partition cpu, 20 minutes, 5900 MB on each node, 2 nodes, "
        "2 tasks on each node, 5 cores for each task, exclusive, gres gpu:v100:2"
    )
    assert again == (
        "  the same question again: sbatch --test-only -A 'my lab' -p cpu -t 20 --mem=5900 "
        "--nodes=2 --ntasks-per-node=2 --cpus-per-task=5 --exclusive --gres=gpu:v100:2 --wrap true"
    )
    assert advice_in_log(f"[gridfold] {why}") == [
        f"more than a node has: {advice.TOO_LARGE.advice}"
    ]


def test_a_job_that_was_not_submitted_for_another_reason_is_told_with_it() -> None:
    (line,) = refusal("data", "The given account nobody appears to be invalid.\n")
    assert line.endswith("the job of data: The given account nobody appears to be invalid.")
    assert advice_in_log(line) == [f"account refused: {advice.ACCOUNT.advice}"]


def test_only_what_the_scheduler_said_is_looked_for_in_the_log() -> None:
    log = """
ModuleNotFoundError: No module named 'x'
Error: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: a
sbatch: error: Batch job submission failed: Invalid partition name specified'.
Error: SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Detailed failure reason unavailable
Error: SLURM-job '8' failed, SLURM status is: 'FAILED'.
Error: SLURM-job '9' failed, SLURM status is: 'TIMEOUT'.
"""
    found = advice_in_log(log)
    assert [line.partition(":")[0] for line in found] == ["partition refused", "time limit reached"]
