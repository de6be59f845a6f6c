"""Damages files of a finished study in all ways, and tells what the next run makes of it.

``make damage-matrix`` tries each kind of damage on each kind of file, and prints a table for
``docs/reliability.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from workspaces import Workspace

STUDY: dict[str, Any] = {
    "study": "small",
    "data": {"source": "csv", "path": "a.csv", "targets": ["y"]},
    "problem": {"type": "binary"},
    "model": {"mlp": {"units": 4}},
    "search": {"space": {"mlp.units": [4, 8]}},
    "training": {"epochs": 2},
    "resampling": {"method": "stratified", "folds": 2},
    "execution": {"trials_per_job": 2},
}


def _truncated(file: Path, _: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flipped(file: Path, _: Path) -> None:
    """Flip the lowest bit of a digit where there is one: nothing looks more like a result."""
    content = bytearray(file.read_bytes())
    digits = [place for place, byte in enumerate(content) if byte in b"0123456789"]
    is_text = file.suffix in (".json", ".jsonl", ".csv", ".log", ".answered", ".html", ".md")
    places = digits if is_text and digits else range(len(content))
    if content:
        content[places[len(places) // 2]] ^= 1
    file.write_bytes(content)


def _zeroed(file: Path, _: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _deleted(file: Path, _: Path) -> None:
    file.unlink()


def _swapped(file: Path, other: Path) -> None:
    """Put another file of its kind in its place, or of another kind where it is the only one."""
    shutil.copyfile(other, file)


def _folder(file: Path, _: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "notes.txt").write_text("somebody's\n")


def _circle(file: Path, _: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


DAMAGES: Mapping[str, Callable[[Path, Path], None]] = {
    "truncated": _truncated,
    "one bit": _flipped,
    "zeros": _zeroed,
    "deleted": _deleted,
    "another's": _swapped,
    "a folder": _folder,
    "a link to itself": _circle,
}

# Of the names of files, what tells one of a kind from another.
_ONE_OF_MANY = (
    (r"\b[0-9a-f]{12}\b", "<id>"),
    (r"\b[rc]\d+f\d+\b", "<split>"),
    (r"\b[sd]\d{4}\b", "<shard>"),
    (r"-\d{10}-\d+", "-<time>"),
    (r"-\d{5}\b", "-<epoch>"),
)
_ASKED_FOR = ("runs/", "data/", "splits")
# Kinds of files that a line of the table names; of more, their folder and number.
_MOST_NAMED = 4
# What a run with the run store alone does not have.
_MADE_OF_IT = (
    *("shards", "tables", "final", "figures", "search", "report.html", "README.md"),
    *("checklists", "workflow", "croissant.json", "ro-crate-metadata.json"),
)


def kind_of(file: Path) -> str:
    """Return the name of a file without what tells it from others of its kind."""
    text = file.as_posix()
    for pattern, word in _ONE_OF_MANY:
        text = re.sub(pattern, word, text)
    return text


def kinds(results: Path) -> dict[str, list[Path]]:
    """Return all files of a study by their kind, as seen from its folder."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(results.rglob("*")):
        if file.is_file():
            found[kind_of(file.relative_to(results))].append(file.relative_to(results))
    return found


@dataclass(frozen=True)
class Case:
    """A damage to a file.

    Attributes
    ----------
    kind, damage : str
    file, other : Path
        What is damaged, and what may be put in its place.
    """

    kind: str
    damage: str
    file: Path
    other: Path

    def __str__(self) -> str:
        return f"{self.kind}: {self.damage}"


def cases(results: Path) -> list[Case]:
    """Return all damages to all kinds of files of a study."""
    found = kinds(results)
    everything = [file for files in found.values() for file in files]
    made = []
    for kind, files in found.items():
        others = files[1:] or [
            other for other in everything if other.suffix == files[0].suffix and other != files[0]
        ]
        other = (others or [f for f in everything if f != files[0]])[0]
        made += [Case(kind, damage, files[0], other) for damage in DAMAGES]
    return made


def of_day(found: list[Case], day: str, count: int) -> list[Case]:
    """Return some cases, others each day."""
    return random.Random(day).sample(found, count)


def finished(folder: Path) -> Workspace:
    """Run the small study in `folder`."""
    numbers = random.Random(0)
    rows = [f"{numbers.gauss(i % 2, 1):.3f},{numbers.gauss(0, 1):.3f},{i % 2}" for i in range(120)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    workspace = Workspace(folder, is_lean=False)
    workspace.snakemake(STUDY)
    return workspace


def results_of(workspace: Workspace) -> Path:
    """Return the folder of the small study."""
    return workspace.folder / "results" / STUDY["study"]


def numbers_of(results: Path) -> dict[str, Any]:
    """Return all that a study has found, without times and what was used."""
    found: dict[str, Any] = {}
    for file in sorted(results.glob("tables/*.csv")):
        # Of the jobs of each run.
        if file.stem == "jobs":
            continue
        table = pd.read_csv(file)
        used = [c for c in table if re.search("seconds|hours|memory|efficiency|resumpt", str(c))]
        found[file.name] = table.drop(columns=used).to_csv(index=False)
    best, card = results / "tables" / "best.json", results / "final" / "card.json"
    if best.is_file():
        found["best"] = json.loads(best.read_text())
    if card.is_file():
        said = json.loads(card.read_text())
        found |= {"test": said["test"], "data": said["data"]}
    return found


@dataclass(frozen=True)
class Outcome:
    """What a run has made of a damage.

    Attributes
    ----------
    code : int
        Exit code of the run.
    said : str
        What it has said.
    complaint : str
        What is wrong about that; empty where nothing is.
    made_again : bool
        Whether it had something to do.
    """

    code: int
    said: str
    complaint: str
    made_again: bool

    def __str__(self) -> str:
        if self.complaint:
            return f"**{self.complaint}**"
        if self.code:
            return "stops"
        return "made again" if self.made_again else "same"


def outcome(original: Workspace, case: Case, folder: Path) -> Outcome:
    """Damage a copy of a finished study and run it again.

    Where the run store is damaged, or what it was trained on, the run finds nothing else: it asks
    for all trials.

    Parameters
    ----------
    original : Workspace
    case : Case
    folder : Path
        Where the copy goes.
    """
    shutil.copytree(original.folder, folder, symlinks=True)
    workspace = Workspace(folder, is_lean=False)
    results = results_of(workspace)
    DAMAGES[case.damage](results / case.file, results / case.other)
    for name in _MADE_OF_IT if case.kind.startswith(_ASKED_FOR) else ():
        place = results / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    run = workspace.snakemake(STUDY, expect=None)
    said = run.stdout + run.stderr
    has_run = "Nothing to be done" not in said
    return Outcome(
        run.returncode, said, _complaint(run.returncode, said, case, original, results), has_run
    )


def _complaint(code: int, said: str, case: Case, original: Workspace, results: Path) -> str:
    if "Traceback" in said or re.search(r"traceback: ", said):
        return "traceback"
    if code:
        return "" if case.file.name in said else "stops without the name of the file"
    if numbers_of(results) != numbers_of(results_of(original)):
        return "other numbers, or none"
    return ""


def table(found: Mapping[Case, Outcome]) -> str:
    """Return outcomes as a table in Markdown; a line for all files of a folder with the same."""
    by_kind: dict[str, dict[str, str]] = defaultdict(dict)
    for case, result in found.items():
        by_kind[case.kind][case.damage] = str(result)
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for kind, by_damage in by_kind.items():
        folder = f"{kind.partition('/')[0]}/" if "/" in kind else ""
        alike[folder, *(by_damage.get(damage, "") for damage in DAMAGES)].append(kind)
    lines = [f"| files | {' | '.join(DAMAGES)} |", "|---" * (len(DAMAGES) + 1) + "|"]
    for (folder, *cells), kinds_alike in alike.items():
        names = ", ".join(f"`{kind}`" for kind in kinds_alike)
        if len(kinds_alike) > _MOST_NAMED and folder:
            names = f"`{folder}`: {len(kinds_alike)} kinds"
        lines.append(f"| {names} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _tried(original: Workspace, case: Case, folder: Path) -> Outcome:
    """Try a case, and leave no copy of the study behind."""
    try:
        return outcome(original, case, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _all(folder: Path, wanted: str, processes: int) -> Iterator[tuple[Case, Outcome]]:
    original = finished(folder / "original")
    chosen = [c for c in cases(results_of(original)) if re.search(wanted, str(c))]
    # Each with libraries and a Snakemake of its own, which a fork would share with this one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        copies = (folder / str(number) for number in range(len(chosen)))
        found = pool.map(_tried, itertools.repeat(original), chosen, copies)
        for number, (case, result) in enumerate(zip(chosen, found, strict=True), start=1):
            if result.complaint:
                print(result.said, file=sys.stderr)
            print(f"{number}/{len(chosen)} {case}: {result}", file=sys.stderr, flush=True)
            yield case, result


def main() -> None:
    """Print the whole matrix, or the cases whose names match a regular expression."""
    parser = argparse.ArgumentParser(description="Damage a study and run it again.")
    parser.add_argument("wanted", nargs="?", default="", help="a regular expression")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = dict(_all(Path(folder), options.wanted, options.processes))
    print(table(found))
    sys.exit(any(result.complaint for result in found.values()))


if __name__ == "__main__":
    main()
