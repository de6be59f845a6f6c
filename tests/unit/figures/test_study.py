"""The figures: complete, equal in every run, and honest about what they leave out."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import Finished, finished
from workbench import ROOT

from gridfold.figures import errors, hyperparameters
from gridfold.figures import study as figures
from gridfold.figures.style import family_looks, spans_decades
from gridfold.tables.predictions import OUT_OF_FOLD, PredictedSamples

PROBLEMS = [
    ("multiclass", {}),
    ("binary", {"classes": 2}),
    ("regression", {}),
    ("multi_output", {"outputs": 3}),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize(("problem", "options"), PROBLEMS)
def test_every_problem_gets_every_figure_with_caption_and_alt_text(
    tmp_path: Path, problem: str, options: dict[str, int]
) -> None:
    drawings = finished(tmp_path, problem, **options).draw()
    figures.save_all(drawings, tmp_path)
    assert tuple(drawings) == figures.FIGURES
    for name in figures.FIGURES:
        assert ET.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        words = json.loads((tmp_path / f"{name}.json").read_text())
        assert words["alt"].endswith(".")
        assert words["caption"].endswith(".")


def test_figures_are_equal_in_every_run(study: Finished, tmp_path: Path) -> None:
    for run in ("first", "second"):
        figures.save_all(study.draw(), tmp_path / run)
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_the_rules_and_the_captions_know_the_same_figures() -> None:
    rules = (ROOT / "rules" / "figures.smk").read_text()
    for name in figures.FIGURES:
        assert f'    "{name}": "' in rules
        assert (ROOT / "workflow" / "report" / f"{name}.rst").read_text().strip()


def test_scores_show_the_best_thirty_and_say_so(tmp_path: Path) -> None:
    rates = {"training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1, "num": 40}}}
    drawing = finished(tmp_path, space=rates).draw()["scores"]
    assert "best 30 of 40 configurations" in drawing.caption
    assert len(drawing.figure.axes[0].get_yticks()) == 30


def test_scores_alt_text_has_the_numbers_of_the_table(study: Finished) -> None:
    alt = study.draw()["scores"].alt
    assert f"{study.best.mean:.3f}" in alt
    assert study.best.label in alt
    assert "scores 0.875" in alt


def test_the_test_score_is_drawn_only_where_there_is_one(tmp_path: Path) -> None:
    for test in (12, 0):
        drawing = finished(tmp_path, test=test).draw()["scores"]
        legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
        assert ("held-out test set" in legend) == bool(test)
        assert ("held-out" in drawing.alt) == bool(test)


def test_scores_never_draw_an_interval_beyond_what_the_measure_can_be(tmp_path: Path) -> None:
    axes = finished(tmp_path, spread=0.3).draw()["scores"].figure.axes[0]
    intervals = [line for line in axes.lines if line.get_linestyle() == "-"]
    ends = np.concatenate([np.asarray(line.get_xdata(), float) for line in intervals])
    assert ends.min() >= 0
    assert ends.max() <= 1


def test_one_split_has_no_interval(tmp_path: Path) -> None:
    drawing = finished(tmp_path, folds=1).draw()["scores"]
    assert "interval" not in drawing.caption.partition("The diamond")[0]
    assert "over 1 split" in drawing.alt


@pytest.mark.parametrize(("curves", "drawn"), [(2, 2), (10, 4)])
def test_learning_curves_show_as_many_as_asked_for(tmp_path: Path, curves: int, drawn: int) -> None:
    drawing = finished(tmp_path, report={"curves": curves}).draw()["learning_curves"]
    assert len(drawing.figure.axes) == 2 * drawn


def test_learning_curves_end_where_half_of_the_splits_have_stopped() -> None:
    lengths = {"r0f0": 2, "r0f1": 3, "r0f2": 5}
    history = pd.DataFrame(
        [{"split": s, "epoch": e, "loss": 1.0} for s, n in lengths.items() for e in range(1, n + 1)]
    )
    assert figures.curve_over_splits(history, "loss").index.tolist() == [1, 2, 3]


def test_a_diverged_loss_is_left_out_of_the_curves() -> None:
    history = pd.DataFrame({"split": "r0f0", "epoch": [1, 2], "loss": [1.0, np.inf]})
    assert figures.curve_over_splits(history, "loss")["mean"].tolist() == [1.0]


def test_a_study_without_axes_says_that_there_is_nothing_to_compare(tmp_path: Path) -> None:
    drawing = finished(tmp_path, space={}).draw()["hyperparameters"]
    assert "No axis of this study has more than one value" in drawing.alt


def test_each_axis_gets_a_panel_and_its_best_value_into_the_alt_text(study: Finished) -> None:
    drawing = study.draw()["hyperparameters"]
    assert [a.get_xlabel() for a in drawing.figure.axes] == [
        "mlp.units",
        "training.learning_rate",
    ]
    assert "mlp.units 4 (0.9" in drawing.alt


def test_words_are_an_axis_without_order(tmp_path: Path) -> None:
    space = {"mlp.activation": {"choice": ["relu", "tanh", "elu"]}, "mlp.batch_norm": [True, False]}
    panels = finished(tmp_path, space=space).draw()["hyperparameters"].figure.axes
    ticks = [[t.get_text() for t in axes.get_xticklabels()] for axes in panels]
    assert ticks == [["relu", "tanh", "elu"], ["False", "True"]]


@pytest.mark.parametrize(
    ("values", "axis", "logarithmic"),
    [
        ([0.001, 0.01, 0.1], {}, True),
        ([16, 32, 64, 128], {}, True),
        ([1, 2, 3, 4], {}, False),
        ([0, 0.1, 0.2], {}, False),
        ([0.2, 0.3], {}, False),
        ([0.001, 0.003], {}, True),
        ([0.011, 0.017, 0.02], {"float": {"min": 0.01, "max": 0.02, "log": True}}, True),
    ],
)
def test_values_spaced_by_factors_get_a_log_axis(
    values: list[float], axis: dict[str, object], logarithmic: bool
) -> None:
    assert hyperparameters.is_logarithmic(values, axis) is logarithmic


def test_the_best_at_a_value_is_a_configuration_that_lost_no_trial() -> None:
    rows = pd.DataFrame({"a.b": [1, 1, 2], "n_failed": [1, 0, 0], "accuracy_mean": [0.9, 0.8, 0.7]})
    assert hyperparameters.best_per_value(rows, "a.b", "accuracy").to_dict() == {1: 0.8, 2: 0.7}
    assert hyperparameters.best_per_value(rows.assign(mse_mean=[1, 2, 3]), "a.b", "mse")[1] == 2


def test_confusion_counts_true_rows_and_predicted_columns(tmp_path: Path) -> None:
    study = finished(tmp_path, "binary", test=0, class_names=["no", "yes"])
    predicted = np.array([[0.1], [0.9], [0.8]], np.float32)
    samples = [PredictedSamples(OUT_OF_FOLD, np.arange(3), np.array([0, 0, 1]), predicted, 1, 0.5)]
    drawing = errors.draw_errors("binary", samples, study.manifest)
    assert "probability" not in drawing.caption
    (axes,) = drawing.figure.axes
    # Of a text, x is the column.
    counts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 1): "1"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    drawing = errors.draw_errors("binary", [replace(samples[0], threshold=0.85)], study.manifest)
    (axes,) = drawing.figure.axes
    counts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 0): "1"}
    said = "A sample is predicted as yes from a probability of 0.85 on."
    assert drawing.caption.endswith(said)


def test_the_confusion_of_the_test_set_stands_beside_that_out_of_fold(tmp_path: Path) -> None:
    titles = [
        [axes.get_title("left").partition(":")[0] for axes in drawing.figure.axes]
        for test in (12, 0)
        for drawing in [finished(tmp_path, test=test).draw()["errors"]]
    ]
    assert titles == [["out of fold", "held-out test set"], ["out of fold"]]


@pytest.mark.parametrize("classes", [16, 40])
def test_many_classes_are_drawn_without_crowding(tmp_path: Path, classes: int) -> None:
    axes = finished(tmp_path, classes=classes).draw()["errors"].figure.axes[0]
    assert not axes.texts
    assert (axes.get_xticklabels()[0].get_text() == "class 0") == (classes <= 30)


def test_each_output_has_its_own_row_of_errors(tmp_path: Path) -> None:
    drawing = finished(tmp_path, "multi_output", outputs=3).draw()["errors"]
    assert len(drawing.figure.axes) == 6
    assert drawing.alt.count("held-out test set") == 3


def test_very_many_outputs_are_cut_and_the_caption_says_so(tmp_path: Path) -> None:
    drawing = finished(tmp_path, "multi_output", outputs=9).draw()["errors"]
    assert "The first 6 of 9 outputs." in drawing.caption


@pytest.mark.filterwarnings("ignore:Glyph")
def test_hostile_labels_are_only_drawn(tmp_path: Path) -> None:
    evil = ["<script>alert(1)</script>", "\"quotes' & $math_{x$", "emoji 😀\n\x07bell", "x" * 300]
    study = finished(tmp_path, labels=evil, class_names=evil[:3])
    figures.save_all(study.draw(), tmp_path)
    for name in figures.FIGURES:
        root = ET.parse(tmp_path / f"{name}.svg").getroot()
        assert not [e for e in root.iter() if str(e.tag).endswith("script")]


def test_failed_trials_are_named_beside_the_score(tmp_path: Path) -> None:
    drawing = finished(tmp_path, failed={0: "loss is NaN"}).draw()["scores"]
    labels = [t.get_text() for t in drawing.figure.axes[0].get_yticklabels()]
    assert "(1 split failed)" in labels[-1]


def test_curves_of_a_study_of_which_all_trials_failed_say_so(study: Finished) -> None:
    tables = study.tables
    lost = tables.configurations.assign(n_splits=0)
    none = tables.epochs.iloc[:0]
    drawing = figures.draw_learning_curves(none, lost, study.request.study)
    assert "No trial of this study has a score" in drawing.alt


def test_families_differ_in_shape_as_well_as_colour() -> None:
    looks = list(family_looks(["mlp", "cnn", "mlp", "python"]).values())
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 3


def test_only_positive_values_can_span_decades() -> None:
    assert spans_decades([0.01, 1, np.nan], 20)
    assert not spans_decades([0, 1], 20)
    assert not spans_decades([np.nan], 20)


def test_pairs_are_of_axes_that_meet(tmp_path: Path) -> None:
    space = {"mlp.layers": [1, 2], "mlp.units": [4, 8], "training.learning_rate": [0.001, 0.01]}
    study = finished(tmp_path, space=space)
    table = study.configurations
    # As with two model families: a configuration has one of the two axes.
    first = (table["mlp.layers"] == 2) ^ (table["mlp.units"] == 8)
    first ^= table["training.learning_rate"] == 0.01
    table["mlp.layers"] = table["mlp.layers"].astype(float).where(first)
    table["mlp.units"] = table["mlp.units"].astype(float).where(~first)
    drawing = study.draw()["pairs"]
    labels = [(a.get_ylabel(), a.get_xlabel()) for a in drawing.figure.axes]
    assert labels == [
        ("mlp.layers", "training.learning_rate"),
        ("mlp.units", "training.learning_rate"),
    ]
    assert "NA" not in drawing.alt


@pytest.mark.parametrize("name", ["pairs", "parallel"])
def test_one_axis_has_no_pairs(tmp_path: Path, name: str) -> None:
    drawing = finished(tmp_path, space={"mlp.units": [4, 8]}).draw()[name]
    assert "No two axes" in drawing.alt
