"""The report: right numbers, nothing from a network, nothing unescaped, nothing left unsaid."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pages import EVIL, Page
from synthetic import Finished, figures_in, finished, importance, levels_off

from gridfold import wording
from gridfold.data.description import ColumnDescription, Count
from gridfold.figures import study as figures
from gridfold.report.files import FOLDER, page_files
from gridfold.report.sections.answer import scores, sentences
from gridfold.report.sections.cautions import Caution, detectable_difference, edge, find_cautions
from gridfold.requests import SummaryRequest
from gridfold.statistics.scored import Scored
from gridfold.statistics.summary import summarise
from gridfold.store.job_records import JobRecord
from gridfold.store.model_card import CrossValidation, EnsembleScore
from gridfold.store.selection import SelectionFacts
from gridfold.study import Study
from gridfold.tables.axes import curve_over_splits, curves_over_splits
from gridfold.tables.jobs import job_table
from gridfold.tables.trials import USAGE_COLUMNS
from gridfold.webpage.page import joined
from gridfold.webpage.style import BASE_STYLE

THEMES = ["light", "dark", "print"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(study: Finished, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(study.render(tmp_path_factory.mktemp("figures")))


def page_of(study: Finished, folder: Path) -> Page:
    return Page(study.render_without_figures(folder))


def cautions_of(study: Finished) -> list[Caution]:
    return find_cautions(study.request, study.tables, study.card)


def rescore(study: Finished, score: float, low: float, high: float) -> None:
    """Give a study another score on its test set."""
    assert study.card.test is not None
    test = replace(study.card.test, score=score, low=low, high=high)
    study.card = replace(study.card, test=test)


def sentences_of(study: Finished) -> str:
    return " ".join(c.sentence for c in cautions_of(study))


# -- the answer --------------------------------------------------------------------------------


def test_the_answer_comes_first_with_interval_and_test_score(page: Page, study: Finished) -> None:
    answer = page.section("answer")
    assert study.best.low is not None
    assert study.best.high is not None
    low, high = study.best.low, study.best.high
    assert f"{study.best.mean:.3f} 95% confidence interval {low:.3f} to {high:.3f}" in answer
    assert "over 5 splits; not corrected for being the best of 4 configurations" in answer
    assert "0.875 95% confidence interval 0.750 to 0.938, 12 samples, scored once" in answer
    assert study.best.config_id in answer
    assert [e.attributes["id"] for e in page.all("section")] == [
        "answer",
        "errors",
        "cautions",
        "configurations",
        "curves",
        "hyperparameters",
        "dataset",
        "cost",
        "provenance",
    ]


def test_the_answer_names_a_smaller_configuration_that_may_be_as_good(page: Page) -> None:
    text = page.section("answer")
    assert (
        "The best of the 4 configurations is this one or one of 2 others, at 95% confidence" in text
    )
    assert (
        "The smallest configuration within one standard error of the selected one is number 2"
        in text
    )
    assert (
        "999 instead of 1,000 weights, mean 0.896, difference −0.006 (95% interval −0.026" in text
    )


def test_with_a_margin_it_names_the_smallest_that_is_shown_to_lose_less(study: Finished) -> None:
    for margin, expected in ((0.08, "number 4"), (0.05, "number 3"), (0.01, "")):
        said = " ".join(sentences(study.configurations, study.best, study.card, margin))
        named = f"shown to lose less than {margin:g} (report.margin) is {expected}"
        assert (named in said) == bool(expected)


def test_an_interval_ends_at_the_range(tmp_path: Path) -> None:
    study = finished(tmp_path)
    ends = {"mean": 0.97, "low": 0.92, "high": 1.0}
    study.best = replace(study.best, **ends)
    best = study.configurations["config_id"] == study.best.config_id
    for name, value in ends.items():
        study.configurations.loc[best, f"accuracy_{name}"] = value
    page = page_of(study, tmp_path)
    assert "0.970 95% confidence interval 0.920 to 1.000 over" in page.section("answer")
    assert "0.970 ± 0.050" in " ".join(page.by_id("ranking").text.split())


def corrected(study: Finished, **facts: Any) -> Finished:
    """Give a study a corrected score."""
    known = SelectionFacts(0.852, 0.021, 0.781, 0.903, 50, 4, 500, "", 0.021)
    study.best = replace(study.best, estimate=replace(known, **facts))
    study.card = replace(study.card, cross_validation=CrossValidation.of(study.best))
    return study


def test_the_large_number_is_corrected_for_the_selection(tmp_path: Path) -> None:
    study = corrected(finished(tmp_path))
    answer = page_of(study, tmp_path).section("answer")
    assert (
        "0.852 95% confidence interval 0.781 to 0.903 over 5 splits; corrected for being the best "
        f"of 4 configurations; as selected, the mean is {study.best.mean:.3f}" in answer
    )
    assert "The test score is 0.023 better than the corrected estimate" in answer
    assert "the best of many" not in answer


def test_the_ranking_says_that_its_scores_are_as_selected(tmp_path: Path) -> None:
    study = finished(tmp_path)
    assert "Scores are as selected" not in page_of(study, tmp_path).section("configurations")
    section = page_of(corrected(study), tmp_path).section("configurations")
    assert "Scores are as selected: that of the first configuration is the best of all" in section
    assert "mean over the 3 classes, each counting the same (macro)" in section


def test_what_the_correction_could_not_repeat_is_said(tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.best = replace(study.best, tried=90)
    answer = page_of(corrected(study, explored=60), tmp_path).section("answer")
    assert "the best of 90 configurations, of which 60 could be repeated;" in answer
    caution = next(c for c in cautions_of(study) if "luckiest" in c.sentence)
    assert "the best of 90, 4 of which were compared in the end, on 5 splits" in caution.sentence
    assert "The score that is quoted is corrected for this choice" in caution.sentence


def test_models_of_unequal_training_are_named(tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.trials["n_train"] = [1000 * (1 + i % 5) for i in range(len(study.trials))]
    answer = page_of(study, tmp_path).section("answer")
    assert "training parts grow from 1,000 to 5,000 samples" in answer


def test_an_ensemble_scores_the_test_set_a_second_time(tmp_path: Path) -> None:
    study = finished(tmp_path)
    ensemble = EnsembleScore(["r0f0", "r0f1"], study.card.test)
    study.card = replace(study.card, ensemble=ensemble)
    answer = page_of(study, tmp_path).section("answer")
    assert "scored once by this model and once by the mean of the models of the splits" in answer


@pytest.mark.parametrize(
    ("problem", "measure", "said"),
    [
        ("binary", "roc_auc", "positive class class 1"),
        ("multiclass", "f1_macro", "mean over the 3 classes, each counting the same (macro)"),
    ],
)
def test_of_which_class_a_measure_is_stands_beside_it(
    tmp_path: Path, problem: str, measure: str, said: str
) -> None:
    study = finished(tmp_path, problem)
    names = ["class 0", "class 1", "class 2"][: 2 if problem == "binary" else 3]
    study.best = replace(study.best, measure=measure)
    study.card = replace(study.card, data=replace(study.card.data, classes=names))
    shown = scores(study.best, study.card, study.trials)
    assert said in shown[0].basis
    assert said in shown[1].basis


def test_clear_differences_are_called_so(tmp_path: Path) -> None:
    study = finished(tmp_path, step=0.1, spread=0.002)
    text = page_of(study, tmp_path).section("answer")
    assert "It is the best of the 4 configurations, at 95% confidence" in text
    assert "No configuration differs significantly" not in sentences_of(study)


@pytest.mark.parametrize(
    ("score", "low", "high", "expected"),
    [
        (0.8, 0.7, 0.95, "worse than the cross-validated mean, which is within the uncertainty"),
        (0.5, 0.4, 0.6, "expect the test score on new data, not the other"),
        (0.97, 0.95, 0.99, "better than the cross-validated mean: no sign"),
        (float("nan"), float("nan"), float("nan"), "Without a held-out test score"),
    ],
)
def test_the_gap_between_both_scores_is_explained(
    tmp_path: Path, score: float, low: float, high: float, expected: str
) -> None:
    study = finished(tmp_path)
    rescore(study, score, low, high)
    assert expected in page_of(study, tmp_path).section("answer")


def test_a_lower_error_on_the_test_set_is_better(tmp_path: Path) -> None:
    study = finished(tmp_path, "regression")
    rescore(study, 0.1, 0.05, 0.2)
    assert "better than the cross-validated mean" in page_of(study, tmp_path).section("answer")


def test_one_split_has_no_interval_and_no_comparison(tmp_path: Path) -> None:
    study = finished(tmp_path, folds=1)
    page = page_of(study, tmp_path)
    assert "on 1 split; no interval can be given" in page.section("answer")
    assert "With one split, no test can tell" in page.section("answer")
    assert "±" not in page.by_id("ranking").text
    assert "no score has a confidence interval" in sentences_of(study)


def test_a_single_split_is_not_called_cross_validation(tmp_path: Path) -> None:
    html = finished(tmp_path, folds=1).render_without_figures(tmp_path)
    assert "Validation accuracy" in html
    assert "ross-validated" not in html


def test_a_single_rival_is_not_counted(tmp_path: Path) -> None:
    for step, text in (
        (0.0, "The other configuration may be as good or better"),
        (0.2, "It is the best of the 2 configurations"),
    ):
        study = finished(tmp_path, space={"mlp.units": [4, 8]}, step=step)
        assert text in page_of(study, tmp_path).section("answer")


def test_one_configuration_has_no_comparison(tmp_path: Path) -> None:
    page = page_of(finished(tmp_path, space={}), tmp_path)
    assert "nothing to compare it with" in page.section("answer")
    headings = [" ".join(e.text.split()) for e in page.all("th") if e.attributes["scope"] == "col"]
    assert not [h for h in headings if h.startswith(("Difference", "p,"))]


def test_another_threshold_is_told_where_it_counts(tmp_path: Path) -> None:
    study = finished(tmp_path, "binary", class_names=["benign", "malignant"])
    said = "predicted as malignant from a probability of 0.3 on."
    usual = study.render(tmp_path / "figures")
    assert "from a probability" not in usual
    assert "threshold 0.3" not in usual
    settings = study.request.study
    problem = {**settings["problem"], "threshold": 0.3}
    study.request = replace(study.request, study={**settings, "problem": problem})
    classes = ["benign", "malignant"]
    study.card = replace(study.card, threshold=0.3, data=replace(study.card.data, classes=classes))
    page = study.render(tmp_path / "figures")
    # In the answer, and below the confusion matrix.
    assert page.count(said) >= 2
    assert "malignant, from a probability of 0.3 on" in page
    assert "accuracy (threshold 0.3)" in page


def test_a_missing_test_set_is_said(tmp_path: Path) -> None:
    study = finished(tmp_path, test=0)
    page = page_of(study, tmp_path)
    assert "no test set was held out" in page.section("answer")
    assert "Without a held-out test score" in page.section("answer")
    assert "No test set was held out" in page.section("cautions")
    assert "no test set" in page.section("provenance")


# -- the tables --------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_configuration(page: Page, study: Finished) -> None:
    rows = [e for e in page.all("th") if e.attributes["scope"] == "row"]
    assert [r.attributes["data-key"] for r in rows] == study.configurations["label"].tolist()
    cells = [e for e in page.all("td") if "tbody" in e.inside and "data-key" in e.attributes]
    keys = [cell.attributes["data-key"] for cell in cells]
    assert len(cells) > len(rows)
    assert all(key == "" or float(key) == float(key) for key in keys)


def test_other_measures_are_there_on_demand(page: Page) -> None:
    headings = [e for e in page.all("th") if e.attributes["scope"] == "col"]
    extra = [" ".join(e.text.split()) for e in headings if "extra" in str(e.attributes["class"])]
    assert [h.partition(",")[0] for h in extra] == [
        "mlp.units",
        "training.learning_rate",
        "Balanced accuracy",
        "ROC AUC (one against rest)",
        "Macro F1",
        "Log loss",
        "Core-hours",
        "CPU use",
        "Memory",
    ]


def test_cost_is_told_in_hours_and_for_each_configuration(page: Page, study: Finished) -> None:
    cost = page.section("cost")
    assert "CPU 40 core-hours, cores busy 50% of the time" in cost
    assert "703 MB at most, of which 80 MB on top of what trials of a job share" in cost
    assert "GPU" not in cost
    assert "For the next time" not in cost
    assert study.configurations["core_hours"].tolist() == [10.0] * 4
    assert study.configurations["cpu_efficiency"].tolist() == [0.5] * 4
    assert page.by_id("ranking").text.count("50%") == 4


def test_gpus_are_told_where_there_are_any(tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.trials = study.trials.assign(
        gpu_hours=0.25, gpu_busy=0.9, gpu_memory_mb=70000.0, gpu_tensors_mb=800.0
    )
    cost = page_of(study, tmp_path).section("cost")
    assert "GPU 5 GPU-hours, computing 90% of the time" in cost
    assert "GPU memory 70.0 GB in use at most, 800 MB by tensors" in cost


def test_what_jobs_could_ask_for_is_advised(tmp_path: Path) -> None:
    study = finished(tmp_path)
    asked = {"cores": 4, "gpus": 0, "workers": 4, "memory_mb": 8000, "minutes": 10}
    job = JobRecord("s0001", "c1", "7", asked, 1000.0, 1500.0, 1900.0, 1900.0, 20, 0)
    study.jobs = job_table([job], {})
    assert "`" not in page_of(study, tmp_path).section("cost")
    assert "mem_mb 2500 would do" in page_of(study, tmp_path).section("cost")


def test_tables_that_know_of_no_usage_give_a_report(tmp_path: Path) -> None:
    study = finished(tmp_path)
    unknown = dict.fromkeys(USAGE_COLUMNS, float("nan"))
    study.trials = study.trials.assign(**unknown)
    request = SummaryRequest(study.best.measure, 0.95)
    study.configurations = summarise(study.trials.drop(columns=list(unknown)), request)
    page = page_of(study, tmp_path)
    assert "core-hours" not in page.section("cost")
    assert "Core-hours" not in page.by_id("ranking").text


def test_failed_trials_come_with_advice(tmp_path: Path) -> None:
    study = finished(tmp_path, failed={0: "ended by SIGKILL; the kernel does this"})
    study.trials.loc[0, "failure"] = "killed"
    failures = page_of(study, tmp_path).section("failures")
    assert "ended by SIGKILL; the kernel does this" in failures
    assert "--set-resources train:mem_mb=..." in failures


def test_failed_trials_are_listed_with_their_reasons(tmp_path: Path) -> None:
    study = finished(tmp_path, failed={0: "the loss is NaN <b>", 1: "the loss is inf"})
    page = page_of(study, tmp_path)
    failures = page.section("failures")
    assert "2 of 20 trials failed." in failures
    assert "r0f0 diverged the loss is NaN <b>" in failures
    assert "3 of 5" in page.by_id("ranking").text
    assert "1 configuration with failed trials can't be compared fairly" in page.section("answer")
    assert "2 of 20 trials failed (2 diverged)" in sentences_of(study)


def test_a_better_mean_over_fewer_splits_is_not_hidden(tmp_path: Path) -> None:
    text = sentences_of(finished(tmp_path, failed={0: "the loss is NaN"}, step=0.05))
    assert "1 of them has a better mean than the selected one, over fewer splits." in text


def test_one_configuration_is_not_optimistic_without_a_test_set(tmp_path: Path) -> None:
    study = finished(tmp_path, space={}, test=0)
    assert [c.severity for c in cautions_of(study)] == ["note"]
    assert "luck" not in page_of(study, tmp_path).section("answer")


def test_a_configuration_without_any_score_is_ranked_last(tmp_path: Path) -> None:
    study = finished(tmp_path, failed=dict.fromkeys(range(5), "the loss is NaN"))
    page = Page(study.render(tmp_path))
    assert "0 of 5" in page.by_id("ranking").text
    assert "nan" not in page.by_id("ranking").text.lower()


def test_a_study_without_failures_has_no_section_on_them(page: Page) -> None:
    assert "failures" not in [e.attributes["id"] for e in page.all("section")]
    assert "of which 0 failed" in page.section("cost")


@pytest.mark.parametrize(("rates", "shown"), [(3, False), (4, True)])
def test_few_configurations_need_no_figures_of_all_axes(
    tmp_path: Path, rates: int, shown: bool
) -> None:
    grid = [10.0**-power for power in range(1, 1 + rates)]
    space = {"mlp.units": {"grid": [4, 8]}, "training.learning_rate": {"grid": grid}}
    ids = [
        e.attributes.get("id") for e in page_of(finished(tmp_path, space=space), tmp_path).elements
    ]
    assert "chart-axes" in ids
    assert ("chart-pairs" in ids) == ("chart-parallel" in ids) == shown


def test_cost_counts_trials_and_names_the_slowest(page: Page, study: Finished) -> None:
    cost = page.section("cost")
    assert "Trials 20, of which 0 failed" in cost
    assert "Training time, all trials 30 s" in cost
    assert f"1.5 s: {study.trials['label'][0]}, split r0f0" in cost


def test_provenance_leads_back_to_the_same_numbers(page: Page, study: Finished) -> None:
    text = page.section("provenance")
    assert "snakemake --configfile 'config/my study.yaml'" in text
    assert study.manifest.digest in text
    assert "abcdef123456, with changes that were not committed" in text
    assert "training 4,000, validation 1,000 samples; 12 samples held out for the test" in text
    assert "splits 0, test set 0, training 0" in text
    assert "keras 3.15.0" in text
    assert "secret-host" not in text


@pytest.mark.parametrize("problem", ["multiclass", "binary", "regression", "multi_output"])
def test_the_settings_are_a_valid_study(tmp_path: Path, problem: str) -> None:
    page = page_of(finished(tmp_path, problem), tmp_path)
    settings = yaml.safe_load(page.all("code")[-1].text)
    assert Study.model_validate(settings).study == "tiny"


# -- the page ----------------------------------------------------------------------------------


def test_nothing_is_asked_of_a_network(page: Page) -> None:
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in ("src", "srcset", "data", "poster", "action"):
                assert str(value).startswith("data:"), element.tag
            assert not name.startswith("on"), element.tag
            assert name != "style", element.tag
    for link in page.all("a"):
        assert not re.match(r"(\w+:|//|/)", str(link.attributes["href"]))
    assert [e.attributes["href"] for e in page.all("link")] == ["data:,"]
    own = [file for file in page_files() if file.suffix in (".css", ".js") and file.stem != "d3"]
    assert len(own) > 5
    for file in own:
        assert not re.search(r"https?:|url\(|@import|fetch\(", file.read_text()), file.name


def test_the_policy_lets_only_this_style_and_this_script_run(page: Page) -> None:
    (policy,) = [
        str(e.attributes["content"])
        for e in page.all("meta")
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (element,) = [e for e in page.all(tag) if "type" not in e.attributes]
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_texts_stay_text(tmp_path: Path) -> None:
    study = finished(
        tmp_path, labels=EVIL, failed={0: EVIL[1]}, report={"title": "</title><script>x</script>"}
    )
    page = page_of(study, tmp_path)
    assert [e.attributes.get("type") for e in page.all("script")] == ["application/json", None]
    assert len(page.all("style")) == 1
    assert not [e for e in page.all("img") if e.attributes["src"] == "x"]
    assert page.all("h1")[0].text == "</title><script>x</script>"
    for label in EVIL:
        assert label in page.by_id("ranking").text


@pytest.mark.parametrize("options", [{}, {"folds": 1}, {"space": {}}, {"failed": {3: "no"}}])
def test_the_page_is_accessible(tmp_path: Path, options: dict[str, Any]) -> None:
    page = page_of(finished(tmp_path, **options), tmp_path)
    assert page.all("html")[0].attributes["lang"] == "en-GB"
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [e.attributes["id"] for e in page.elements if e.attributes.get("id")]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name in ("aria-labelledby", "for"):
            assert element.attributes.get(name) in (None, *ids)
        href = str(element.attributes.get("href", ""))
        assert not href.startswith("#") or href[1:] in ids
    # Of four configurations there are no pairs and no parallel coordinates; of one, no axes.
    absent = 3 if options.get("space") == {} else 2
    assert len(page.all("img")) == len(figures.FIGURES) - absent
    assert all(e.attributes["alt"] for e in page.all("img"))
    assert all(e.attributes["scope"] for e in page.all("th"))
    for button in page.all("button"):
        assert button.inside[-1] == "th"
        assert button.attributes["type"] == "button"
    sortable = [e for e in page.all("th") if "aria-sort" in e.attributes]
    assert len(sortable) == len(page.all("button"))
    assert [e.attributes["aria-sort"] for e in sortable].count("ascending") == 1
    assert len(page.all("main")) == len(page.all("nav")) == 1
    first_link = page.all("a")[0]
    assert first_link.attributes["href"] == "#main"


def linear(colour: str) -> np.ndarray[Any, Any]:
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


# Machado, Oliveira & Fernandes (2009), full severity, on linear RGB.
COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return CIELAB coordinates of linear sRGB (IEC 61966-2-1, white D65)."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    x, y, z = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    fx, fy, fz = (
        np.cbrt(v) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in (x, y, z)
    )
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def colours_of(theme: str) -> dict[str, str]:
    """Return the variables of the style, as a theme sets them."""
    style = joined((BASE_STYLE, FOLDER / "templates" / "report.css"))
    screen, paper = style.split("@media print")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", screen)
    colours = {name: dark if theme == "dark" else light for name, light, dark in pairs}
    if theme == "print":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", paper))
    return colours


def contrast(front: str, back: str) -> float:
    light, dark = sorted(map(luminance, (front, back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_colour_has_enough_contrast(theme: str) -> None:
    colours = colours_of(theme)
    grounds = {
        "text": ("page", "panel", "tint", "warning-tint", "note-tint", "heat"),
        "soft": ("page", "panel", "tint", "warning-tint", "note-tint"),
        "accent": ("page", "panel", "note-tint"),
        "warning": ("warning-tint",),
        "note": ("note-tint",),
    }
    for front, behind in grounds.items():
        for back in behind:
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


@pytest.mark.parametrize("theme", THEMES)
def test_marks_stand_out_from_their_panel(theme: str) -> None:
    colours = colours_of(theme)
    for name in ("quiet", *(f"colour-{i}" for i in range(6))):
        assert contrast(colours[name], colours["panel"]) >= 3, name


@pytest.mark.parametrize("count", [100, 600])
def test_a_large_study_stays_a_small_page(tmp_path: Path, count: int) -> None:
    rates = {"logspace": {"start": 1e-4, "stop": 1.0, "num": count // 4}}
    space = {"mlp.units": [4, 8, 16, 32], "training.learning_rate": rates}
    html = finished(tmp_path, space=space, epochs=20, report={"curves": 20}).render(tmp_path)
    assert len(html.encode()) < 5_000_000
    page = Page(html)
    rows = [e for e in page.all("th") if e.attributes["scope"] == "row"]
    assert len(rows) == min(count, 500)
    cut = "The best 500 of 600 configurations." in page.section("configurations")
    assert cut == (count > 500)
    data = json.loads(page.by_id("data").text)
    assert len(data["configurations"]) == min(count, 500)
    assert ("The charts show the best 500 of 600." in data["thinned"]["all"]) == cut
    assert "tables/configurations.csv" in [a.attributes["href"] for a in page.all("a")]


def test_a_large_figure_comes_as_pixels(study: Finished, tmp_path: Path) -> None:
    figures.save_all(study.draw(), tmp_path)
    svg = tmp_path / "scores.svg"
    svg.write_text(svg.read_text() + f"<!--{'x' * 400_000}-->")
    page = Page(study.render_with(figures_in(tmp_path)))
    kinds = [str(e.attributes["src"]).partition(";")[0] for e in page.all("img")]
    # Errors come first, then the scores.
    assert kinds == ["data:image/svg+xml", "data:image/png", *["data:image/svg+xml"] * 2]
    assert page.all("img")[1].attributes["width"] == "960"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_selected_marks_are_told_apart_with_every_colour_vision(theme: str, vision: str) -> None:
    colours = colours_of(theme)
    seen = [lab(COLOUR_VISION[vision] @ linear(colours[f"colour-{i}"])) for i in range(6)]
    # 2.3 is just noticeable side by side; lines of a chart are thin and apart.
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 30


def test_the_chart_library_is_the_recorded_one() -> None:
    folder = FOLDER / "templates" / "vendor"
    record = json.loads((folder / "d3.json").read_text())
    code = (folder / "d3.js").read_text(encoding="utf-8")
    assert hashlib.sha256(code.encode()).hexdigest() == record["sha256"]
    # It is copied into every report, with its licence, and can't end the script that holds it.
    assert (folder / "d3.LICENSE").read_text().strip() in code
    assert not re.search(r"</script|<!--", code, re.I)
    for name, module in record["modules"].items():
        assert f"{name}/ v{module['version']} " in code


def test_data_in_the_page_cannot_leave_their_element(tmp_path: Path) -> None:
    labels = ["</script><script>x</script>", "<!-- \u2028 \u2029", "😀 & \"'", "\x07"]
    html = finished(tmp_path, labels=labels).render_without_figures(tmp_path)
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert not re.search("[<>&\u2028\u2029]", block)
    shown = {c["label"] for c in json.loads(block)["configurations"]}
    assert labels[0] in shown
    assert labels[2] in shown


def test_charts_have_the_numbers_of_the_tables(page: Page, study: Finished) -> None:
    data = json.loads(page.by_id("data").text)
    assert [c["id"] for c in data["configurations"]] == study.configurations["config_id"].tolist()
    first, row = data["configurations"][0], study.configurations.iloc[0]
    for end in ("mean", "low", "high"):
        assert first[end] == pytest.approx(row[f"accuracy_{end}"], rel=1e-4)
    assert first["text"] in " ".join(page.by_id("ranking").text.split())
    assert first["values"] == [row["mlp.units"], row["training.learning_rate"]]
    assert data["test"]["score"] == 0.875
    assert data["curves"]["epochs"] == [1, 2, 3, 4, 5, 6]
    for column in ("loss", "val_loss", "metric", "val_metric"):
        rows = study.epochs[study.epochs["config_id"] == first["id"]]
        expected = rows.groupby("epoch")[column].mean().tolist()
        assert data["curves"][column][0] == pytest.approx(expected, rel=1e-4)


def test_curves_of_all_configurations_are_those_of_each(study: Finished) -> None:
    epochs = study.epochs.copy()
    # One split stops early, three lose their loss.
    epochs = epochs[(epochs["split"] != "r0f0") | (epochs["epoch"] < 3)]
    epochs.loc[epochs["split"].isin(["r0f1", "r0f2"]) & (epochs["epoch"] > 4), "loss"] = np.inf
    tables = curves_over_splits(epochs, ["loss"])
    for config_id, history in epochs.groupby("config_id"):
        curve = curve_over_splits(history, "loss")
        assert curve.index.tolist() == [1, 2, 3, 4]
        for end in ("mean", "min", "max"):
            row = tables[end]["loss"].loc[config_id].dropna()
            assert row.tolist() == pytest.approx(curve[end].tolist())


# -- the cautions ------------------------------------------------------------------------------


def test_a_study_without_fault_has_only_expected_notes(tmp_path: Path) -> None:
    space = {"mlp.activation": {"choice": ["relu", "tanh"]}}
    study = finished(tmp_path, space=space, step=0.1, spread=0.001)
    assert cautions_of(study) == []
    assert "None: splits, failures" in page_of(study, tmp_path).section("cautions")


@pytest.mark.parametrize(
    ("value", "values", "axis", "expected"),
    [
        (1.0, [1.0, 2.0, 3.0], {}, "lowest"),
        (3.0, [1.0, 2.0, 3.0], {}, "highest"),
        (2.0, [1.0, 2.0, 3.0], {}, ""),
        (1.0, [1.0], {}, ""),
        (0.98, [0.1, 0.98], {"float": {"min": 0.0, "max": 1.0, "log": False}}, "highest"),
        (0.9, [0.1, 0.9], {"float": {"min": 0.0, "max": 1.0, "log": False}}, ""),
        (1.1e-4, [1.1e-4, 0.1], {"float": {"min": 1e-4, "max": 1.0, "log": True}}, "lowest"),
        (1e-3, [1e-3, 0.1], {"float": {"min": 1e-4, "max": 1.0, "log": True}}, ""),
    ],
)
def test_the_edge_of_an_axis(
    value: float, values: list[float], axis: dict[str, Any], expected: str
) -> None:
    assert edge(value, values, axis) == expected


def test_a_best_value_at_the_edge_is_a_warning(study: Finished) -> None:
    (caution,) = [c for c in cautions_of(study) if "edge" in c.sentence]
    assert caution.severity == "warning"
    assert "mlp.units = 4 (lowest) and training.learning_rate = 0.001 (lowest)" in caution.sentence


def test_the_finalists_of_a_search_have_no_edges_of_their_own(tmp_path: Path) -> None:
    study = finished(tmp_path, space={"mlp.units": [4, 8, 16, 32]})
    best = study.tables.configurations.set_index("config_id").loc[study.card.configuration.id]
    assert best["mlp.units"] == 4, "the lowest of all, which is an edge"
    space = {"mlp.units": {"grid": [2, 4, 8, 16, 32], "role": "scientific"}}
    asked = study.request.study
    study.request = replace(
        study.request,
        study={**asked, "search": {**asked["search"], "space": space}},
    )
    assert "edge" not in sentences_of(study), "the space goes on below it"


def test_zero_is_the_end_of_an_axis_and_not_its_edge(tmp_path: Path) -> None:
    study = finished(tmp_path, space={"mlp.dropout": [0, 0.2, 0.4]})
    assert "edge" not in sentences_of(study)


@pytest.mark.parametrize(("folds", "warned"), [(2, True), (4, True), (5, False)])
def test_few_splits_are_a_warning(tmp_path: Path, folds: int, warned: bool) -> None:
    assert ("is itself poorly known" in sentences_of(finished(tmp_path, folds=folds))) == warned


def test_a_loss_that_still_falls_asks_for_more_epochs(tmp_path: Path) -> None:
    study = finished(tmp_path, epochs=20, val_loss=lambda epoch: 1 / epoch)
    assert "still falling at the end, by 30% over the last 30% of its 20 epochs" in sentences_of(
        study
    )


def test_a_loss_that_rises_again_is_overfitting(tmp_path: Path) -> None:
    study = finished(tmp_path, epochs=20, val_loss=lambda epoch: 1 + abs(epoch - 8) / 10)
    text = sentences_of(study)
    assert "lowest in epoch 8 of 20" in text
    assert "it overfits" in text


def test_early_stopping_settles_both(tmp_path: Path) -> None:
    for curve in (lambda epoch: 1 / epoch, lambda epoch: 1 + abs(epoch - 8) / 10):
        training = {"epochs": 20, "early_stopping": {"patience": 3}}
        text = sentences_of(finished(tmp_path, epochs=20, val_loss=curve, training=training))
        assert "falling" not in text
        assert "overfits" not in text


@pytest.mark.parametrize(
    ("stopping", "told"),
    [
        ({"monitor": "accuracy"}, "keeps the weights of the epoch with the best accuracy"),
        ({"monitor": "val_metric"}, "keeps the weights of the epoch with the best accuracy"),
        (
            {"monitor": "accuracy", "restore_best": False},
            "is ended by the epoch with the best",
        ),
        ({"monitor": "f1_macro"}, "keeps the weights of the epoch with the best macro F1"),
        ({"monitor": "val_loss"}, "keeps the weights of the epoch with the lowest loss"),
        ({"monitor": "val_metric", "on": "inner"}, ""),
    ],
)
@pytest.mark.parametrize(("test", "severity"), [(12, "note"), (0, "warning")])
def test_weights_that_the_score_has_picked_are_told(
    tmp_path: Path, stopping: dict[str, Any], told: str, test: int, severity: str
) -> None:
    training = {"epochs": 6, "early_stopping": stopping}
    study = finished(tmp_path, training=training, test=test)
    found = [c for c in cautions_of(study) if "the best of many epochs" in c.sentence]
    assert [c.severity for c in found] == [severity] * bool(told)
    assert all(told in c.sentence and "on: inner" in c.remedy for c in found)


def test_a_level_loss_is_no_matter(tmp_path: Path) -> None:
    text = sentences_of(finished(tmp_path, epochs=20, val_loss=levels_off))
    assert "falling" not in text
    assert "overfits" not in text


@pytest.mark.parametrize(("test", "severity"), [(12, "note"), (0, "warning")])
def test_the_best_of_many_is_optimistic(tmp_path: Path, test: int, severity: str) -> None:
    space = {"training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1.0, "num": 11}}}
    (caution,) = [
        c for c in cautions_of(finished(tmp_path, space=space, test=test)) if "luck" in c.sentence
    ]
    assert caution.severity == severity
    assert "best of 11 on 5 splits" in caution.sentence


def test_duplicates_are_mentioned(tmp_path: Path) -> None:
    study = finished(tmp_path)
    study.request = replace(study.request, duplicates=({"mlp.units": 4},))
    assert "1 combination of axis values" in sentences_of(study)


def test_a_difference_just_above_the_detectable_one_is_significant(tmp_path: Path) -> None:
    from gridfold.statistics.summary import summarise

    study = finished(tmp_path, space={"mlp.units": [4, 8]}, spread=0.01)
    scored = Scored.of(study.trials, study.configurations, "accuracy", 0.95)
    needed = detectable_difference(scored)
    worse = study.trials["config_id"] == study.configurations.loc[1, "config_id"]
    present = float(study.configurations.loc[1, "difference"])
    for factor, significant in ((0.99, False), (1.01, True)):
        moved = study.trials.copy()
        moved.loc[worse, "accuracy"] += -factor * needed - present
        table = summarise(moved, SummaryRequest("accuracy", 0.95))
        assert (table.loc[1, "p_value"] < 0.05) == significant


def test_warnings_come_before_notes(study: Finished) -> None:
    severities = [c.severity for c in cautions_of(study)]
    assert severities == sorted(severities, reverse=True)


# -- the wording -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uncertainty", "value", "text"),
    [
        (0.0156, 0.98748, "0.987"),
        (210.0, 3012.4, "3,010"),
        (1.3, 52.71, "52.7"),
        (1e-9, 1.23456e-7, "1.23e−07"),
        (None, 0.123456, "0.1235"),
        (0.01, -0.0312, "−0.031"),
        (0.01, -0.0001, "0.000"),
    ],
)
def test_numbers_have_the_digits_that_their_uncertainty_supports(
    uncertainty: float | None, value: float, text: str
) -> None:
    assert wording.number(value, wording.decimals([uncertainty], [value])) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0002, "< 0.001"), (0.0421, "0.042"), (0.731, "0.73"), (None, "–")]
)
def test_p_values(p: float | None, text: str) -> None:
    assert wording.p_value(p) == text


@pytest.mark.parametrize(
    ("count", "most", "text"),
    [(0, 2, ""), (2, 2, "n0, n1"), (3, 2, "n0, n1 and 1 more"), (1236, 1, "n0 and 1,235 more")],
)
def test_the_first_of_many_names_stand_for_all(count: int, most: int, text: str) -> None:
    assert wording.first_of((f"n{i}" for i in range(count)), most) == text


def test_long_labels_keep_both_ends() -> None:
    assert wording.shorten("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
    assert wording.shorten("two\nlines\x07", 30) == "two lines"


def test_tables_of_trials_are_not_changed(study: Finished, tmp_path: Path) -> None:
    before = study.trials.copy()
    study.render_without_figures(tmp_path)
    pd.testing.assert_frame_equal(study.trials, before)


def test_the_data_are_told_with_what_was_left_out(page: Page) -> None:
    data = page.section("dataset")
    assert "csv people.csv" in data
    assert "62 samples, of 2 values (float32)" in data
    assert "65 rows" in data
    assert "12 samples for the test" in data
    # Each class with its share, each column with role, kind, values and gaps.
    assert "class 0 40 61.5%" in data
    assert "height feature number 1.5 to 2 12.5%" in data
    assert "colour feature category 2: red (40), <b> (25) 0%" in data
    assert data.index("name id text") < data.index("height feature")
    assert "the column row, which counts the rows" in data
    assert "the column colour has 2 categories" in data


def test_images_are_made_of_files(study: Finished, tmp_path: Path) -> None:
    images = replace(study.data, source="images photos")
    data = page_of(replace(study, data=images), tmp_path).section("dataset")
    assert "65 files" in data
    assert "65 rows" not in data


@pytest.mark.parametrize("measured", [True, False])
def test_features_have_a_section_where_their_importance_was_measured(
    study: Finished, tmp_path: Path, measured: bool
) -> None:
    table = importance() if measured else importance().assign(importance=np.nan, sd=np.nan)
    page = page_of(replace(study, importance=table), tmp_path)
    names = [element.attributes["id"] for element in page.all("section")]
    assert ("features" in names) == measured


def test_long_tables_of_classes_and_columns_say_what_they_leave_out(
    study: Finished, tmp_path: Path
) -> None:
    many = replace(
        study.data,
        columns=(
            *(
                ColumnDescription(f"column {i:03d}", ("feature",), "number", 9, low=0.0, high=1.0)
                for i in range(200)
            ),
            ColumnDescription("goal", ("target",), "category", 2),
        ),
        classes=tuple(Count(f"kind {i:03d}", 5) for i in range(90)),
    )
    data = page_of(replace(study, data=many), tmp_path).section("dataset")
    assert "The first 60 of 90 classes" in data
    assert "The first 60 of 201 columns" in data
    assert "goal target category" in data
    assert "column 058" in data
    assert "column 059" not in data
