"""Order the configurations of some stages by several objectives, as the next stage takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from gridfold.errors import GridfoldError
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import title_of
from gridfold.requests import ChosenConfiguration, Objectives
from gridfold.statistics.front import fronts, means_of, nobody_left

# How many weights a model has, no other training changes.
_FINAL = "parameters"


def by_objectives(
    ranking: Sequence[ChosenConfiguration],
    files: Iterable[StageFile],
    trials: pd.DataFrame,
    objectives: Objectives,
    stage: str,
) -> list[ChosenConfiguration]:
    """Return ranked configurations in the order in which a next stage takes them.

    Those that satisfy the constraints come first, and among them the Pareto front, then the front
    of what is left, and so on; on each front the order of the ranking stays. A configuration with
    too many weights, or too few, is left out: it can never be selected.

    Parameters
    ----------
    ranking : sequence of ChosenConfiguration
        Best first by the ranking measure.
    files : iterable of StageFile
        Of the stages that they come from.
    trials : DataFrame
        Of the jobs of these stages.
    objectives : Objectives
    stage : str
        That takes them.

    Raises
    ------
    GridfoldError
        When none is left.
    """
    if not ranking:
        return []
    last = _last_trials(files, trials)
    means = means_of(last, objectives.looked_at).loc[[c.id for c in ranking]]
    missed = {
        config_id: [c.name for c in objectives.missed(row)]
        for config_id, row in zip(means.index.tolist(), means.to_dict("records"), strict=True)
    }
    satisfying = [c for c in ranking if not missed[c.id]]
    # What a stage before has scored too low may do better in the next one.
    others = [c for c in ranking if missed[c.id] and _FINAL not in missed[c.id]]
    if not satisfying and not others:
        labels = pd.DataFrame([{"config_id": c.id, "label": c.label} for c in ranking])
        where = f"search before the stage {title_of(stage)}"
        raise GridfoldError(nobody_left(means, objectives, labels, where))
    return [*_by_front(satisfying, means, objectives), *_by_front(others, means, objectives)]


def _by_front(
    ranking: Sequence[ChosenConfiguration], means: pd.DataFrame, objectives: Objectives
) -> list[ChosenConfiguration]:
    number = fronts(means.loc[[c.id for c in ranking]], objectives)
    return sorted(ranking, key=lambda c: int(number[c.id]))


def _last_trials(files: Iterable[StageFile], trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials on the splits of these stages, of each the last one."""
    splits = [split for file in files for split in file.splits]
    own = trials[trials["split"].isin(splits)]
    return own.drop_duplicates(["config_id", "split"], keep="last")
