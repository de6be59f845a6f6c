"""A small study whose runs are disturbed, stage by stage, and compared with an undisturbed one.

A process that has imported Snakemake, TensorFlow and what makes tables is forked for each run; the
run has fork servers of its own, forked from the same process, so that it imports nothing again and
all of it is watched. Everything else is what a user has: the command line, the rules, the jobs.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import disturbed
import yaml
from workbench import ROOT

from gridfold.jobs import fork_server
from gridfold.jobs.fork_server import STOP_SIGNALS, TABLES, TRAINING, Libraries
from gridfold.plan import fingerprint
from gridfold.usercode.digests import source_digest

SHARD_TABLES = ("trials", "epochs", "predictions")
STUDY = {
    "study": "s",
    "data": {"source": "iris"},
    "problem": {"type": "multiclass"},
    "model": {"mlp": {"units": 4}},
    "training": {"epochs": 2, "learning_rate": 0.01, "checkpoint_every": 1},
    "search": {"space": {"mlp.units": [4, 8]}},
    "resampling": {"method": "kfold", "folds": 2},
    "execution": {"trials_per_job": 2},
}
# What each stage makes. It begins where the one before it has ended, so that a repetition need not
# do all of it, and asks for what was made before, too: Snakemake makes nothing else.
_NEWS = {
    "data": ("prepare_data", "make_splits"),
    "training": tuple(f"results/s/shards/s0001.{name}.parquet" for name in SHARD_TABLES),
    "more-training": tuple(f"results/s/shards/s0002.{name}.parquet" for name in SHARD_TABLES),
    "tables": ("collect", "summarise", "select_best"),
    "comparison": ("compare_configurations", "compare_baselines", "draw_search_figures"),
    "final": ("fit_final",),
    "figures": ("draw_model", "draw_test_figures", "draw_classes"),
    "report": ("all",),
}
STAGES = dict(zip(_NEWS, itertools.accumulate(_NEWS.values()), strict=True))
# In seconds; what takes longer hangs. Other processes may keep the machine busy.
PATIENCE = 150.0
# What no two runs share: times, machines, how often was gone on, and seals of records with these.
_OF_THE_RUN = re.compile(
    r"(\w+_)?(seconds|hours|memory_mb)(_mean|_sum)?|started|ended|created|host|usage|cpu_efficiency|cores"
    r"|resumptions|segments|shared_object_id|checksum"
    r"|(start|end)Time|datePublished|contentSize|sha256"
)
# Written anew by each run, as many as there were.
_OF_RUNS = re.compile(r"(^|/)(logs|benchmarks|jobs|progress)/|(^|/)(jobs|search)\.(csv|parquet)$")


def prepare() -> None:
    """Import what all runs need; before any of them."""
    import gc

    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import nbformat  # noqa: F401
    import smart_open  # noqa: F401
    from snakemake.cli import get_argument_parser

    import gridfold.jobs.preloaded
    import gridfold.workflow.bridge
    import gridfold.workflow.preloaded  # noqa: F401

    get_argument_parser()
    # Digests of gridfold's own code, which are kept.
    for module in fingerprint._modules():
        source_digest(module)
    gc.freeze()


class Folder:
    """A folder in which the study is run.

    Parameters
    ----------
    path : Path
        Absolute and without links; short, since sockets lie in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / "results"

    @classmethod
    def new(cls, path: Path) -> Folder:
        """Return a folder in which nothing has run."""
        path.mkdir(parents=True)
        (path / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
        folder = cls(path)
        folder.results.mkdir()
        return folder

    def copy(self, path: Path) -> Folder:
        """Return a copy, with the times of all files."""
        shutil.copytree(self.path, path, symlinks=True, ignore=shutil.ignore_patterns("tmp"))
        return Folder(path)

    def snakemake(self, words: Sequence[str], *fault: Any) -> disturbed.Run:
        """Run Snakemake as a user would; `fault` as for :func:`disturbed.run`."""
        line = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml"]
        line += ["--cores", "1", *words]
        try:
            run = functools.partial(_snakemake, self.path, line)
            return disturbed.run(run, self.results, PATIENCE, *fault)
        finally:
            # With the sockets of servers that were killed.
            shutil.rmtree(self.path / "tmp", ignore_errors=True)

    @property
    def is_locked(self) -> bool:
        """Whether a Snakemake was killed that has kept its lock."""
        return any((self.path / ".snakemake" / "locks").glob("*"))

    def files(self) -> dict[str, Path]:
        """Return all files below the results, by their names there, but for those of each run."""
        names = {str(f.relative_to(self.results)): f for f in self.results.rglob("*")}
        return {
            name: file
            for name, file in names.items()
            if file.is_file() and not _OF_RUNS.search(name)
        }

    def leftovers(self) -> list[str]:
        """Return files that are only there while somebody writes them."""
        hidden = (f for f in self.results.rglob(".*") if f.is_file())
        return sorted(str(f.relative_to(self.results)) for f in hidden)


def _snakemake(folder: Path, line: list[str]) -> None:
    from snakemake.cli import main

    os.chdir(folder)
    sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.path[0] = str(folder)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    for libraries in (TRAINING, TABLES):
        _start_server(libraries)
    sys.argv = ["snakemake", *line]
    main()


def _start_server(libraries: Libraries) -> None:
    """Start a fork server that has its libraries from this process."""
    folder = tempfile.mkdtemp(prefix=fork_server._mark())
    address = str(Path(folder) / "forks")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            fork_server._Server(theirs.detach(), listener.detach()).serve()
        finally:
            os._exit(0)
    theirs.close()
    listener.close()
    # Open as long as this process lives.
    ours.detach()
    os.environ[libraries.address] = address


def differences(one: Folder, other: Folder, told: Callable[[str], bool]) -> list[str]:
    """Return how the results of a folder differ from those of an undisturbed one.

    Parameters
    ----------
    one, other : Folder
        The second is the undisturbed one.
    told : callable
        Whether a file, by its name, has the same bytes in each undisturbed run.
    """
    ours, theirs = one.files(), other.files()
    found = [f"{name} is missing" for name in sorted(theirs.keys() - ours.keys())]
    found += [f"{name} is left over" for name in sorted(ours.keys() - theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name].read_bytes() == theirs[name].read_bytes():
            continue
        if told(name):
            found.append(f"{name} differs")
            continue
        try:
            same = _meaning(ours[name]) == _meaning(theirs[name])
        except Exception as error:
            found.append(f"{name} can't be read ({type(error).__name__}: {error})")
            continue
        if not same:
            found.append(f"{name} says something else")
    return found


def _meaning(file: Path) -> Any:
    """Return what a file says, apart from times and machines."""
    import h5py
    import numpy as np
    import pandas as pd

    if file.suffix in (".json", ".jsonl"):
        return [_plain(json.loads(line)) for line in _documents(file)]
    if file.suffix in (".parquet", ".csv"):
        read = pd.read_parquet if file.suffix == ".parquet" else pd.read_csv
        table = read(file)
        kept = [column for column in table if not _OF_THE_RUN.fullmatch(column)]
        return kept, table[kept].to_json(double_precision=15)
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as archive:
            names = [name for name in archive.files if name != "header"]
            return {name: (archive[name].dtype.str, archive[name].tobytes()) for name in names}
    if file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            weights: dict[str, bytes] = {}
            with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as groups:
                groups.visititems(
                    lambda name, found: (
                        weights.update({name: found[()].tobytes()})
                        if isinstance(found, h5py.Dataset)
                        else None
                    )
                )
            return weights, _plain(json.loads(archive.read("config.json")))
    text = file.read_text(encoding="utf-8")
    if not text or (file.suffix == ".html" and "</html>" not in text[-20:]):
        raise ValueError("it breaks off")
    # Its numbers are those of the tables, which are compared.
    return True


def _documents(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    yield from text.splitlines() if file.suffix == ".jsonl" else [text]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not _OF_THE_RUN.fullmatch(k)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


@dataclass(frozen=True)
class Trial:
    """What is known of a trial of a folder.

    Attributes
    ----------
    result : str
        Text of its result; empty if it has none.
    history : list of dict
        Of its newest checkpoint, with the seconds of each epoch: no two trainings share them.
    """

    result: str
    history: list[dict[str, Any]]


def trials(folder: Folder, whole: Callable[[str], bool] = lambda name: True) -> dict[str, Trial]:
    """Return what is known of each trial, by files whose names are accepted."""
    found = {}
    for trial in folder.results.glob("s/runs/*/*"):
        if not trial.is_dir() or trial.name.startswith("."):
            continue
        result, history = "", []
        for file in sorted(trial.iterdir()):
            if not whole(str(file.relative_to(folder.results))):
                continue
            if file.name.startswith("result-"):
                result = file.read_text()
            elif file.name.startswith("checkpoint-"):
                history = _header(file)["meta"]["history"]
        found[str(trial.relative_to(folder.results))] = Trial(result, history)
    return found


def _header(checkpoint: Path) -> Any:
    import numpy as np

    with np.load(checkpoint, allow_pickle=False) as archive:
        return json.loads(archive["header"].tobytes())


def trained_again(known: dict[str, Trial], after: dict[str, Trial]) -> list[str]:
    """Return trials of which something was trained again that had been kept.

    Parameters
    ----------
    known, after : dict of str to Trial
        What had to be kept when the fault came, and what is there at the end.
    """
    found = []
    for name, trial in known.items():
        result = after[name].result if name in after else ""
        if trial.result:
            if result != trial.result:
                found.append(f"{name} had an answer")
        elif result and json.loads(result)["history"][: len(trial.history)] != trial.history:
            found.append(f"{name} had {len(trial.history)} epochs")
    return found
