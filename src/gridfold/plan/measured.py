"""How fast this machine is, from trials that have ended: of this study, or of others beside it.

The rough model (:mod:`gridfold.plan.cost`) knows how much there is to compute and guesses how fast
that goes. Trials that have ended know it: their seconds over the estimate for them is the factor
that corrects other estimates. Read are small JSON files of some trials, for half a second at most.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.paths import StudyPaths
from gridfold.plan.cost import CostModel, flops_per_sample
from gridfold.plan.plan import Plan
from gridfold.wording import counted

# What is read at most: time, studies, and trials of each.
_MOST_SECONDS = 0.5
_MOST_STUDIES = 12
_MOST_TRIALS = 40
# Of other studies count the trials that are nearest in size, and none that is too far off.
_NEAREST = 24
_FAR = 100.0
_FURTHEST_CORRECTION = 50.0


@dataclass(frozen=True)
class Correction:
    """What estimates of the rough model are multiplied with, and where that comes from.

    Attributes
    ----------
    factor : float
    trials : int
        Finished trials that it was measured on; 0 for the rough model alone.
    studies : tuple of str
        Whose trials these are.
    is_own : bool
        Whether they are of the study itself.
    """

    factor: float = 1.0
    trials: int = 0
    studies: tuple[str, ...] = ()
    is_own: bool = False

    def __str__(self) -> str:
        if not self.trials:
            return "rough model, good to a factor of three"
        trials = counted(self.trials, "finished trial")
        if self.is_own:
            return f"from {trials} of this study"
        names = f"study {self.studies[0]}"
        if len(self.studies) > 1:
            names = f"studies {', '.join(self.studies)}"
        return f"from {trials} of {names} on this machine"


@dataclass(frozen=True)
class _Measured:
    """One trial that has ended: of which model, how large, how much slower than estimated."""

    family: str
    size: float
    ratio: float


def measured_correction(plan: Plan) -> Correction:
    """Return what finished trials say about the estimates for a plan.

    Parameters
    ----------
    plan : Plan

    Notes
    -----
    Trials of the study itself come first, wherever they ran; else those of studies in the same
    folder of results that ran on this machine, of the same family of models and nearest in size
    (operations of an epoch), at most a hundred times larger or smaller. The factor is their
    median.
    """
    deadline = time.monotonic() + _MOST_SECONDS
    own = list(_trials(plan.paths, deadline, anywhere=True))
    families = set(plan.study.model.families)
    fitting = [trial for trial in own if trial.family in families]
    if fitting:
        factor = statistics.median(trial.ratio for trial in fitting)
        return Correction(_bounded(factor), len(fitting), (plan.study.study,), is_own=True)
    cost = CostModel.of(plan.study)
    sizes = {
        c.settings["model"]["family"]: _size(c.settings, cost.shape, cost.training)
        for c in plan.configurations[:_MOST_TRIALS]
    }
    found: list[tuple[float, str, _Measured]] = []
    for paths in _others(plan.paths):
        for trial in _trials(paths, deadline):
            if trial.family in sizes:
                distance = abs(math.log(trial.size / sizes[trial.family]))
                if distance <= math.log(_FAR):
                    found.append((distance, paths.root.name, trial))
        if time.monotonic() > deadline:
            break
    found.sort(key=lambda each: each[0])
    nearest = found[:_NEAREST]
    if not nearest:
        return Correction()
    studies = tuple(dict.fromkeys(name for _, name, _ in nearest))
    factor = statistics.median(trial.ratio for _, _, trial in nearest)
    return Correction(_bounded(factor), len(nearest), studies)


def _bounded(factor: float) -> float:
    return min(max(factor, 1 / _FURTHEST_CORRECTION), _FURTHEST_CORRECTION)


def _others(paths: StudyPaths) -> list[StudyPaths]:
    """Return the studies beside this one, the one that ran last first."""
    found = []
    try:
        with os.scandir(paths.root.parent) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir()]
    except OSError:
        return []
    for folder in folders:
        other = StudyPaths(folder)
        try:
            found.append((other.manifest.stat().st_mtime, str(folder), other))
        except OSError:
            continue
    others = [o for _, _, o in sorted(found, reverse=True, key=lambda f: f[:2])]
    return [o for o in others if o.root.name != paths.root.name][:_MOST_STUDIES]


def _trials(paths: StudyPaths, deadline: float, *, anywhere: bool = False) -> Iterator[_Measured]:
    """Yield some finished trials of a study, of one split of each configuration."""
    try:
        shape = tuple(json.loads(paths.manifest.read_text(encoding="utf-8"))["sample_shape"])
        folders = sorted(entry.path for entry in os.scandir(paths.runs) if entry.is_dir())
    except (OSError, ValueError, KeyError, TypeError):
        return
    count = 0
    # Spread over all: configurations have no order here.
    for folder in folders[:: max(1, len(folders) // _MOST_TRIALS)]:
        if time.monotonic() > deadline or count >= _MOST_TRIALS:
            return
        found = _measured(Path(folder), shape, anywhere=anywhere)
        if found is not None:
            count += 1
            yield found


def _measured(folder: Path, shape: tuple[int, ...], *, anywhere: bool) -> _Measured | None:
    """Return what one trial of a configuration says; None where it says nothing."""
    try:
        file = next(iter(sorted(folder.glob("*/result-*.json"), reverse=True)), None)
        if file is None:
            return None
        result: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        settings = result["fingerprint"]["settings"]
        if result["status"] != "finished" or not result["epochs_trained"]:
            return None
        if not anywhere and result["segments"][-1].get("host") != platform.node():
            return None
        model = CostModel(float(result["n_train"]), float(result["n_train"]), shape)
        estimate = model.seconds(settings, int(result["epochs_trained"]))
        # A trial begins and ends with what is no epoch, once if it was never interrupted.
        known = float(result["fit_seconds"])
        took = max(known, float(result["seconds"])) if len(result["segments"]) == 1 else known
        if not took > 0:
            return None
        size = _size(settings, shape, model.training)
        return _Measured(settings["model"]["family"], size, took / estimate)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _size(settings: Mapping[str, Any], shape: tuple[int, ...], training: float) -> float:
    """Return the operations of an epoch, by which models and data are told apart."""
    return max(1.0, flops_per_sample(settings["model"], shape) * training)
