"""The figures of the final model: right numbers, every problem, and nothing hidden."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from synthetic import Finished, finished, importance, inside
from workbench import ROOT

from gridfold.data.columns import FeatureColumn
from gridfold.data.dataset import prepare
from gridfold.figures import architecture, classes, pictures
from gridfold.figures import model as modelfigures
from gridfold.figures import study as figures
from gridfold.figures.calibration import reliability
from gridfold.figures.style import Drawing
from gridfold.final.inside import Inside, Layer
from gridfold.report import input
from gridfold.statistics.classes import class_table
from gridfold.tables.predictions import OUT_OF_FOLD, TEST, predicted_samples

OF_CLASSES = {"roc", "calibration", "misclassified"}
OF_ALL = set(modelfigures.FIGURES)


def draw(study: Finished, features: Any = None, within: Inside | None = None) -> dict[str, Drawing]:
    """Draw the inside of a study's final model on samples of one's own."""
    if features is None:
        features = np.random.default_rng(0).normal(size=(len(study.targets), 8, 8, 1))
    return modelfigures.draw_model(
        within or inside(len(study.out_of_fold["prediction"].iloc[0])),
        importance(),
        study.card,
        features=features.astype(np.float32) if features.dtype == float else features,
        targets=study.targets,
        manifest=replace(study.manifest, sample_shape=list(features.shape[1:])),
    )


def draw_classes(
    study: Finished, features: Any = None, ids: Any = (), **described: Any
) -> classes.ClassDrawings:
    """Draw how a study's final model tells classes apart, on samples of one's own."""
    if features is None:
        features = np.random.default_rng(0).normal(size=(len(study.targets), 8, 8, 1))
    return classes.draw_classes(
        study.request,
        study.samples,
        features=features.astype(np.float32),
        ids=np.array(ids, str),
        manifest=replace(study.manifest, sample_shape=list(features.shape[1:]), **described),
    )


@pytest.fixture(scope="module")
def wine() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Out-of-fold and test predictions of a plain model on real data."""
    data = prepare(
        {
            "source": "wine",
            "test_seed": 0,
            "scale_targets": "none",
            "reshape": None,
            "subset": None,
        },
        "multiclass",
    )
    # Two features only, so that it errs.
    own, rest = data.features[:, [2, 8]], np.arange(178)
    test = rest % 4 == 0
    model = LogisticRegression()
    chances = cross_val_predict(model, own[~test], data.targets[~test], method="predict_proba")
    held_out = model.fit(own[~test], data.targets[~test]).predict_proba(own[test])
    tables = [
        pd.DataFrame({"sample": rest[where], "prediction": list(p.astype(np.float32))})
        for where, p in ((~test, chances), (test, held_out))
    ]
    return tables[0], tables[1], data.targets, data.features


@pytest.mark.parametrize(
    ("problem", "options", "shape"),
    [
        ("multiclass", {}, (6, 5, 3)),
        ("binary", {"classes": 2}, (4,)),
        ("regression", {}, (4,)),
        ("multi_output", {"outputs": 3}, (8, 8, 1)),
    ],
)
def test_every_problem_and_kind_of_sample_gets_its_figures(
    tmp_path: Path, problem: str, options: dict[str, int], shape: tuple[int, ...]
) -> None:
    study = finished(tmp_path, problem, **options)
    features = np.random.default_rng(0).normal(size=(len(study.targets), *shape))
    drawn = draw(study, features)
    assert set(drawn) == OF_ALL
    if problem in ("binary", "multiclass"):
        found = draw_classes(study, features)
        assert set(found.drawings) == OF_CLASSES
        assert set(found.tables) == {"classes", "misclassified"}
        drawn |= found.drawings
    figures.save_all(drawn, tmp_path)
    for name in drawn:
        assert ET.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")
        words = json.loads((tmp_path / f"{name}.json").read_text())
        assert words["alt"].endswith(".")
        assert words["caption"].endswith(".")
    no_images = "are no images" in drawn["filters"].alt
    assert no_images == (len(shape) != 3)


def test_the_rules_and_the_captions_know_the_same_figures() -> None:
    rules = (ROOT / "rules" / "figures.smk").read_text()
    for name in OF_ALL | OF_CLASSES:
        assert f'"{name}": "' in rules
        assert (ROOT / "workflow" / "report" / f"{name}.rst").read_text().strip()
    for name in ("layers", "feature_importance", "classes", "misclassified"):
        assert (ROOT / "workflow" / "report" / "tables" / f"{name}.rst").read_text().strip()


def test_figures_are_equal_in_every_run(tmp_path: Path) -> None:
    study = finished(tmp_path)
    for run in ("first", "second"):
        drawn = draw(study) | draw_classes(study).drawings
        figures.save_all(drawn, tmp_path / run)
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_classes_are_scored_one_against_the_rest(wine: Any) -> None:
    out_of_fold, test, targets, _ = wine
    parts = predicted_samples(out_of_fold, test, targets, 0.5)
    table = class_table(parts, ["a", "b", "c"], 0.95).set_index(["part", "class"])
    assert list(table.index.get_level_values(0).unique()) == [OUT_OF_FOLD, TEST]
    for part in parts:
        mean = table.loc[part.name, "roc_auc"].mean()
        expected = metrics.roc_auc_score(
            part.truth, part.prediction.astype(float), multi_class="ovr", average="macro"
        )
        assert mean == pytest.approx(expected)
        assert table.loc[part.name, "samples"].tolist() == np.bincount(part.truth).tolist()
        recall = metrics.recall_score(part.truth, part.predicted, average=None)
        np.testing.assert_allclose(table.loc[part.name, "recall"], recall)
    assert (table["roc_auc_low"] < table["roc_auc"]).all()
    assert (table["roc_auc"] < table["roc_auc_high"]).all()


def test_the_roc_figure_tells_the_areas_of_the_table(wine: Any, tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.out_of_fold, study.test_predictions, study.targets, features = wine
    drawn = draw_classes(study, features)
    upper = drawn.drawings["roc"].figure.axes[0]
    said = [text.get_text() for text in upper.get_legend().get_texts()]
    rows = drawn.tables["classes"].head(3)
    assert said == [
        f"{row['class']}: {row['roc_auc']:.3f}\n"
        f"[{row['roc_auc_low']:.3f}, {row['roc_auc_high']:.3f}], n={row['samples']}"
        for _, row in rows.iterrows()
    ]
    assert "133 samples" in upper.get_title(loc="left")
    curve = upper.lines[0]
    area = metrics.auc(curve.get_xdata(), curve.get_ydata())
    assert area == pytest.approx(rows["roc_auc"].iloc[0])


def test_two_classes_have_one_curve_and_many_the_hardest_twelve(tmp_path: Path) -> None:
    two = draw_classes(finished(tmp_path, "binary", classes=2)).drawings["roc"]
    assert len(two.figure.axes[0].get_legend().get_texts()) == 1
    many = draw_classes(finished(tmp_path, classes=15)).drawings["roc"]
    assert "12 of 15 classes with the smallest areas" in many.caption
    assert len(many.figure.axes[0].get_legend().get_texts()) == 12


def test_a_class_without_test_samples_has_no_area_there(tmp_path: Path) -> None:
    study = finished(tmp_path, test=2)
    table = draw_classes(study).tables["classes"]
    absent = table[(table["part"] == TEST) & (table["samples"] == 0)]
    assert len(absent) == 1
    assert absent[["roc_auc", "recall"]].isna().all(axis=None)


def test_with_repeats_every_sample_counts_once_as_one_model_predicts_it(tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.out_of_fold = study.out_of_fold.assign(split="r0f0")
    again = study.out_of_fold.assign(split="r1f0")
    again["prediction"] = [p[::-1] for p in again["prediction"]]
    (part,) = predicted_samples(
        pd.concat([study.out_of_fold, again]), study.test_predictions[:0], study.targets, 0.5
    )
    assert (len(part.samples), part.repeats) == (50, 2)
    both = np.stack(study.out_of_fold["prediction"].to_list())
    np.testing.assert_allclose(part.prediction, both, rtol=1e-5)
    study.out_of_fold = pd.concat([study.out_of_fold, again])
    assert (
        "Of 2 repeats, the first that predicts a sample counts"
        in draw_classes(study).drawings["roc"].caption
    )


def test_calibration_is_perfect_where_chances_come_true_and_wrong_by_what_they_miss() -> None:
    random = np.random.default_rng(0)
    chance = random.random(20_000)
    came_true = random.random(20_000) < chance
    honest = reliability(came_true, chance, 0.95)
    assert honest.error < 0.015
    assert honest.counts.sum() == 20_000
    assert (honest.low <= honest.share).all()
    assert (honest.share <= honest.high).all()
    share, confidence = calibration_curve(came_true, chance, n_bins=10)
    np.testing.assert_allclose(honest.share, share)
    np.testing.assert_allclose(honest.confidence, confidence)
    # Half of all chances lie above the truth by 0.2.
    wrong = reliability(came_true, np.where(chance < 0.5, chance, chance + 0.2), 0.95)
    assert wrong.error == pytest.approx(0.1, abs=0.04)
    assert wrong.error > 5 * wrong.of_chance


def test_the_calibration_error_of_a_perfect_model_is_what_is_called_chance() -> None:
    """Few samples have an error though every chance is true; its mean is foretold."""
    random = np.random.default_rng(1)
    errors, foretold = [], []
    for _ in range(200):
        chance = random.beta(4, 1, 60)
        found = reliability(random.random(60) < chance, chance, 0.95)
        errors.append(found.error)
        foretold.append(found.of_chance)
    assert np.mean(errors) > 0.05
    assert np.mean(foretold) == pytest.approx(np.mean(errors), rel=0.1)


def test_calibration_is_told_in_numbers_and_refused_for_what_is_no_probability(
    wine: Any, tmp_path: Path
) -> None:
    study = finished(tmp_path)
    assert "no probabilities" in draw_classes(study).drawings["calibration"].alt
    study.out_of_fold, study.test_predictions, study.targets, features = wine
    drawing = draw_classes(study, features).drawings["calibration"]
    part = study.samples[0]
    found = reliability(part.predicted == part.truth, part.confidence, 0.95)
    told = f"ECE {found.error:.3f} (by chance {found.of_chance:.3f})"
    assert told in drawing.figure.axes[0].get_title(loc="left")
    shown = [int(text.get_text()) for text in drawing.figure.axes[2].texts]
    assert shown == found.counts.tolist()
    assert sum(shown) == len(part.samples)


def test_mistakes_are_all_in_the_table_most_confident_first(wine: Any, tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.out_of_fold, study.test_predictions, study.targets, features = wine
    drawn = draw_classes(study, features)
    table = drawn.tables["misclassified"]
    for part in study.samples:
        rows = table[table["part"] == part.name]
        assert len(rows) == (part.predicted != part.truth).sum() > 0
        assert rows["confidence"].is_monotonic_decreasing
        assert f"{len(rows)} of {len(part.samples)} wrong" in drawn.drawings["misclassified"].alt
    first = table.iloc[0]
    assert first["confidence"] > first["true_confidence"]
    np.testing.assert_array_equal(
        first[[f"feature_{i}" for i in range(13)]].to_numpy(float), features[first["sample"]]
    )
    assert first["true"] == f"class {study.targets[first['sample']]}"


def test_mistakes_are_told_as_they_stood_in_the_table(tmp_path: Path) -> None:
    study = finished(tmp_path)
    random = np.random.default_rng(0)
    features = random.normal(size=(len(study.targets), 3))
    features[:, 1] = np.arange(len(features)) % 2
    features[::3, 0] = np.nan
    names = [f"p{i:03d}" for i in range(len(features))]
    columns = [
        FeatureColumn("height"),
        FeatureColumn("label", ("blue", "red")),
        FeatureColumn("seconds", origin=1.7e9),
    ]
    drawn = draw_classes(
        study, features, names, columns=columns, feature_names=[c.name for c in columns]
    )
    table = drawn.tables["misclassified"]
    assert table.columns[-4:].tolist() == ["id", "height", "label", "seconds"]
    for _, row in table.iterrows():
        sample = row["sample"]
        assert row["id"] == names[sample]
        assert row["label"] == ("blue", "red")[sample % 2]
        assert row["seconds"] == pytest.approx(1.7e9 + features[sample, 2], abs=1e-3)
        assert np.isnan(row["height"]) == (sample % 3 == 0)
    drawing = drawn.drawings["misclassified"]
    axes = next(axes for axes in drawing.figure.axes if axes.images)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["height", "label", "seconds"]
    first = table.iloc[0]
    assert axes.get_yticklabels()[0].get_text().startswith(f"{first['id']}: true {first['true']}")
    shown = [text.get_text() for text in axes.texts]
    part = table[table["part"] == first["part"]].head(12)
    assert shown[1::3] == part["label"].tolist()
    # A missing value leaves the others of its column their colours.
    assert np.ma.masked_invalid(axes.images[0].get_array()).mask[:, 0].sum() == sum(
        np.isnan(part["height"])
    )
    assert "Grey: categories, and values that are missing." in drawing.caption


def test_a_feature_with_the_name_of_a_column_keeps_its_values(tmp_path: Path) -> None:
    study = finished(tmp_path)
    features = np.random.default_rng(0).normal(size=(len(study.targets), 2))
    table = draw_classes(study, features, feature_names=["sample", "true"]).tables["misclassified"]
    np.testing.assert_allclose(
        table["sample (feature)"], features[table["sample"], 0].astype(np.float32)
    )
    assert set(table["true"]) <= {"class 0", "class 1", "class 2"}


def test_mistakes_on_images_are_shown_as_images(tmp_path: Path) -> None:
    study = finished(tmp_path)
    drawn = draw_classes(study)
    shown = [axes for axes in drawn.drawings["misclassified"].figure.axes if axes.images]
    assert len(shown) == sum(
        min(16, len(rows)) for _, rows in drawn.tables["misclassified"].groupby("part")
    )
    row = drawn.tables["misclassified"].iloc[0]
    assert shown[0].get_title() == (
        f"true {row['true']}\npred. {row['predicted']} ({row['confidence']:.2f})"
    )
    assert "feature_0" not in drawn.tables["misclassified"]


def test_a_perfect_model_has_no_mistakes_to_show(tmp_path: Path) -> None:
    study = finished(tmp_path)
    for table in (study.out_of_fold, study.test_predictions):
        table["prediction"] = list(np.eye(3)[study.targets[table["sample"]]])
    drawn = draw_classes(study)
    assert drawn.drawings["misclassified"].alt == "No sample is misclassified."
    assert not len(drawn.tables["misclassified"])


def test_layers_are_listed_with_what_training_changes(tmp_path: Path) -> None:
    drawn = draw(finished(tmp_path))
    table = architecture.layers_table(inside(3).layers).set_index("layer")
    assert table.loc["last", "sources"] == "body first"
    assert table.loc["first", "sources"] == "input"
    assert table.loc["body", ["parameters", "trainable"]].tolist() == [500, 0]
    words = drawn["architecture"]
    assert "591 parameters, of which training changes 91" in words.caption
    assert "3 layers" in words.alt, "those of models inside it are in the table only"


def test_long_models_leave_out_their_middle_and_say_so() -> None:
    chain = [
        Layer(f"d{i}", "Dense", "", (3,), 12, 12, 0, (f"d{i - 1}" if i else "",)) for i in range(90)
    ]
    drawing = architecture.draw_architecture(chain, (3,))
    assert "51 layers in the middle are left out" in drawing.caption
    assert "90 layers" in drawing.alt


@pytest.mark.parametrize(("filters", "answers"), [(8, 2), (20, 2), (40, 1), (64, 1)])
def test_every_filter_is_shown_with_its_answers(tmp_path: Path, filters: int, answers: int) -> None:
    figure = draw(finished(tmp_path), within=inside(filters=filters))["filters"].figure
    shown = [axes for axes in figure.axes if axes.images and not axes.get_label()]
    blocks = -(-filters // 16)
    assert len(shown) == filters * (1 + answers) + blocks * answers


def test_pictures_keep_colours_and_the_scale_of_bytes() -> None:
    bytes_ = np.array([[[[0, 128, 255]]]], np.uint8)
    np.testing.assert_allclose(pictures.as_pictures(bytes_)[0, 0, 0], [0, 128 / 255, 1])
    numbers = np.array([[[[-1.0]]], [[[3.0]]]])
    assert pictures.as_pictures(numbers).ravel().tolist() == [0, 1]
    coloured, limit = pictures.kernels_as_pictures(np.full((1, 1, 3, 1), -2.0))
    assert limit is None
    assert coloured.ravel().tolist() == [0, 0, 0]


def test_names_of_every_kind_stay_text(tmp_path: Path) -> None:
    names = ['<b>"$x$"</b>', "ü" * 300, "a\nb"]
    study = finished(tmp_path, class_names=names)
    figures.save_all(draw_classes(study).drawings, tmp_path)
    for name in OF_CLASSES:
        assert "<b>" not in (tmp_path / f"{name}.svg").read_text()


@pytest.mark.parametrize(
    ("problem", "shape", "sections"),
    [("multiclass", (8, 8, 1), {"classes", "model"}), ("regression", (4,), {"model"})],
)
def test_the_report_shows_the_figures_in_sections_of_their_own(
    tmp_path: Path, problem: str, shape: tuple[int, ...], sections: set[str]
) -> None:
    study = finished(tmp_path, problem)
    features = np.random.default_rng(0).normal(size=(len(study.targets), *shape))
    drawn = draw(study, features)
    if "classes" in sections:
        drawn |= draw_classes(study, features).drawings
    figures.save_all(drawn, tmp_path)
    files = input.read_figures(tmp_path / f"{name}.json" for name in drawn)
    study.manifest = replace(study.manifest, sample_shape=list(shape))
    study.importance = importance()
    nothing = dict.fromkeys(figures.FIGURES, files["architecture"])
    page = study.render_with(nothing | files)
    assert {name for name in ("classes", "model") if f'<section id="{name}"' in page} == sections
    for name in ("filters", "activations"):
        shown = str(escape(drawn[name].alt)) in page
        assert shown == (len(shape) == 3)
    assert ("no filters and maps" in page) == (len(shape) != 3)
    assert 'href="tables/layers.csv"' in page


def test_the_importance_of_features_is_drawn_largest_first(tmp_path: Path) -> None:
    drawing = draw(finished(tmp_path))["feature_importance"]
    axes = drawing.figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["height", "colour"]
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.1]
    assert "accuracy" in axes.get_xlabel()
    assert "over 10 shuffles" in drawing.caption
    assert "height (0.300)" in drawing.alt


def test_the_report_tells_classes_and_features_beside_the_errors(tmp_path: Path) -> None:
    study = finished(tmp_path, class_names=["NA", "<i>", "c"])
    study.classes = draw_classes(study).tables["classes"]
    study.importance = importance()
    drawn = study.draw() | draw(study)
    figures.save_all(drawn, tmp_path)
    page = study.render_with(input.read_figures(tmp_path / f"{name}.json" for name in drawn))
    order = [page.index(f'<section id="{name}"') for name in ("answer", "errors", "configurations")]
    assert order == sorted(order)
    section = page[page.index('<section id="errors"') :].split("</section>")[0]
    rows = re.findall(r"<tr><td.*?</tr>", section)
    assert len(rows) == 6
    # The test set stands open, what was selected by is folded.
    order = [">Held-out test set<", rows[0], rows[2], "<details>", ">Out of fold<", rows[3]]
    places = [section.index(text) for text in order]
    assert places == sorted(places)
    assert [">NA<" in row for row in rows] == [True, False, False] * 2
    assert "&lt;i&gt;" in rows[1]
    first = study.classes[study.classes["part"] == TEST].iloc[0]
    for name in ("precision", "recall", "f1"):
        assert f">{first[name]:.3f}<" in rows[0]
    assert '<section id="features"' in page
    study.importance = importance().head(0)
    assert '<section id="features"' not in study.render_with(
        input.read_figures(tmp_path / f"{name}.json" for name in drawn)
    )
