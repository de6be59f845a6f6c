"""The winner of an outer fold is selected as the study's own, and all of them come in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.plan.stage_file import StageFile
from gridfold.requests import (
    ChoiceRequest,
    ChosenConfiguration,
    NestedFold,
    NestedRequest,
    SummaryRequest,
)
from gridfold.search.decisions import choose
from gridfold.search.nested import NESTED_COLUMNS, nested_table
from gridfold.statistics.summary import select, summarise

SUMMARY = SummaryRequest("accuracy", 0.95)
SPLITS = ("o0f0.r0f0", "o0f0.r0f1")


def stage(*units: int, name: str = "o0f0_explore", splits: tuple[str, ...] = SPLITS) -> StageFile:
    configurations = (
        ChosenConfiguration(
            f"c{u}", f"mlp units={u}", {"model": "mlp", "mlp.units": u}, {}, 9, None
        )
        for u in units
    )
    return StageFile(name, splits, tuple(configurations))


def trial(name: str, split: str, score: float | None, best_epoch: int = 5) -> dict[str, Any]:
    return {
        "config_id": name,
        "split": split,
        "status": "failed" if score is None else "finished",
        "reason": "it diverged" if score is None else "",
        "epochs": 9,
        "epochs_trained": 9,
        "best_epoch": best_epoch,
        "n_train": 0 if score is None else 80,
        "n_validation": 0 if score is None else 40,
        "parameters": 10,
        "fit_seconds": 1.0,
        "core_hours": 0.5,
        "gpu_hours": np.nan,
        "accuracy": np.nan if score is None else score,
    }


def table(file: Path, *rows: dict[str, Any]) -> Path:
    pd.DataFrame(rows, columns=list(trial("", "", 1.0))).to_parquet(file)
    return file


def request() -> ChoiceRequest:
    return ChoiceRequest("o0f0_score", ("o0f0",), "accuracy", 1, all_epochs=9, is_score=True)


def test_the_winner_is_the_one_that_the_study_would_select_of_the_same_trials(
    tmp_path: Path,
) -> None:
    rows = [
        trial("c4", SPLITS[0], 0.5),
        trial("c4", SPLITS[1], 0.7),
        trial("c8", SPLITS[0], 0.8, best_epoch=3),
        trial("c8", SPLITS[1], 0.9, best_epoch=7),
        # Better on the split that it survived.
        trial("c16", SPLITS[0], 1.0),
        trial("c16", SPLITS[1], None),
    ]
    written = table(tmp_path / "s0001.trials.parquet", *rows)
    found = choose(request(), [stage(4, 8, 16)], [written])
    (winner,) = found.configurations
    expected = select(summarise(pd.DataFrame(rows).assign(label="", model="mlp"), SUMMARY), SUMMARY)
    assert (found.stage, found.splits) == ("o0f0_score", ("o0f0",))
    assert (winner.id, winner.epochs) == ("c8", 5) == (expected.config_id, expected.final_epochs)
    assert winner.score == pytest.approx(0.85)
    assert winner.label == "mlp units=8"


def test_stages_in_full_count_together_and_trials_of_other_folds_do_not(tmp_path: Path) -> None:
    explored = table(
        tmp_path / "s0001.trials.parquet",
        *(trial("c4", split, 0.6) for split in SPLITS),
        *(trial("c4", split.replace("o0f0", "o0f1"), 1.0) for split in SPLITS),
    )
    refined = table(
        tmp_path / "o0f0_refine1-001.trials.parquet",
        *(trial("c4", split, 0.6) for split in SPLITS),
        *(trial("c8", split, 0.7) for split in SPLITS),
    )
    files = [stage(4), stage(4, 8, name="o0f0_refine1")]
    (winner,) = choose(request(), files, [explored, refined]).configurations
    assert (winner.id, winner.score) == ("c8", pytest.approx(0.7))


def test_a_mean_over_some_of_the_splits_does_not_win(tmp_path: Path) -> None:
    written = table(
        tmp_path / "s0001.trials.parquet",
        *(trial("c4", split, 0.6) for split in SPLITS),
        trial("c8", SPLITS[0], 0.9),
    )
    files = [stage(4, 8, splits=SPLITS[:1]), stage(4, name="o0f0_more", splits=SPLITS[1:])]
    (winner,) = choose(request(), files, [written]).configurations
    assert (winner.id, winner.score) == ("c4", pytest.approx(0.6))


@pytest.mark.parametrize("file", [stage(4), stage()])
def test_a_fold_without_any_score_has_no_winner(tmp_path: Path, file: StageFile) -> None:
    written = table(
        tmp_path / "s0001.trials.parquet",
        *(trial(c.id, split, None) for c in file.configurations for split in SPLITS),
    )
    assert choose(request(), [file], [written]) == StageFile("o0f0_score", ("o0f0",), ())


def folds(*names: str) -> NestedRequest:
    each = (NestedFold(name, f"{name}_score-001", (f"{name}_x-001",)) for name in names)
    return NestedRequest("accuracy", 0.95, tuple(each))


def written_folds(folder: Path, **scores: tuple[int | None, float | None]) -> pd.DataFrame:
    """Return the table of outer folds; each has a winner, by its units, and a score."""
    files, tables = [], {}
    for name, (units, score) in scores.items():
        search = [trial("c4", f"{name}.r0f0", 0.5), trial("c4", f"{name}.r0f0", 0.6)]
        tables[f"{name}_x-001"] = table(folder / f"{name}_x-001.trials.parquet", *search)
        own = [] if units is None else [trial(f"c{units}", name, score)]
        tables[f"{name}_score-001"] = table(folder / f"{name}_score-001.trials.parquet", *own)
        chosen = () if units is None else (units,)
        files.append(stage(*chosen, name=f"{name}_score", splits=(name,)))
    return nested_table(folds(*scores), files, tables, "c8")


def test_the_table_says_what_each_fold_selected_and_how_good_that_is(tmp_path: Path) -> None:
    found = written_folds(tmp_path, o0f0=(8, 0.9), o0f1=(4, 0.7))
    assert list(found.columns) == [*(c.name for c in NESTED_COLUMNS), "mlp.units", "accuracy"]
    assert found["outer_fold"].tolist() == ["o0f0", "o0f1"]
    assert found["config_id"].tolist() == ["c8", "c4"]
    assert found["as_study"].tolist() == [True, False]
    assert found["accuracy"].tolist() == [0.9, 0.7]
    assert found["mlp.units"].tolist() == [8, 4]
    # A trial that a later stage went on with counts once; the winner's own training is one more.
    assert found["trials"].tolist() == [2, 2]
    assert found["core_hours"].tolist() == [1.0, 1.0]
    assert found["gpu_hours"].isna().all()


def test_folds_that_failed_stay_in_the_table_with_the_reason(tmp_path: Path) -> None:
    found = written_folds(tmp_path, o0f0=(None, None), o0f1=(4, None), o0f2=(8, 0.8))
    assert found["status"].tolist() == ["failed", "failed", "finished"]
    assert found["reason"].tolist() == [
        "no configuration of its search has a score",
        "it diverged",
        "",
    ]
    assert found["n_train"].isna().tolist() == [True, True, False]
    assert found["mlp.units"].dtype == "Int64"
