"""Names of the stages of a search, of their jobs, and how people write them."""

from __future__ import annotations

import re

EXPLORE, RACE, CONFIRM = "explore", "race", "confirm"
STAGE_PATTERN = r"explore|race[0-9]+|b[0-9]+r[0-9]+|refine[0-9]+|confirm"
SLOT_PATTERN = rf"(?:{STAGE_PATTERN})-[0-9]+"


def is_race_round(stage: str) -> bool:
    """Tell whether a stage is a round of a race after the first, which is `explore`."""
    return re.fullmatch(rf"{RACE}[0-9]+", stage) is not None


def title_of(stage: str) -> str:
    """Return the name of a stage as people write it."""
    rung = re.fullmatch(r"b([0-9]+)r([0-9]+)", stage)
    if rung:
        return f"Bracket {rung[1]}, rung {rung[2]}"
    word, number = re.fullmatch(r"([a-z]+)([0-9]*)", stage).groups()  # type: ignore[union-attr]
    return word.capitalize() + (f", round {number}" if number else "")


def stage_of(shard: str) -> str:
    """Return the name of the stage of a slot or shard; shards without one are of `explore`."""
    stage, dash, _ = shard.partition("-")
    return stage if dash else EXPLORE
