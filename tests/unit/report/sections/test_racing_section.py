"""What the report says of a race, whatever came after it."""

from __future__ import annotations

import pandas as pd

from gridfold.report.sections.racing import race_sentences


def steps(*rows: tuple[str, str, int]) -> pd.DataFrame:
    """Return a search table of rows of stage, configurations (a letter each), and splits."""
    return pd.DataFrame(
        {"stage": stage, "config_id": name, "n_splits": splits}
        for stage, names, splits in rows
        for name in names
    )


def said(left: str, *rows: tuple[str, str, int]) -> list[str]:
    table = pd.DataFrame({"config_id": list(left), "risk": 0.01, "expected_loss": 0.002})
    return list(race_sentences(table, steps(*rows), "accuracy"))


def test_a_confirmation_with_more_folds_is_no_part_of_the_race() -> None:
    race = (("explore", "abcdef", 1), ("race2", "abc", 2), ("race3", "ab", 3))
    first, risk = said("cdef", *race)
    assert "6 configurations raced over 3 splits" in first
    assert "2 reached the end, and are compared above; the race took 61% of the 18 trials" in first
    assert "Those that it left behind have no mean" in first
    assert "one of the 4 configurations left behind would" in risk
    confirmed, _ = said("cdef", *race, ("confirm", "ab", 10))
    assert confirmed == first.replace(", and are compared above", "")


def test_what_the_budget_and_a_later_stage_took_is_not_left_behind_by_the_race() -> None:
    race = (("explore", "abcd", 1), ("race2", "abc", 2), ("race3", "a", 3))
    first, risk = said("d", *race)
    assert "1 reached the end, 2 did not because of the budget; the race" in first
    assert "The one that it left behind has no mean over all splits; it is listed" in first
    assert "the one configuration left behind would" in risk
    refined, _ = said("d", *race, ("refine1", "bc", 3))
    assert "budget" not in refined
    (nobody,) = said("", ("explore", "ab", 1), ("race2", "ab", 2), ("race3", "ab", 3))
    assert nobody.endswith("the race took 100% of the 6 trials of all.")
