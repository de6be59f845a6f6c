"""Compare gridfold with what people use today, on the same trials, side by side in one run.

Grids of small networks for the digits, on folds; each trial has one thread, and two run at a time.
Contestants (the files beside this one; versions in ``requirements.txt``) run in turn, each in an
empty folder with an empty home, several rounds; the first of each round is another one each time.
All but gridfold end with a table of scores. For gridfold there are two lines: until its table of
all trials, and until its report, which has trained the final model, too.

What is measured: wall time; processor time and memory of the whole machine, so nothing else may
run; files that are left. Ratios are those to ``loop`` in the same round: median, least, most.

Run: ``uv run python benchmarks/peers/compare.py`` (sets up ``.peers`` when it is not there; hours)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".peers"
# What the ratios are to.
IDEAL = "loop"
CONTESTANTS = {
    IDEAL: ("two_processes.py", "loop"),
    "fit": ("two_processes.py", "fit"),
    "joblib": ("with_joblib.py",),
    "Optuna": ("with_optuna.py",),
    "Keras Tuner": ("with_keras_tuner.py",),
    "Ray Tune": ("with_ray.py",),
    "Hydra, joblib": ("with_hydra.py",),
    "Snakemake": ("with_snakemake.py",),
    "gridfold": ("with_gridfold.py",),
}


@dataclass(frozen=True)
class Run:
    """What a contestant has taken for all trials of a size.

    Attributes
    ----------
    wall, cpu : float
        Seconds; of the machine.
    memory : float
        MB at most, of all processes together, shared pages once.
    files : int
        That are left.
    scores : list of float
    """

    wall: float
    cpu: float
    memory: float
    files: int
    scores: list[float]


def set_up() -> None:
    """Create the environment of the others."""
    if (ENVIRONMENT / "done").exists():
        return
    python = ENVIRONMENT / "bin" / "python"
    subprocess.run(["uv", "venv", "--clear", "--python", sys.executable, ENVIRONMENT], check=True)
    command = ["uv", "pip", "install", "--python", python, "--compile-bytecode"]
    subprocess.run([*command, "-r", HERE / "requirements.txt"], check=True)
    (ENVIRONMENT / "done").touch()


def processor_seconds() -> float:
    """Return what the processors have worked since the machine's start."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system = (int(field) for field in fields[:3])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def memory_in_use() -> float:
    """Return MB that processes have for themselves or share; no cached files."""
    found = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(found[name].split()[0]) for name in ("AnonPages", "Shmem")) / 1024


class Memory(threading.Thread):
    """Looks at the memory in use ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._before = memory_in_use()
        self._most = self._before

    def run(self) -> None:
        """Look until :meth:`most` is asked for."""
        while not self._ended.wait(0.1):
            self._most = max(self._most, memory_in_use())

    def most(self) -> float:
        """Return the most, without what was in use before, and look no more."""
        self._ended.set()
        self.join()
        return self._most - self._before


def run(contestant: str, size: str) -> Iterator[tuple[str, Run]]:
    """Let a contestant train all trials of a size; yield lines of the table."""
    script, *options = CONTESTANTS[contestant]
    is_ours = contestant == "gridfold"
    python = sys.executable if is_ours else str(ENVIRONMENT / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder, home = Path(name, "work"), Path(name, "home")
        folder.mkdir()
        home.mkdir()
        environment = {
            **os.environ,
            "HOME": str(home),
            "TMPDIR": name,
            "XDG_CACHE_HOME": str(home),
            "PYTHONPATH": str(HERE),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        }
        memory = Memory()
        memory.start()
        started, before = time.time(), processor_seconds()
        ended = subprocess.run(
            [python, str(HERE / script), size, *options],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        wall, cpu = time.time() - started, processor_seconds() - before
        if ended.returncode:
            sys.exit(f"{contestant} failed:\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}")
        lines = (folder / "scores.csv").read_text().splitlines()
        scores = [float(line.rpartition(",")[2]) for line in lines]
        files = sum(path.is_file() for path in folder.rglob("*"))
        found = Run(wall, cpu, memory.most(), files, scores)
        yield contestant, found
        if is_ours:
            table = folder / "results" / "peers" / "tables" / "trials.parquet"
            until = table.stat().st_mtime - started
            yield "gridfold, to its table", Run(until, float("nan"), found.memory, files, scores)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median, least and most."""
    middle, least, most = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({least} to {most})"


def table(runs: dict[str, list[Run]]) -> list[str]:
    """Return the lines of a Markdown table of the runs of a size."""
    lines = [
        "| | wall, s | over `loop` | CPU, s | memory, MB | files | mean accuracy |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in sorted(runs.items(), key=lambda item: min(r.wall for r in item[1])):
        ratios = [a.wall / b.wall for a, b in zip(found, runs[IDEAL], strict=True)]
        cells = [
            f"{statistics.median(r.wall for r in found):.1f}",
            spread(ratios),
            f"{statistics.median(r.cpu for r in found):.0f}",
            f"{max(r.memory for r in found):.0f}",
            f"{found[0].files}",
            f"{statistics.mean(statistics.mean(r.scores) for r in found):.4f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |".replace("nan", "-"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1s", "10s", "60s"])
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    set_up()
    names = list(dict.fromkeys([IDEAL, *options.only]))
    for size in options.sizes:
        runs: dict[str, list[Run]] = {}
        for number in range(options.rounds):
            shift = number % len(names)
            for name in (*names[shift:], *names[:shift]):
                for line, found in run(name, size):
                    runs.setdefault(line, []).append(found)
                    print(f"{size}, round {number + 1}: {line} {found.wall:.1f} s", file=sys.stderr)
        trials = {len(r.scores) for found in runs.values() for r in found}
        if len(trials) > 1:
            sys.exit(f"contestants have trained different numbers of trials: {trials}")
        print(f"\n{trials.pop()} trials of about {size}, {options.rounds} rounds\n")
        print("\n".join(table(runs)), flush=True)


if __name__ == "__main__":
    main()
