"""What is behind a failure, recognised by what it says, and one line on what to do about it.

Used wherever a failure is shown: in the terminal, in the report, and by `gridfold show`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridfold.errors import TrialFailure

_LAST_LINES = 5
# Files of Python, of libraries, of gridfold, and those in which AutoGraph keeps what it has made.
_NOT_OWN = re.compile(
    r"/(site-packages|lib/python[\d.]+)/|/__autograph_generated_"
    rf"|^{re.escape(str(Path(__file__).parent))}/"
)
# What the executor says of it, with the command line.
_CALL = r"error message was '(.*)'\.\n\s*sbatch call:\n\s*(sbatch .*?)( --wrap=| /dev/stdin)"
# Begins the line in Snakemake's log on a job that was not submitted.
_REFUSED = "Slurm has not taken the job of"
# Options of `sbatch` that neither ask for anything nor are a reason to refuse.
_ASK_NOTHING = frozenset(
    ("--parsable", "--job-name", "--output", "--export", "--comment", "--requeue", "-D", "--signal")
)
_UNITS = {
    "-A": "account {}",
    "-C": "constraint {}",
    "-p": "partition {}",
    "-t": "{} minutes",
    "--cpus-per-gpu": "{} cores for each GPU",
    "--cpus-per-task": "{} cores for each task",
    "--gpus": "{} GPUs",
    "--gpus-per-node": "{} GPUs on each node",
    "--mem": "{} MB on each node",
    "--mem-per-cpu": "{} MB for each core",
    "--nodes": "{} nodes",
    "--ntasks": "{} tasks",
    "--ntasks-per-node": "{} tasks on each node",
}


@dataclass(frozen=True)
class Cause:
    """Something that goes wrong with trials and jobs.

    Attributes
    ----------
    name : str
    advice : str
        One line; code between backticks.
    passing : bool
        Whether another attempt, elsewhere or with more memory and time, may end otherwise.
    """

    name: str
    advice: str
    passing: bool = False


DIVERGED = Cause(
    "divergence",
    "Try a lower `training.learning_rate`, `training.clipnorm`, or other `preprocessing`.",
)
OUT_OF_MEMORY = Cause(
    "out of memory",
    "Give the job more memory (`--set-resources train:mem_mb=...` on a cluster), or train fewer "
    "trials at once (`execution.workers`).",
    passing=True,
)
GPU_MEMORY = Cause(
    "out of GPU memory",
    "Use a smaller `training.batch_size` or model, `training.mixed_precision`, or fewer trials on "
    "each GPU (`execution.trials_per_gpu`, `execution.workers`).",
    passing=True,
)
DISK_FULL = Cause(
    "disk full",
    "Free space or raise the quota where `results/` and `TMPDIR` lie; checkpoints are kept.",
    passing=True,
)
NO_HOROVOD = Cause(
    "Horovod missing",
    "Install Horovod with `make horovod`, in the environment in which jobs run.",
)
NO_LAUNCHER = Cause(
    "launcher missing",
    "Load the MPI that Horovod was built with (`module load ...`), or name another launcher with "
    "`--set-resources train_distributed:launcher=...`; `gridfold doctor` shows what is there.",
)
NO_MODULE = Cause(
    "module missing",
    "Install it in the environment in which jobs run (`uv pip install ...`), or put a module of "
    "your own beside the model file.",
)
ACCOUNT = Cause(
    "account refused",
    "Set `slurm_account` in the profile; `sacctmgr show associations user=$USER format=account` "
    "lists yours.",
)
PARTITION = Cause(
    "partition refused", "Set `slurm_partition` in the profile; `sinfo -s` lists the partitions."
)
QOS = Cause(
    "quality of service refused",
    "Set `qos` in the profile; `sacctmgr show associations user=$USER format=qos` lists yours.",
)
TOO_LONG = Cause(
    "time limit refused",
    "Give the rule the partition's `MaxTime` (`scontrol show partition`) as `runtime`, in minutes; "
    "it goes on from its checkpoints.",
)
TOO_LARGE = Cause(
    "more than a node has",
    "No node of the partition has as many cores, GPUs or as much memory: `sinfo -o '%P %c %m %G'` "
    "lists them; `--set-resources`, `--set-threads` or another `slurm_partition`.",
)
TOO_MANY_JOBS = Cause(
    "too many jobs",
    "The account or quality of service takes no more jobs of yours at once: `jobs` in the profile, "
    "or wait for others to end.",
    passing=True,
)
LIMITED = Cause(
    "more than the account may have",
    "The account or quality of service allows a job less: `sacctmgr show qos "
    "format=name,maxwall,maxtres,maxtrespu` lists limits; `--set-resources`, `--set-threads` or "
    "another `qos`.",
)
NO_SLURM = Cause(
    "Slurm missing", "Run this on a login node of the cluster, or without `--profile slurm`."
)
NO_CONTROLLER = Cause(
    "Slurm silent",
    "Slurm's controller does not answer: `scontrol ping` says when it does; then the same command "
    "goes on.",
    passing=True,
)
TIME_OUT = Cause(
    "time limit reached",
    "It goes on from its checkpoints: run the same command again, or raise `execution.retries` or "
    "`runtime`.",
    passing=True,
)
TRIAL_TOO_LONG = Cause(
    "trial too long",
    "Mend what does not end (the place that is named), or raise `execution.trial_timeout`; another "
    "attempt goes on from the last checkpoint.",
    passing=True,
)
NODE_FAILURE = Cause(
    "node failure",
    "No fault of the study: it goes on from its checkpoints elsewhere; run the same command again.",
    passing=True,
)
CANCELLED = Cause(
    "cancelled",
    "Somebody, or preemption, has ended the job: run the same command again, it goes on from its "
    "checkpoints.",
    passing=True,
)
OWN_EXIT = Cause(
    "ended by its own code",
    "Own code, or a library, has asked Python to end (`sys.exit`, `KeyboardInterrupt`): let it "
    "raise an exception that says what is wrong instead.",
)
SILENT_EXIT = Cause(
    "ended by its own code",
    "Own code, or a library, has ended the process without Python (`os._exit`), or has closed its "
    "files; its last lines may say more.",
    passing=True,
)
WRONG_PROCESSOR = Cause(
    "processor too old",
    "This TensorFlow uses instructions that the node's processor does not know: choose other nodes "
    "(`constraint`) or another build.",
    passing=True,
)
CRASH = Cause(
    "crash in native code",
    "Look at its last lines in the log of the job; libraries that do not fit each other crash so. "
    "`gridfold doctor` shows versions.",
    passing=True,
)

# Texts of Python, NumPy, TensorFlow, the kernel and Slurm, the special before the general.
_SIGNS: tuple[tuple[str, Cause], ...] = (
    (
        r"CUDA_ERROR_OUT_OF_MEMORY|CUDA out of memory|OOM when allocating tensor[^\n]*(GPU|gpu)"
        r"|by allocator GPU|failed to allocate [^\n]*(device|GPU)|CUDNN_STATUS_ALLOC_FAILED",
        GPU_MEMORY,
    ),
    (
        r"MemoryError|Unable to allocate .* for an array|Cannot allocate memory|std::bad_alloc"
        r"|OOM when allocating tensor|ResourceExhaustedError|RESOURCE_EXHAUSTED"
        r"|oom[-_]kill|OUT_OF_MEMORY|SIGKILL|when memory runs out|by the kernel: out of memory",
        OUT_OF_MEMORY,
    ),
    (r"No space left on device|[Dd]isk quota exceeded|ENOSPC|EDQUOT", DISK_FULL),
    (r"No module named '?horovod|Horovod is not installed", NO_HOROVOD),
    (r"launcher `[^`]*` not found|mpirun: (command )?not found", NO_LAUNCHER),
    (r"ModuleNotFoundError|No module named", NO_MODULE),
    (r"[Uu]nable to contact slurm controller", NO_CONTROLLER),
    # The second is the executor's own, which looks before `sbatch` does.
    (r"[Ii]nvalid account|given account \S+ appears to be invalid", ACCOUNT),
    (r"[Ii]nvalid partition", PARTITION),
    (r"[Ii]nvalid qos", QOS),
    (r"Requested time limit is invalid|PartitionTimeLimit", TOO_LONG),
    (
        r"Requested node configuration is not available|Memory specification can not be satisfied"
        r"|Invalid generic resource|CPU count per node can not be satisfied"
        r"|Requested partition configuration not available",
        TOO_LARGE,
    ),
    (r"(QOS|Assoc)(Max|Grp)Submit\w*Limit", TOO_MANY_JOBS),
    (r"(QOS|Assoc)(Max|Grp)\w+(Limit|PerJob)|violates accounting/QOS policy", LIMITED),
    (r"sbatch: (command )?not found", NO_SLURM),
    (r"NODE_FAIL|BOOT_FAIL|DUE TO NODE FAILURE", NODE_FAILURE),
    (r"status is: '(TIMEOUT|DEADLINE)'|DUE TO TIME LIMIT|\bTIMEOUT\b", TIME_OUT),
    (r"status is: '(CANCELLED|PREEMPTED|REVOKED)|DUE TO PREEMPTION", CANCELLED),
    (r"^(rank \d+: )*(SystemExit|KeyboardInterrupt|GeneratorExit)\b", OWN_EXIT),
    (r"ended without a word, exit code", SILENT_EXIT),
    (r"ended by SIGILL", WRONG_PROCESSOR),
    (r"ended by SIG(SEGV|ABRT|BUS|FPE)", CRASH),
)
# Exceptions that tell of the machine and not of the code that met them.
_OF_THE_MACHINE = frozenset(
    {
        "AbortedError",
        "BlockingIOError",
        "BrokenPipeError",
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "DeadlineExceededError",
        "HorovodInternalError",
        "InternalError",
        "InterruptedError",
        "OSError",
        "TimeoutError",
        "UnavailableError",
        "UnknownError",
    }
)


def recognise(text: str, kind: str = "") -> Cause | None:
    """Return the cause of a failure by what it says; None where none is known.

    Parameters
    ----------
    text : str
        Reason of a trial, error of `sbatch`, or state of a job.
    kind : str
        Of a trial's failure, if it is one.
    """
    if kind == "diverged":
        return DIVERGED
    if kind == "timeout":
        return TRIAL_TOO_LONG
    return next((cause for sign, cause in _SIGNS if re.search(sign, text)), None)


def cause_of(failure: TrialFailure) -> Cause | None:
    """Return the cause of a trial's failure: by its reason, else by its last lines."""
    found = recognise(failure.reason, failure.kind)
    if failure.kind == "killed" and (found is None or found in (CRASH, SILENT_EXIT)):
        # What ends a process with SIGABRT has often said why.
        return recognise(failure.detail) or found
    return found


def is_final(failure: TrialFailure) -> bool:
    """Tell whether another attempt would end at the same place.

    So do exceptions of code, since a trial with the same seed, data and code does the same again.
    What the machine did (a signal, no memory, no disk, no answer) may not happen twice.
    """
    if failure.kind != "error":
        return False
    cause = cause_of(failure)
    if cause is not None:
        return not cause.passing
    reason = re.sub(r"^(rank \d+: )+", "", failure.reason)
    name = re.match(r"[\w.]+(?=:|$)", reason)
    return name is None or name[0].rpartition(".")[2] not in _OF_THE_MACHINE


def place_of(detail: str, *, newest_first: bool = False) -> str:
    """Return where in the user's own code an exception was raised: ``my_model.py, line 14``.

    Parameters
    ----------
    detail : str
        A traceback; other text has no place.
    newest_first : bool
        Whether it begins with the latest call, as :mod:`faulthandler` writes it.
    """
    frames = re.findall(r'^\s*File "([^"<>]+)", line (\d+)', detail, re.M)
    own = [(file, line) for file, line in frames if not _NOT_OWN.search(file)]
    if not own:
        return ""
    file, line = own[0 if newest_first else -1]
    return f"{file.rpartition('/')[2]}, line {line}"


def in_full(failure: TrialFailure) -> str:
    """Return the reason of a failure: with the place of an exception, or a trial's last line."""
    last = failure.detail.strip().rpartition("\n")[2] if failure.kind == "killed" else ""
    return f"{failure.reason}; its last line: {last}" if last else _with_place(failure)


def _with_place(failure: TrialFailure) -> str:
    is_late = failure.kind == "timeout"
    place = (
        place_of(failure.detail, newest_first=is_late) if is_late or failure.kind == "error" else ""
    )
    return f"{failure.reason} ({place})" if place else failure.reason


def explained(failures: Iterable[tuple[str, TrialFailure]]) -> list[str]:
    """Return lines that say what became of trials, those of the same reason together.

    Parameters
    ----------
    failures : iterable of (str, TrialFailure)
        With the names of the trials.
    """
    alike: dict[str, tuple[list[str], TrialFailure]] = {}
    for name, failure in failures:
        alike.setdefault(_with_place(failure), ([], failure))[0].append(name)
    lines = []
    for reason, (names, failure) in alike.items():
        lines.append(f"  {_named(names)}: {reason}")
        if failure.kind == "killed":
            lines += [f"      | {line}" for line in failure.detail.splitlines()[-_LAST_LINES:]]
        cause = cause_of(failure)
        if cause is not None:
            lines.append(f"      {cause.advice}")
    return lines


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def advice_in_log(text: str) -> list[str]:
    """Return advice on what a scheduler has said in the log of Snakemake, each once.

    Only lines of the executor are looked at; trials speak for themselves.
    """
    said = re.findall(
        r"The error message was '?(.*(?:\n(?:sbatch|slurm)\w*: .*)*)|(SLURM status is: '\w+)"
        rf"|{_REFUSED} \S+: (.*)",
        text,
    )
    found: dict[str, None] = {}
    for words in said:
        cause = recognise("".join(words))
        if cause is not None:
            found[f"{cause.name}: {cause.advice}"] = None
    return list(found)


def refusal(job: str, said: str) -> list[str]:
    """Return lines on a job that Slurm has not taken: why, what it asked for, how to ask again.

    Parameters
    ----------
    job : str
        Name of its rule or group of rules.
    said : str
        What the executor says of it, with the command line.
    """
    found = re.search(_CALL, said, re.S)
    if found is None:
        return [f"{_REFUSED} {job}: {said.strip()}"]
    asked = _asked(shlex.split(found[2])[1:])
    return [
        f"{_REFUSED} {job}: {reason_in(found[1])}",
        f"  asked for: {', '.join(_in_words(*option) for option in asked)}",
        f"  the same question again: {shlex.join(_question(asked))}",
    ]


def reason_in(said: str) -> str:
    """Return what a command of Slurm complains of, in one line and without the command's name."""
    # Sites let a plugin say several lines.
    lines = (re.sub(r"^\w+: (error: )?", "", line) for line in said.splitlines())
    return "; ".join(filter(None, lines))


def question(said: str) -> list[str]:
    """Return the command that asks Slurm again for a job that it has not taken; empty without one.

    Parameters
    ----------
    said : str
        As for :func:`refusal`.
    """
    found = re.search(_CALL, said, re.S)
    return _question(_asked(shlex.split(found[2])[1:])) if found else []


def _asked(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return options of `sbatch` with their values, but for those that ask for nothing."""
    options: list[tuple[str, str]] = []
    for word in words:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            options.append((name, value))
        elif options:
            options[-1] = (options[-1][0], word)
    return [(name, value) for name, value in options if name not in _ASK_NOTHING]


def _in_words(name: str, value: str) -> str:
    return _UNITS.get(name, f"{name.lstrip('-')} {{}}").format(value).strip()


def _question(asked: Iterable[tuple[str, str]]) -> list[str]:
    """Return the command that asks Slurm whether it would take such a job."""
    words = ["sbatch", "--test-only"]
    for name, value in asked:
        if name.startswith("--"):
            words.append(f"{name}={value}" if value else name)
        else:
            words += [name, value] if value else [name]
    return [*words, "--wrap", "true"]
