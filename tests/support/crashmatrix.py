"""A matrix of crashes: a small study is disturbed at each of its system calls and must recover.

As a program::

    python tests/support/crashmatrix.py                    # goes on where it was ended
    python tests/support/crashmatrix.py --table            # only writes the table into the docs
    python tests/support/crashmatrix.py --seed 2026-12-01 --points 16 --fresh
    python tests/support/crashmatrix.py --only "training kill rename s/splits.npz 1"

Each point is a stage of the study (:data:`crashstudy.STAGES`), a call in it, and what happens
there. The stage begins from what the undisturbed study has left; it is run and disturbed, then the
same command is given again, and what is there in the end is compared with the undisturbed study.

How calls are met is said in :mod:`syscalls`, and what a failure of power takes in :mod:`disturbed`.
Only calls below ``results/`` are disturbed; Snakemake's own records (``.snakemake``) are not.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import crashstudy
from crashstudy import STAGES, Folder, Trial, differences, trained_again, trials
from disturbed import EIO, ENOSPC, KILL, POWER, POWER_AND_NAMES, Fault, Place, Run, end_with_parent
from workbench import ROOT

RECORD = ROOT / ".crash-matrix" / "points.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- crashes: begin -->", "<!-- crashes: end -->"
# Of a file that is written in many pieces, the first, the middle and the last are disturbed.
_MOST_WRITES = 3
# What is wrong, from the worst on; a point may have several.
LOST, WRONG, HUNG, UNCLEAR, LEFT = "lost", "wrong", "hung", "unclear", "left over"
FAILINGS = (LOST, WRONG, HUNG, UNCLEAR, LEFT)
_TRACEBACK = "Traceback (most recent call last)"
_OUR_FRAME = re.compile(r'File "[^"]*(/src/gridfold/|/rules/|/Snakefile)')
_SAYS = {EIO: "Input/output error", ENOSPC: "No space left on device"}


@dataclass(frozen=True, order=True)
class Point:
    """A fault in a stage."""

    stage: str
    kind: str
    place: Place

    def __str__(self) -> str:
        return f"{self.stage} {self.kind} {self.place}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """Return the point that its text names."""
        stage, kind, place = text.split(" ", 2)
        return cls(stage, kind, Place.parse(place))


@dataclass
class Outcome:
    """What came of a point.

    Attributes
    ----------
    point : str
    code : str
        Digest of the code that was disturbed.
    reached : bool
        Whether the call came at all; how often progress is written depends on time.
    failings : dict of str to str
        What is wrong, by its kind; empty where all is well.
    said : str
        What the runs have printed, where something is wrong.
    seconds : float
    """

    point: str
    code: str
    reached: bool = True
    failings: dict[str, str] = field(default_factory=dict)
    said: str = ""
    seconds: float = 0.0


class Matrix:
    """The undisturbed study, and ways to disturb it.

    Parameters
    ----------
    folder : Path
        Where it is kept while this process runs.
    is_quick : bool
        Whether files are compared by what they say alone, for which one undisturbed run is enough.
    """

    def __init__(self, folder: Path, *, is_quick: bool) -> None:
        self._folder = folder.resolve()
        self._is_quick = is_quick
        self.points: list[Point] = []
        self._after: dict[str, Folder] = {}
        self._before: dict[str, Folder] = {}
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Run the study twice undisturbed: what is the same in both must always be the same."""
        crashstudy.prepare()
        if self._is_quick:
            self._undisturbed("one")
            return
        runs = [self._undisturbed(name) for name in ("one", "two")]
        ours, theirs = (folder.files() for folder in runs)
        same = (name for name in ours if ours[name].read_bytes() == theirs[name].read_bytes())
        self._told = set(same)
        told = _in_fork(lambda: differences(*runs, self._told.__contains__))
        assert not told, f"two undisturbed runs differ: {told}"

    def _undisturbed(self, name: str) -> Folder:
        folder = Folder.new(self._folder / name)
        self.points = []
        for stage, words in STAGES.items():
            self._before[stage] = folder.copy(self._folder / f"{name}-before-{stage}")
            run = folder.snakemake(words)
            assert run.code == 0, run.said
            self._after[stage] = folder.copy(self._folder / f"{name}-after-{stage}")
            kept = _thinned(run.places)
            self.points += [Point(stage, kind, place) for place in kept for kind in place.kinds()]
        return folder

    def repeat(self, point: Point, code: str) -> Outcome:
        """Disturb the study at a point, let it go on, and judge."""
        began = time.monotonic()
        folder = self._before[point.stage].copy(self._folder / f"p{os.getpid()}")
        try:
            outcome = self._judge(point, folder, code)
        finally:
            shutil.rmtree(folder.path, ignore_errors=True)
        outcome.seconds = round(time.monotonic() - began, 2)
        return outcome

    def _judge(self, point: Point, folder: Folder, code: str) -> Outcome:
        outcome = Outcome(str(point), code)
        known: dict[str, Trial] = {}

        def at_fault(synced: frozenset[str]) -> None:
            is_power = point.kind in (POWER, POWER_AND_NAMES)
            known.update(trials(folder, synced.__contains__ if is_power else lambda name: True))

        words = STAGES[point.stage]
        first = folder.snakemake(words, Fault(point.place, point.kind), at_fault)
        if not first.reached:
            outcome.reached = False
            return outcome
        if folder.is_locked:
            # As Snakemake says when it finds the lock of one that was killed.
            folder.snakemake(["--unlock"])
        again = folder.snakemake(words)
        failings = outcome.failings
        if first.hung or again.hung:
            failings[HUNG] = "the disturbed run" if first.hung else "the run after it"
        if again.code:
            failings[LOST] = f"the run after it failed with code {again.code}"
        elif repeated := trained_again(known, trials(folder)):
            failings[LOST] = "; ".join(repeated)
        left = folder.leftovers()
        if point.kind == POWER_AND_NAMES:
            # They are back, as everything that was removed. They say whose they were, and who
            # wants them takes them.
            back = {name for name in left if name.endswith(".lock")}
            for name in back:
                (folder.results / name).unlink()
            left = [name for name in left if name not in back]
        if left:
            failings[LEFT] = ", ".join(left)
        if not again.code:
            after = self._after[point.stage]
            if differ := _in_fork(lambda: differences(folder, after, self._told.__contains__)):
                failings[WRONG] = "; ".join(each for each in differ if each not in left)
        if unclear := _unclear(point, first, again):
            failings[UNCLEAR] = unclear
        if failings:
            outcome.said = f"{first.said[-6000:]}\n----- again -----\n{again.said[-6000:]}"
        return outcome


def _thinned(places: Sequence[Place]) -> list[Place]:
    """Return the places but for most of the writes to files that are written in many pieces."""
    last: dict[tuple[str, str], int] = {}
    for place in places:
        last[place.call, place.path] = place.occurrence
    found = []
    for place in places:
        count = last[place.call, place.path]
        chosen = (1, (count + 1) // 2, count)
        if place.call != "write" or count <= _MOST_WRITES or place.occurrence in chosen:
            found.append(place)
    return found


def _unclear(point: Point, first: Run, again: Run) -> str:
    """Return what is wrong with what was said to the user."""
    for run, when in ((first, "the disturbed run"), (again, "the run after it")):
        if _TRACEBACK in run.said and _OUR_FRAME.search(run.said):
            return f"a traceback in {when}"
    # Where Snakemake itself can't write, it has the word.
    if point.kind in _SAYS and first.code and _TRACEBACK not in first.said:
        if _SAYS[point.kind] not in first.said:
            return f"does not say `{_SAYS[point.kind]}`"
        if "results/" not in first.said:
            return "names no file"
    return ""


def _in_fork(function: Callable[[], Any]) -> Any:
    """Return what a function returns in a fork; what reads tables starts threads."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as stream:
                json.dump(function(), stream)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        found = json.load(stream)
    os.wait()
    return found


def drawn(points: Sequence[Point], seed: str) -> list[Point]:
    """Return the points in an order in which each beginning is a fair sample.

    Stages take turns, so that the longest doesn't have most of the time, and with each seed another
    one is first.
    """
    order = random.Random(seed)
    by_stage = [
        order.sample(mine, len(mine))
        for stage in order.sample([*STAGES], len(STAGES))
        if (mine := [point for point in points if point.stage == stage])
    ]
    found = []
    for index in range(max(map(len, by_stage))):
        found += [mine[index] for mine in by_stage if index < len(mine)]
    return found


def code_digest() -> str:
    """Return the digest of the code that is disturbed."""
    found = hashlib.sha256()
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    for file in sorted([*files, *(ROOT / "workflow" / "scripts").glob("*.py")]):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def read(record: Path) -> list[Outcome]:
    """Return the outcomes that were recorded."""
    if not record.exists():
        return []
    lines = record.read_text(encoding="utf-8").splitlines()
    return [Outcome(**json.loads(line)) for line in lines if line.endswith("}")]


def _note(record: Path, outcome: Outcome) -> None:
    # Whole lines, from several processes.
    with record.open("ab", buffering=0) as stream:
        stream.write((json.dumps(asdict(outcome)) + "\n").encode())


def disturb(points: Sequence[Point], matrix: Matrix, record: Path, processes: int) -> None:
    """Repeat the study for each point, several at a time, and record what comes of it."""
    code = code_digest()
    children = []
    for number in range(processes):
        child = os.fork()
        if child:
            children.append(child)
            continue
        status = 1
        try:
            end_with_parent()
            for point in points[number::processes]:
                outcome = matrix.repeat(point, code)
                _note(record, outcome)
                for kind, text in outcome.failings.items():
                    print(f"{point}: {kind}: {text}", flush=True)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise SystemExit("a process of the matrix has failed; the reason is above")


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table of outcomes, as Markdown."""
    heads = ("call", "points", "killed", EIO, ENOSPC, "power", *FAILINGS)
    columns = {KILL: "killed", POWER: "power", POWER_AND_NAMES: "power"}
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        point = Point.parse(outcome.point)
        for name in (point.place.call, "all"):
            rows[name].update(["points", columns.get(point.kind, point.kind), *outcome.failings])
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in sorted(rows, key=lambda name: (name == "all", name)):
        cells = (name if name == "all" else f"`{name}`", *(f"{rows[name][h]:,}" for h in heads[1:]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_table(outcomes: Sequence[Outcome]) -> None:
    """Put the table into the page of the documentation."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(outcomes)}{END}{after}", encoding="utf-8")


@contextlib.contextmanager
def undisturbed(*, is_quick: bool) -> Iterator[Matrix]:
    """Yield a matrix that is ready; its folder is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gfc"))
    try:
        matrix = Matrix(folder, is_quick=is_quick)
        matrix.prepare()
        yield matrix
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(words: Sequence[str]) -> int:
    """Run the program; returns whether something is wrong."""
    parser = argparse.ArgumentParser(description="Disturb a small study at its system calls.")
    parser.add_argument("--only", action="append", help="one point, as it is printed")
    parser.add_argument("--seed", default="all", help="of the order of the points")
    parser.add_argument("--points", type=int, help="how many, of all stages together")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--fresh", action="store_true", help="forget what is recorded")
    parser.add_argument("--quick", action="store_true", help="compare no bytes, but what they say")
    parser.add_argument("--table", action="store_true", help="only write the table")
    asked = parser.parse_args(words)
    asked.record.parent.mkdir(parents=True, exist_ok=True)
    if asked.fresh:
        asked.record.unlink(missing_ok=True)
    if not asked.table:
        with undisturbed(is_quick=asked.quick) as matrix:
            points = drawn(matrix.points, asked.seed)[: asked.points]
            if asked.only:
                points = [Point.parse(text) for text in asked.only]
            done = {each.point for each in _valid(asked.record)}
            left = [point for point in points if str(point) not in done or asked.only]
            print(f"{len(matrix.points)} points, {len(points)} asked for, {len(left)} left")
            disturb(left, matrix, asked.record, asked.processes)
    outcomes = _valid(asked.record)
    reached = [each for each in outcomes if each.reached]
    print(table(reached))
    if asked.table or asked.record == RECORD:
        write_table(reached)
    return int(any(each.failings for each in reached))


def _valid(record: Path) -> list[Outcome]:
    """Return what is recorded of the code as it is, the last outcome of each point."""
    code = code_digest()
    return [*{each.point: each for each in read(record) if each.code == code}.values()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
