"""Names of the stages of a search, of their jobs, and how people write them."""

from __future__ import annotations

import re

from gridfold.study.sections.outer import FOLD_PATTERN

EXPLORE, MORE, RACE, CONFIRM = "explore", "more", "race", "confirm"
# In an outer fold, what trains the winner of its search as the final model is, and scores it.
SCORE = "score"
_STEP_PATTERN = r"explore|more[0-9]+|race[0-9]+|b[0-9]+r[0-9]+|refine[0-9]+|confirm"
STAGE_PATTERN = rf"(?:{FOLD_PATTERN}_)?(?:{_STEP_PATTERN})|{FOLD_PATTERN}_{SCORE}"
SLOT_PATTERN = rf"(?:{STAGE_PATTERN})-[0-9]+"
STAGES_IN_WORDS = "explore, more<batch>, race<round>, b<bracket>r<rung>, refine<round> or confirm"
# Jobs that train whatever rung there is something to do in.
_RUNGS = "rungs"
RUNGS_JOB_PATTERN = rf"{_RUNGS}-[0-9]+"


def rung_name(bracket: int, rung: int) -> str:
    """Return the name of the stage of a rung."""
    return f"b{bracket}r{rung}"


def rungs_jobs(count: int) -> list[str]:
    """Return the names of the jobs of an asynchronous search."""
    return [f"{_RUNGS}-{number:03d}" for number in range(1, count + 1)]


def phase_of(stage: str) -> str:
    """Return `explore` for each batch of a search that may stop, and other stages as they are."""
    return EXPLORE if re.fullmatch(rf"{MORE}[0-9]+", stage) else stage


def is_race_round(stage: str) -> bool:
    """Tell whether a stage is a round of a race after the first, which is `explore`."""
    return re.fullmatch(rf"{RACE}[0-9]+", stage) is not None


def title_of(stage: str) -> str:
    """Return the name of a stage as people write it."""
    fold = fold_of(stage)
    if fold is not None:
        step = title_of(step_of(stage))
        return f"Outer fold {fold}, {step[0].lower()}{step[1:]}"
    rung = re.fullmatch(r"b([0-9]+)r([0-9]+)", stage)
    if rung:
        return f"Bracket {rung[1]}, rung {rung[2]}"
    more = re.fullmatch(rf"{MORE}([0-9]+)", stage)
    if more:
        return f"Explore, batch {int(more[1]) + 1}"
    word, number = re.fullmatch(r"([a-z]+)([0-9]*)", stage).groups()  # type: ignore[union-attr]
    return word.capitalize() + (f", round {number}" if number else "")


def stage_of(shard: str) -> str:
    """Return the name of the stage of a slot or shard; shards without one are of `explore`."""
    stage, dash, _ = shard.partition("-")
    return stage if dash else EXPLORE


def in_fold(fold: str, step: str) -> str:
    """Return the name of a stage of the search in an outer fold, as ``o0f1_explore``."""
    return f"{fold}_{step}"


def fold_of(stage: str) -> str | None:
    """Return the outer fold of a stage; None for those of the study's own search."""
    fold, line, _ = stage.partition("_")
    return fold if line else None


def step_of(stage: str) -> str:
    """Return the name of a stage without its outer fold."""
    return stage.rpartition("_")[2]
