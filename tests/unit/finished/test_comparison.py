"""Several studies: compared where that is fair, refused where it is not, and listed."""

from __future__ import annotations

import functools
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from ondisk import write_finished
from scipy import stats
from sklearn.metrics import f1_score

from gridfold.cli.main import main
from gridfold.finished.comparison import StudyComparison, compare_studies, conclusion
from gridfold.finished.pages import comparison_page, index_page
from gridfold.finished.study import FinishedStudy, find_studies
from gridfold.paths import StudyPaths
from gridfold.statistics.intervals import holm, paired_p_value
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.usercode import functions

HOSTILE = "<script>alert(1)</script> & 'quotes' 100%"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with studies that differ from `base` in what their names say."""
    folder = tmp_path_factory.mktemp("studies")
    data = {"source": "iris", "test_fraction": 0.4}
    write_finished(folder, "base")
    write_finished(folder, "worse", skill=0.3, seed=1)
    write_finished(folder, "alike", seed=2)
    more = {"method": "kfold", "folds": 5, "repeats": 2}
    write_finished(folder, "repeated", seed=3, resampling=more)
    write_finished(
        folder, "reseeded", seed=4, resampling={"method": "kfold", "folds": 5, "seed": 9}
    )
    write_finished(folder, "retested", seed=5, data=data | {"test_seed": 9})
    write_finished(folder, "untested", seed=6, data={"source": "iris", "test_fraction": 0.0})
    write_finished(folder, "f1", seed=7, problem={"type": "multiclass", "measure": "f1_macro"})
    write_finished(folder, "wine", seed=8, data=data | {"source": "wine"})
    return folder


def read(folder: Path, *names: str) -> list[FinishedStudy]:
    return [FinishedStudy.read(folder / "results" / name) for name in names]


@functools.cache
def compared(folder: Path, *names: str) -> list[StudyComparison]:
    return compare_studies(read(folder, *names))


# -- paired ---------------------------------------------------------------------------------------


def test_studies_with_the_same_splits_are_compared_pair_by_pair(folder: Path) -> None:
    base, worse = read(folder, "base", "worse")
    (found,) = compare_studies([base, worse])
    assert found.splits is not None
    ours, theirs = (s.scores.to_numpy(float) for s in (worse, base))
    assert found.splits.value == pytest.approx(np.mean(ours - theirs))
    assert found.splits.p_value == pytest.approx(paired_p_value(ours, theirs, 18 / 72))
    assert found.splits.basis == "paired over 5 common splits"


def test_the_same_test_samples_are_compared_sample_by_sample(folder: Path) -> None:
    (found,) = compared(folder, "base", "worse")
    assert found.test is not None
    assert found.test.basis == "paired over the same 60 test samples, Newcombe’s interval"
    assert found.test.low < found.test.value < found.test.high < 0
    (turned,) = compared(folder, "worse", "base")
    assert turned.test is not None
    assert turned.test.value == -found.test.value


def test_two_studies_with_all_answers_right_are_not_certain_to_be_equal(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_finished(tmp_path, name, skill=1.0, fade=0.3)
    (found,) = compare_studies(read(tmp_path, "one", "two"))
    assert found.test is not None
    # Both ends of Wilson's interval for 60 of 60, and nothing is known of what they share.
    lack = 1 - stats.binomtest(60, 60).proportion_ci(0.95, method="wilson").low
    assert found.test.value == 0
    assert (found.test.low, found.test.high) == pytest.approx((-lack, lack))


def test_test_samples_of_groups_are_compared_by_groups(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i * 31 % 17},{'abc'[i % 3]},g{i // 10}" for i in range(300)]
    (tmp_path / "table.csv").write_text("a,b,y,g\n" + "\n".join(rows) + "\n")
    data = {
        "source": "csv",
        "path": str(tmp_path / "table.csv"),
        "targets": ["y"],
        "groups": "g",
        "test_fraction": 0.4,
    }
    sections = {"data": data, "resampling": {"method": "group", "folds": 4}}
    for name, skill in (("good", 0.9), ("poor", 0.5)):
        write_finished(tmp_path, name, skill=skill, seed=len(name), **sections)
    (found,) = compare_studies(read(tmp_path, "good", "poor"))
    assert found.test is not None
    assert found.test.basis == "paired over the same 120 test samples, by 12 groups"
    assert found.test.low < found.test.value < found.test.high < 0


def test_a_study_does_not_differ_from_one_that_is_alike(folder: Path) -> None:
    (found,) = compared(folder, "base", "alike")
    assert "alike can’t be told from base by accuracy on held-out samples" in conclusion(
        found, read(folder, "base")[0]
    )
    (found,) = compared(folder, "base", "worse")
    assert "worse differs from base" in conclusion(found, read(folder, "base")[0])


def test_pairs_are_those_splits_that_both_have(folder: Path) -> None:
    (found,) = compared(folder, "base", "repeated")
    assert found.splits is not None
    assert found.splits.basis == "paired over 5 common splits"


def test_several_studies_are_several_comparisons(folder: Path) -> None:
    (alone,) = compared(folder, "base", "alike")
    several = compared(folder, "base", "alike", "worse", "repeated")
    p = [c.splits.p_value for c in several if c.splits]
    single = [compared(folder, "base", c.study.name)[0].splits for c in several]
    assert p == pytest.approx(holm([s.p_value for s in single if s]).tolist())
    assert alone.test is not None
    assert several[0].test is not None
    assert several[0].test.high - several[0].test.low > alone.test.high - alone.test.low


# -- not paired -----------------------------------------------------------------------------------


def test_other_splits_are_not_paired_but_the_test_samples_may_be(folder: Path) -> None:
    (found,) = compared(folder, "base", "reseeded")
    assert found.splits is None
    assert any("Not paired" in text for text in found.obstacles)
    assert found.test is not None
    assert found.test.basis.startswith("paired over the same 60")


def test_other_test_samples_of_the_same_data_are_compared_unpaired(folder: Path) -> None:
    (found,) = compared(folder, "base", "retested")
    assert found.test is not None
    assert found.test.basis.startswith("unpaired, on 60 and 60 different test samples")


def test_without_splits_and_test_samples_in_common_no_test_is_made_up(folder: Path) -> None:
    base, other = read(folder, "base", "untested")
    (found,) = compare_studies([base, other])
    assert (found.splits, found.test) == (None, None)
    assert "by any test" in conclusion(found, base)
    page = comparison_page(base, [found], folder / "page.html").text()
    assert "not both studies have held some out" in page


def test_thresholds_that_differ_are_told(folder: Path) -> None:
    base, alike = read(folder, "base", "alike")
    lower = replace(base, card=replace(base.card, threshold=0.3))
    for studies, told in (([lower, alike], True), ([base, alike], False), ([lower, lower], False)):
        page = comparison_page(studies[0], compare_studies(studies), folder / "page.html").text()
        assert ("probabilities on: 0.3 in base and 0.5 in alike" in page) == told


# -- measures that are no longer there, and the user's own --------------------------------------


def judged_by(folder: Path, name: str, measure: str, function: str | None) -> None:
    """Write a finished study as if its accuracy had been another measure."""
    paths = write_finished(folder, name, skill=0.9 if name == "better" else 0.5)
    trials = pd.read_parquet(paths.table("trials")).rename(columns={"accuracy": measure})
    trials.to_parquet(paths.table("trials"))
    replace(Selection.read(paths.best), measure=measure).write(paths.best)
    card = ModelCard.read(paths.final_model.card)
    assert card.test is not None
    score = card.test.score
    if measure == "f1":
        targets, prediction = FinishedStudy.read(paths.root).test_results()
        score = f1_score(targets, prediction.argmax(axis=1), average="macro")
    test = replace(card.test, measure=measure, function=function, score=score)
    replace(card, test=test).write(paths.final_model.card)


def test_results_with_the_names_of_before_are_read_as_before(tmp_path: Path) -> None:
    for name in ("worse", "better"):
        judged_by(tmp_path, name, "f1", None)
    worse, better = read(tmp_path, "worse", "better")
    (found,) = compare_studies([worse, better])
    assert found.splits is not None
    assert found.test is not None
    assert found.test.value > 0.2
    assert found.test.low > 0
    assert "better differs from worse by F1" in conclusion(found, worse)


def test_studies_are_compared_by_a_measure_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(
        "def hit_score(targets, chances):\n    return (chances.argmax(axis=1) == targets).mean()\n"
    )
    for name in ("worse", "better"):
        judged_by(tmp_path, name, "hit_score", "mine.py:hit_score")
    studies = read(tmp_path, "worse", "better")
    (found,) = compare_studies(studies)
    assert found.test is not None
    assert found.test.low > 0
    file.unlink()
    functions.forget()
    (found,) = compare_studies(studies)
    assert found.splits is not None
    assert found.test is None
    assert "mine.py:hit_score has failed: " in found.obstacles[0]
    assert "no such file: mine.py" in found.obstacles[0]


def test_a_measure_that_came_with_the_results_is_trusted_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("worse", "better"):
        judged_by(tmp_path, name, "hit_score", "results/foreign.py:hit_score")
    code = tmp_path / "results" / "foreign.py"
    code.write_text(
        "def hit_score(targets, chances):\n    return (chances.argmax(axis=1) == targets).mean()\n"
    )
    words = ["compare", "results/worse", "results/better", "--html", "page.html"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"  {code}\n" in said
    assert "--trust" in said
    assert not Path("page.html").exists()
    assert main([*words, "--trust"]) == 0
    assert "foreign.py:hit_score has failed" not in Path("page.html").read_text()


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("f1", "it ranks by f1_macro, base by accuracy"),
        ("wine", "it has other data and other test samples than base"),
        ("nowhere", "holds no finished study"),
        ("base", "1 different study"),
    ],
)
def test_what_can_not_be_compared_is_refused(
    other: str, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = folder / "results"
    page = folder / "refused.html"
    assert main(["compare", f"{results}/base", f"{results}/{other}", "--html", str(page)]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert "allowed:" in said
    assert not page.exists()


# -- pages ----------------------------------------------------------------------------------------


class Links(HTMLParser):
    """Tags and links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src") and v and tag != "link"]


def test_compare_prints_the_comparison_and_writes_it_as_a_page(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    arguments = [f"{folder}/results/{name}" for name in ("base", "worse", "reseeded")]
    assert main(["compare", *arguments, "--html", str(page)]) == 0
    said = capsys.readouterr().out
    for text in ("worse differs from base", "paired over 5 common splits", str(page)):
        assert text in said
    html = page.read_text()
    assert "worse differs from base" in html
    assert all((page.parent / link).resolve().exists() for link in Links(html).links)


def test_the_page_lies_beside_the_studies_when_nothing_else_is_said(folder: Path) -> None:
    assert main(["compare", f"{folder}/results/base", f"{folder}/results/alike"]) == 0
    file = folder / "results" / "comparison.html"
    assert 'href="base/report.html"' in file.read_text()
    file.unlink()


def test_the_index_lists_every_study_with_its_answer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", f"{folder}/results"]) == 0
    said = capsys.readouterr().out
    assert "9 finished, 0 not finished" in said
    file = folder / "results" / "index.html"
    html = file.read_text()
    file.unlink()
    best = read(folder, "base")[0].best
    for text in (
        "multiclass",
        best.label,
        best.config_id,
        "2026-01-02",
        "n = 60",
        "5 splits",
    ):
        assert text in html
    assert 'href="base/report.html"' in html


def unfinished(results: Path, name: str) -> StudyPaths:
    """Write a study that has done one of two trials."""
    paths = StudyPaths.of(name, results)
    paths.progress.mkdir(parents=True)
    trials = ["abc/r0f0", "abc/r0f1"]
    paths.ledger.write_text(json.dumps({"shard": "s0001", "trials": trials}) + "\n")
    done = paths.trial("abc", "r0f0")
    done.mkdir(parents=True)
    (done / "result-00003.json").write_text("{}")
    return paths


def test_a_study_that_is_not_finished_says_how_far_it_is(tmp_path: Path) -> None:
    paths = unfinished(tmp_path, "young")
    (state,) = find_studies(tmp_path)
    assert (state.done, state.known, state.running, state.answer) == (1, 2, 0, None)
    assert "1 of 2 trials done, nothing is running" in index_page([state], tmp_path / "i").text()
    now = {"total": 2, "done": 1, "updated": time.time()}
    (paths.progress / "s0001.json").write_text(json.dumps(now))
    (state,) = find_studies(tmp_path)
    assert "1 of 2 trials done, 1 job running" in index_page([state], tmp_path / "i").text()
    (paths.progress / "s0001.json").write_text(json.dumps(now | {"updated": time.time() - 3600}))
    assert next(find_studies(tmp_path)).running == 0


def test_what_is_no_study_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("")
    unfinished(tmp_path, "young")
    assert [state.name for state in find_studies(tmp_path)] == ["young"]


def test_an_empty_folder_is_said_to_be_empty_and_a_missing_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(tmp_path)]) == 0
    assert "There is no study in this folder yet" in capsys.readouterr().out
    assert main(["index", str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err


def hostile_index(tmp_path: Path) -> str:
    paths = write_finished(tmp_path, "plain")
    replace(Selection.read(paths.best), label=f"{HOSTILE}\x1b[31m").write(paths.best)
    paths.root.rename(paths.root.with_name(HOSTILE.replace("/", "|")))
    unfinished(tmp_path / "results", "<b>young</b>".replace("/", "|"))
    results = tmp_path / "results"
    return index_page(list(find_studies(results)), results / "index.html").html()


def test_names_and_labels_are_text_and_links_still_lead_to_the_report(tmp_path: Path) -> None:
    html = hostile_index(tmp_path)
    parsed = Links(html)
    assert not {"script", "b", "img"} & set(parsed.tags)
    (link,) = parsed.links
    assert re.fullmatch(r"[\w%./~-]+", link)
    assert (tmp_path / "results" / unquote(link)).exists()


def test_terminals_get_no_control_characters(tmp_path: Path) -> None:
    hostile_index(tmp_path)
    results = tmp_path / "results"
    text = index_page(list(find_studies(results)), results / "index.html").text()
    assert all(character.isprintable() or character == "\n" for character in text)


def test_pages_ask_nothing_of_a_network_and_allow_no_script(folder: Path) -> None:
    base, worse = read(folder, "base", "worse")
    html = comparison_page(base, compare_studies([base, worse]), folder / "page.html").html()
    policy: Any = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert "default-src &#39;none&#39;" in policy[1]
    assert "script-src" not in policy[1]
    assert not [link for link in Links(html).links if ":" in link]
