"""Checklists and crates: every item, every link, and what validators of others say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import mlcroissant
import numpy as np
import pandas as pd
import pytest
from comparing import compared
from crates import complaints, records
from pages import EVIL
from synthetic import Finished

from gridfold.audit.finding import Audit, Finding
from gridfold.dossier.checklists import NEURIPS, REFORMS, Checklist
from gridfold.dossier.crate import crate_text
from gridfold.dossier.croissant import croissant_text
from gridfold.dossier.facts import RunFacts
from gridfold.dossier.readme import readme
from gridfold.statistics.finished import StudyResults
from gridfold.statistics.result import Comparison
from gridfold.store.answer import Answer
from gridfold.store.nested import NestedEstimate

FILES = (
    "README.md",
    "report.html",
    "audit.json",
    "run.json",
    "splits.npz",
    "croissant.json",
    "checklists/reforms.md",
    "checklists/neurips.md",
    "data/description.json",
    "data/manifest.json",
    "final/model.keras",
    "final/card.json",
    "final/card.md",
    "final/preprocessing.json",
    "tables/trials.csv",
    "tables/configurations.csv",
    "tables/comparisons.csv",
    "tables/comparison.json",
    "tables/best.json",
    "tables/baselines.csv",
    "tables/jobs.csv",
    "tables/layers.csv",
    "workflow/Snakefile",
    "workflow/rules/data.smk",
)

SAME = Finding("GF101", "error", "3 samples are in two parts.", "Remove them.", rows=(1, 2, 3))


def facts_of(study: Finished, comparison: Comparison, root: Path) -> RunFacts:
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name in ("features", "targets"):
        np.save(root / "data" / f"{name}.npy", np.zeros(3))
    return RunFacts(
        study.request,
        root,
        StudyResults(Answer(study.best, study.card), study.manifest, study.tables, comparison),
        study.data,
        study.jobs,
        study.trials,
        pd.DataFrame({"name": ["logistic regression"]}),
        Audit((SAME,), ("GF101", "GF108", "GF109"), 62),
        tuple(map(Path, FILES)),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Comparison]:
    return compared(tmp_path_factory.mktemp("study"))


@pytest.fixture
def facts(study: tuple[Finished, Comparison], tmp_path: Path) -> RunFacts:
    return facts_of(*study, tmp_path)


@pytest.mark.parametrize(("checklist", "items"), [(REFORMS, 32), (NEURIPS, 16)])
def test_every_item_is_answered_or_left_to_the_authors(
    facts: RunFacts, checklist: Checklist, items: int
) -> None:
    text = checklist.markdown(facts)
    lines = re.findall(r"^- \*\*(\w+) (.+?)\.\*\* (.*)$", text, re.M)
    assert len(lines) == len({number for number, _, _ in lines}) == items
    for number, _, rest in lines:
        answered = re.sub(r"\*To be stated by the authors.*", "", rest)
        assert "authors" in rest or answered.strip(), number
        if answered.strip() and number not in ("8a", "5f"):
            assert "](../" in answered, f"{number} has no file that proves it"


def test_every_link_of_the_checklists_leads_to_a_file(facts: RunFacts) -> None:
    for checklist in (REFORMS, NEURIPS):
        for link in re.findall(r"\]\(\.\./([^)]+)\)", checklist.markdown(facts)):
            assert (facts.root / link).exists() or link == "ro-crate-metadata.json", link


def test_numbers_of_the_checklists_are_those_of_the_run(facts: RunFacts) -> None:
    text = REFORMS.markdown(facts)
    best = facts.results.answer.best
    assert facts.results.manifest.digest in text
    assert f"5 splits ({facts.request.study['resampling']['method']})" in text
    assert "training 4,000, validation 1,000 samples" in text
    assert "12 samples held out for the test" in text
    assert f"{best.configurations} configurations that were compared" in text
    assert "class 0: 40, class 1: 25" in text
    assert "height 12.5%" in text
    assert "40 core-hours" in text
    assert re.search(r"6b .*GF101 \(error\): 3 samples are in two parts", text)
    assert re.search(r"6c .*none of: a feature that predicts the target alone", text)


def test_outer_folds_are_in_the_checklists(facts: RunFacts) -> None:
    nested = NestedEstimate(
        *("accuracy", 0.95, 0.8123, 0.02, 0.75, 0.87, 4, 1, 0.83, 2, 3, 0.5, 12.0, 3.0)
    )
    answer = facts.results.answer
    card = replace(answer.card, nested=nested)
    with_folds = replace(facts, results=replace(facts.results, answer=Answer(answer.best, card)))
    (facts.root / "tables/nested.csv").touch()
    text = REFORMS.markdown(with_folds)
    assert re.search(r"7b .*over 4 outer folds: 0.812, 95% interval 0.750 to 0.870", text)
    assert re.search(r"5c .*In each of 5 outer folds the whole search ran once more", text)
    assert "outer folds: 12 core-hours and 3 GPU-hours" in text
    assert "tables/nested.csv" in text
    assert "outer fold" not in REFORMS.markdown(facts)


def test_without_test_set_baselines_and_rivals_the_checklists_say_so(
    facts: RunFacts, study: tuple[Finished, Comparison]
) -> None:
    answer = facts.results.answer
    lonely = replace(
        facts,
        baselines=None,
        results=replace(
            facts.results,
            answer=Answer(
                replace(answer.best, configurations=1, low=None, high=None, estimate=None),
                replace(answer.card, test=None),
            ),
        ),
    )
    text = REFORMS.markdown(lonely)
    for words in (
        "No test set was held out.",
        "The run has fitted none.",
        "none is compared with another",
        "without an interval",
    ):
        assert words in text
    assert NEURIPS.markdown(lonely)


@pytest.mark.parametrize("name", EVIL)
def test_names_of_users_are_nothing_but_text(facts: RunFacts, name: str) -> None:
    evil = replace(
        facts,
        request=replace(facts.request, study={**facts.request.study, "study": name}),
        data=replace(facts.data, source=name, left_out=(name,)),
    )
    for text in (REFORMS.markdown(evil), NEURIPS.markdown(evil), readme(evil)):
        assert name not in text or not re.search(r"[<>\[`]", name)


def test_the_crate_is_one_by_its_validator(facts: RunFacts, tmp_path: Path) -> None:
    (facts.root / "ro-crate-metadata.json").write_text(crate_text(facts))
    assert complaints(facts.root, tmp_path / "cache") == set()


def test_the_crate_names_every_file_with_its_digest(facts: RunFacts) -> None:
    entities = {e["@id"]: e for e in json.loads(crate_text(facts))["@graph"]}
    for name in FILES:
        assert entities[name]["contentSize"] == str(len(name))
        assert len(entities[name]["sha256"]) == 64
    action = entities["#run"]
    assert action["instrument"] == {"@id": "workflow/Snakefile"}
    assert action["endTime"] == facts.results.answer.card.created
    assert {"@id": "report.html"} in action["result"]
    assert {"@id": "run.json"} in action["object"]
    assert entities["./"]["mainEntity"] == {"@id": "workflow/Snakefile"}
    assert facts.command in action["description"]


def test_the_same_run_gives_the_same_crate(facts: RunFacts) -> None:
    assert crate_text(facts) == crate_text(facts)


def test_a_validator_finds_what_is_wrong_with_a_crate(facts: RunFacts, tmp_path: Path) -> None:
    crate = json.loads(crate_text(facts))
    crate["@graph"] = [e for e in crate["@graph"] if e["@id"] != "#run"]
    (facts.root / "ro-crate-metadata.json").write_text(json.dumps(crate))
    assert complaints(facts.root, tmp_path / "cache")


def test_the_metadata_of_the_data_are_croissant(facts: RunFacts, tmp_path: Path) -> None:
    (facts.root / "croissant.json").write_text(croissant_text(facts))
    dataset = mlcroissant.Dataset(jsonld=facts.root / "croissant.json")
    assert not dataset.metadata.issues.errors
    found = records(facts.root / "croissant.json", "classes")
    names = facts.results.manifest.class_names
    assert [str(row["classes/name"]).strip("b'") for row in found] == names


def test_columns_of_a_table_can_be_read_by_the_metadata(facts: RunFacts, tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "height": [1.5, 2.0], "colour": ["red", "<b>"]})
    file = tmp_path / "people.csv"
    table.to_csv(file, index=False)
    data = {**facts.request.study["data"], "source": "csv", "path": str(file)}
    study = {**facts.request.study, "data": data}
    of_table = replace(facts, request=replace(facts.request, study=study))
    (facts.root / "croissant.json").write_text(croissant_text(of_table))
    rows = records(facts.root / "croissant.json", "rows")
    assert [float(row["rows/1-height"]) for row in rows] == [1.5, 2.0]
    assert len(rows[0]) == 3
