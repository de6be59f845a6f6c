"""Measures of the user's own: how they are called, when they are called again, what they decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import final_state, prepare_bench, without_times

from gridfold.advice import in_full
from gridfold.errors import TrialFailure
from gridfold.plan.fingerprint import training_code_digest
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.training.measures import Scorer, own_score, score
from gridfold.usercode import functions

PRICES = """
import numpy as np
from prices import PRICE

def missed_cost(targets, predictions):
    missed = (targets == 1) & (predictions < 0.5)
    return PRICE * np.mean(missed)
"""


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    functions.forget()
    Path("costs.py").write_text(PRICES)
    Path("prices.py").write_text("PRICE = 10\n")


def tumours(*measures: str, epochs: int = 3, **training: Any) -> dict[str, Any]:
    return {
        "study": "tumours",
        "data": {"source": "breast_cancer", "normalise": "standard", "subset": 200},
        "problem": {"type": "binary", "measures": [*measures], "positive": "malignant"},
        "model": {"mlp": {"units": 4}},
        "training": {"epochs": epochs, "learning_rate": 0.003, **training},
        "resampling": {"method": "stratified", "folds": 2},
    }


def own(body: str) -> str:
    """Write a measure with this body and return its reference."""
    Path("mine.py").write_text(
        f"import numpy as np\nimport math\n\n\ndef my_score(targets, predictions):\n    {body}\n"
    )
    functions.forget()
    return "mine.py:my_score"


# -- how they are called --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "targets", "predictions", "shapes"),
    [
        ("binary", np.array([0, 1, 1]), np.full((3, 1), 0.5, np.float32), ((3,), (3,))),
        ("multiclass", np.array([0, 1, 3]), np.full((3, 4), 0.25), ((3,), (3, 4))),
        ("multiclass", np.array([2]), np.full((1, 4), 0.25), ((1,), (1, 4))),
        ("regression", np.ones((3, 1), np.float32), np.ones((3, 1)), ((3,), (3,))),
        ("regression", np.ones((1, 1)), np.ones((1, 1)), ((1,), (1,))),
        ("multi_output", np.ones((3, 2)), np.ones((3, 2)), ((3, 2), (3, 2))),
    ],
)
def test_it_gets_arrays_as_scikit_learn_takes_them(
    problem: str, targets: Any, predictions: Any, shapes: Any
) -> None:
    reference = own(
        f"return float((targets.shape, predictions.shape) == {shapes} "
        "and predictions.dtype == 'f8')"
    )
    assert own_score(reference, targets, predictions) == 1
    scores = score(problem, targets, predictions, {"my_score": reference})
    assert list(scores)[-1] == "my_score"


def test_what_it_does_with_its_arrays_is_its_own_affair() -> None:
    targets, predictions = np.array([0, 1]), np.array([[0.25], [0.5]])
    reference = own("targets[:] = 7; predictions *= 0; return 1")
    assert own_score(reference, targets, predictions) == 1
    assert targets.tolist() == [0, 1]
    assert predictions.tolist() == [[0.25], [0.5]]


@pytest.mark.parametrize(
    "body", ["return 1", "return True", "return np.float32(1)", "return np.array(1.0)"]
)
def test_any_number_is_a_score(body: str) -> None:
    assert own_score(own(body), np.array([1]), np.array([[0.5]])) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return math.nan", "has returned nan, not one finite number"),
        ("return np.mean([])", "has returned np.float64(nan)"),
        ("return -math.inf", "has returned -inf"),
        ("pass", "has returned None"),
        ("return '0.5'", "has returned '0.5'"),
        ("return 1j", "has returned 1j"),
        ("return {'a': 1}", "has returned {'a': 1}"),
        ("return targets == 1", "has returned an array of shape (2,)"),
        ("return [0.5]", "has returned an array of shape (1,)"),
        ("return targets @ np.ones(3)", "has failed: ValueError: matmul"),
        ("raise RuntimeError('no such unit')", "has failed: RuntimeError: no such unit"),
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_what_is_no_score_is_refused_with_its_place(body: str, said: str) -> None:
    with pytest.raises(TrialFailure) as caught:
        own_score(own(body), np.array([0, 1]), np.array([[0.5], [0.5]]))
    assert f"mine.py:my_score {said}" in caught.value.reason
    assert caught.value.reason.endswith("mend it and run again: trained epochs are kept")
    if "failed" in said:
        assert in_full(caught.value).endswith("(mine.py, line 6)")


# -- when they are called -------------------------------------------------------------------------


def test_trials_are_scored_again_when_its_code_changes_and_not_trained(tmp_path: Path) -> None:
    plain = prepare_bench(tmp_path, tumours())
    before = plain.trained()
    checkpoint = plain.work().task.folder / "checkpoint-00003.npz"
    inode = checkpoint.stat().st_ino
    assert "missed_cost" not in before.scores

    found = []
    for price in (10, 30):
        # A module beside the file of the function.
        Path("prices.py").write_text(f"PRICE = {price}\n")
        bench = prepare_bench(tmp_path, tumours("costs.py:missed_cost"))
        assert bench.work().store.result(3) is None, "not by this code"
        result = bench.trained()
        assert without_times(result.history) == without_times(before.history)
        assert (result.usage, result.fit_seconds) == (before.usage, before.fit_seconds)
        assert bench.work().store.result(3) == result
        found.append(result.scores.pop("missed_cost"))
        assert result.scores == before.scores
    share = (1 - before.scores["sensitivity"]) * 0.37
    assert found == pytest.approx([10 * share, 30 * share], rel=0.1)
    assert checkpoint.stat().st_ino == inode
    # Comments change nothing, and a study that no longer asks has its answer.
    Path("costs.py").write_text(PRICES + "# Checked by the hospital.\n")
    assert prepare_bench(tmp_path, tumours("costs.py:missed_cost")).work().store.result(3)
    assert prepare_bench(tmp_path, tumours()).work().store.result(3)


def test_outputs_on_the_scale_of_training_are_scored_again_on_it(tmp_path: Path) -> None:
    Path("mine.py").write_text(
        "def my_error(targets, predictions):\n    return abs(targets - predictions).mean()\n"
    )
    study = {
        "study": "outputs",
        "data": {"source": "linnerud", "scale_targets": "minmax"},
        "problem": {"type": "multi_output"},
        "model": {"mlp": {"units": 4}},
        "training": {"epochs": 1},
        "resampling": {"method": "kfold", "folds": 2},
    }
    before = prepare_bench(tmp_path, study).trained()
    again = study | {"problem": {"type": "multi_output", "measures": ["mine.py:my_error"]}}
    found = prepare_bench(tmp_path, again).trained()
    assert found.scores["my_error"] == pytest.approx(before.scores["mae"]) == found.scores["mae"]


def test_a_lost_prediction_is_made_again(tmp_path: Path) -> None:
    plain = prepare_bench(tmp_path, tumours())
    before = plain.trained()
    (plain.work().task.folder / "predictions-00003.npy").write_bytes(b"")
    bench = prepare_bench(tmp_path, tumours("costs.py:missed_cost"))
    assert bench.work().store.unscored(3) is None
    result = bench.trained()
    assert without_times(result.history) == without_times(before.history)
    assert "missed_cost" in result.scores


def test_a_failing_one_costs_no_training(tmp_path: Path) -> None:
    own("return targets[99999]")
    bench = prepare_bench(tmp_path, tumours("mine.py:my_score"))
    work = bench.work()
    failures = [event.failure for event in bench.train(work) if event.failure]
    assert len(failures) == 1
    assert "mine.py:my_score has failed: IndexError" in failures[0].reason
    assert in_full(failures[0]).endswith("(mine.py, line 6)")
    trained = work.task.folder / "checkpoint-00003.npz"
    inode = trained.stat().st_ino
    own("return 1 / len(targets)")
    result = prepare_bench(tmp_path, tumours("mine.py:my_score")).trained()
    assert result.scores["my_score"] == 1 / result.n_validation
    assert trained.stat().st_ino == inode


def test_one_that_cannot_be_imported_fails_before_the_training(tmp_path: Path) -> None:
    Path("mine.py").write_text("import a_module_that_is_not_there\n\ndef my_score(t, p): ...\n")
    bench = prepare_bench(tmp_path, tumours("mine.py:my_score"))
    work = bench.work()
    [failure] = [event.failure for event in bench.train(work) if event.failure]
    assert "mine.py fails on import: ModuleNotFoundError" in failure.reason
    assert not list(work.task.folder.glob("checkpoint-*"))


# -- early stopping -------------------------------------------------------------------------------


def stopped_by(monitor: str, epochs: int = 12, patience: int = 2) -> dict[str, Any]:
    stopping = {"monitor": monitor, "patience": patience}
    return tumours("costs.py:missed_cost", epochs=epochs, early_stopping=stopping)


@pytest.mark.parametrize(
    ("monitor", "best"),
    [("average_precision", np.argmax), ("brier_score", np.argmin), ("missed_cost", np.argmin)],
)
def test_any_measure_stops_a_training(tmp_path: Path, monitor: str, best: Any) -> None:
    bench = prepare_bench(tmp_path, stopped_by(monitor))
    result = bench.trained()
    scores = [row[f"val_{monitor}"] for row in result.history]
    assert result.best_epoch == best(scores) + 1
    assert result.epochs_trained == min(12, result.best_epoch + 2)
    # The score of the restored weights is that of their epoch.
    assert result.scores[monitor] == pytest.approx(scores[result.best_epoch - 1], rel=1e-5)


def test_a_training_that_was_resumed_stops_where_a_whole_one_does(tmp_path: Path) -> None:
    whole = prepare_bench(tmp_path / "whole", stopped_by("missed_cost", patience=3))
    expected = whole.trained()
    parts = prepare_bench(tmp_path / "parts", stopped_by("missed_cost", epochs=2, patience=3))
    parts.trained()
    parts = prepare_bench(tmp_path / "parts", stopped_by("missed_cost", patience=3))
    found = parts.trained()
    assert without_times(found.history) == without_times(expected.history)
    assert found.scores == expected.scores
    epochs = expected.epochs_trained
    for one, other in zip(
        final_state(whole.work().task.folder, epochs),
        final_state(parts.work().task.folder, epochs),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_only_the_measure_that_stops_trainings_is_part_of_their_code(tmp_path: Path) -> None:
    def code(study: dict[str, Any]) -> str:
        return training_code_digest(prepare_plan(tmp_path, study).study)

    judging = tumours("costs.py:missed_cost")
    stopping = stopped_by("missed_cost")
    on_an_axis = judging | {
        "training": {"epochs": 3, "early_stopping": {}},
        "search": {"space": {"training.early_stopping.monitor": ["val_loss", "missed_cost"]}},
    }
    before = [code(study) for study in (judging, stopping, on_an_axis)]
    assert before[0] == code(tumours())
    Path("prices.py").write_text("PRICE = 20\n")
    after = [code(study) for study in (judging, stopping, on_an_axis)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]


def prepare_plan(folder: Path, study: dict[str, Any]) -> Plan:
    return prepare_bench(folder, study).plan


def test_a_measure_that_is_not_defined_on_a_split_is_no_reason_to_stop(tmp_path: Path) -> None:
    rows = [f"{i},{'yes' if i < 6 else 'no'}\n" for i in range(40)]
    Path("t.csv").write_text("x,y\n" + "".join(rows))
    study = tumours(early_stopping={"monitor": "roc_auc"}) | {
        "data": {"source": "csv", "path": "t.csv", "targets": ["y"], "test_fraction": 0},
        "problem": {"type": "binary"},
        "resampling": {"method": "kfold", "folds": 8},
    }
    bench = prepare_bench(tmp_path, study)
    targets = np.load(bench.plan.paths.data / "targets.npy")
    lacking = next(
        name
        for name, split in bench.splits.by_name.items()
        if len(np.unique(targets[split.validation])) == 1
    )
    [failure] = [e.failure for e in bench.train(bench.work(split=lacking)) if e.failure]
    assert "early stopping by roc_auc, which is not defined on the validation" in failure.reason
    assert "resampling.method stratified" in failure.reason


# -- what they decide besides ---------------------------------------------------------------------


def test_requests_know_them_only_where_a_study_has_some(tmp_path: Path) -> None:
    plain = JobRequests(prepare_plan(tmp_path, tumours()))
    named = JobRequests(prepare_plan(tmp_path, tumours("costs.py:missed_cost", "cohen_kappa")))
    assert "own_measures" not in plain.train("s0001").text()
    assert "further_measures" not in plain.collect().text()
    assert named.conditions.own_functions == {"missed_cost": "costs.py:missed_cost"}
    assert named.collect().further_measures == ("missed_cost", "cohen_kappa")
    assert named.data().text() == plain.data().text()
    assert named.splits().text() == plain.splits().text()
    assert named.summary().text() == plain.summary().text()
    text = named.train("s0001").text()
    Path("prices.py").write_text("PRICE = 11\n")
    edited = JobRequests(prepare_plan(tmp_path, tumours("costs.py:missed_cost", "cohen_kappa")))
    assert edited.train("s0001").text() != text


def test_one_that_ranks_says_by_its_name_which_end_is_good() -> None:
    reference = own("return float(targets.sum())")
    assert Scorer("my_score", reference).score(np.array([1, 1]), np.full((2, 1), 0.5)) == 2
    assert math.isnan(Scorer("roc_auc").score(np.array([1, 1]), np.full((2, 1), 0.5)))
