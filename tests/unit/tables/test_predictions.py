"""Predictions joined with true values: each sample once, by one model that did not train on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.tree import DecisionTreeClassifier
from synthetic import Finished, finished

from gridfold.figures import classes
from gridfold.tables.predictions import OUT_OF_FOLD, TEST, predicted_samples


def table(split: str, samples: list[int], value: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"split": split, "sample": samples, "prediction": [[value + i / 100] for i in samples]}
    )


def test_predictions_stand_beside_the_true_values_of_their_samples() -> None:
    targets = np.array([[5.0], [6.0], [7.0], [8.0]])
    parts = predicted_samples(table("r0f0", [2, 0], 0.5), table("", [3], 0.1), targets, 0.5)
    assert [(part.name, part.repeats) for part in parts] == [(OUT_OF_FOLD, 1), (TEST, 1)]
    assert [part.samples.tolist() for part in parts] == [[2, 0], [3]]
    assert [part.truth.tolist() for part in parts] == [[[7.0], [5.0]], [[8.0]]]
    np.testing.assert_allclose(parts[0].prediction, [[0.52], [0.5]], rtol=1e-6)


def test_a_part_without_samples_is_left_out() -> None:
    nothing = table("", [], 0)
    assert predicted_samples(nothing, nothing, np.zeros((3, 1)), 0.5) == []


@pytest.mark.parametrize("kind", ["r", "c"], ids=["of the study", "of confirm"])
def test_of_several_repeats_the_first_that_predicts_a_sample_counts(kind: str) -> None:
    # Jobs end in any order; the tenth repeat is not the second.
    rows = pd.concat(
        [
            table(f"{kind}10f0", [0, 1, 2], 0.1),
            table(f"{kind}2f0", [1, 2], 0.3),
            table(f"{kind}0f0", [0], 0.5),
        ]
    )
    (part,) = predicted_samples(rows, rows.head(0), np.array([0, 1, 1]), 0.5)
    assert part.repeats == 3 - 1
    found = dict(zip(part.samples.tolist(), part.prediction[:, 0].tolist(), strict=True))
    assert found == pytest.approx({0: 0.5, 1: 0.31, 2: 0.32})


def with_repeats(study: Finished, repeats: int) -> None:
    """Give a study's samples more out-of-fold predictions, of which the first one is the best."""
    random = np.random.default_rng(3)
    first = study.out_of_fold
    chances = np.stack(first["prediction"].to_list())
    noisy = [
        first.assign(
            split=f"r{repeat}f0", prediction=list(chances + 2 * random.random(chances.shape))
        )
        for repeat in range(1, repeats)
    ]
    study.out_of_fold = pd.concat([*noisy, first.assign(split="r0f0")], ignore_index=True)


@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_repeats_change_no_figure_of_errors_but_for_a_sentence(
    problem: str, tmp_path: Path
) -> None:
    study = finished(tmp_path, problem)
    before = study.draw()["errors"]
    with_repeats(study, 3)
    after = study.draw()["errors"]
    assert len(study.out_of_fold) == 150
    assert after.alt == before.alt
    assert "repeats" not in before.caption
    note = "Of 3 repeats, the first that predicts a sample counts."
    assert after.caption == f"{before.caption} {note}"


def test_figures_and_tables_of_errors_count_the_same_samples(tmp_path: Path) -> None:
    study = finished(tmp_path)
    with_repeats(study, 3)
    figure = study.draw()["errors"].figure
    features = np.random.default_rng(0).normal(size=(len(study.targets), 4)).astype(np.float32)
    drawn = classes.draw_classes(
        study.request,
        study.samples,
        features=features,
        ids=np.empty(0, str),
        manifest=study.manifest,
    )
    for axes, name in zip(figure.axes, (OUT_OF_FOLD, TEST), strict=True):
        rows = drawn.tables["classes"][drawn.tables["classes"]["part"] == name]
        wrong = (drawn.tables["misclassified"]["part"] == name).sum()
        samples = rows["samples"].sum()
        assert samples == {OUT_OF_FOLD: 50, TEST: 12}[name]
        assert f"{samples - wrong} of {samples} right" in axes.get_title(loc="left")
        counts = sum(int(text.get_text().replace(",", "")) for text in axes.texts)
        assert counts == samples
        right = (rows["recall"] * rows["samples"]).sum()
        assert right == pytest.approx(samples - wrong)
    for name in ("roc", "misclassified"):
        assert "Of 3 repeats, the first" in drawn.drawings[name].caption


def test_the_first_repeat_errs_as_single_models_do_and_the_mean_of_repeats_does_not() -> None:
    first, together, single = [], [], []
    for study in range(60):
        x, y = make_classification(
            2120, 20, n_informative=6, n_classes=3, flip_y=0.05, random_state=study
        )
        splits = RepeatedStratifiedKFold(n_splits=5, n_repeats=3, random_state=study)
        tables, new = [], []
        for number, (training, validation) in enumerate(splits.split(x[:120], y[:120])):
            model = DecisionTreeClassifier(random_state=number).fit(x[training], y[training])
            chances = model.predict_proba(x[validation])
            tables.append(
                pd.DataFrame(
                    {
                        "split": f"r{number // 5}f{number % 5}",
                        "sample": validation,
                        "prediction": list(chances),
                    }
                )
            )
            new.append(model.score(x[120:], y[120:]))
        rows = pd.concat(tables, ignore_index=True)
        (part,) = predicted_samples(rows, rows.head(0), y, 0.5)
        first.append((part.predicted == part.truth).mean())
        mean = np.zeros((120, 3))
        np.add.at(mean, rows["sample"].to_numpy(), np.stack(rows["prediction"].to_list()))
        together.append((mean.argmax(axis=1) == y[:120]).mean())
        single.append(np.mean(new))
    error = np.std(np.subtract(first, single)) / np.sqrt(len(first))
    assert abs(np.mean(first) - np.mean(single)) < 3 * error
    assert np.mean(together) - np.mean(single) > 0.02
