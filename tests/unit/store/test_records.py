"""Records on disk: read as they were written, files of earlier versions too, broken ones named."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded import model_card, selected

from gridfold.data.columns import FeatureColumn
from gridfold.data.manifest import Manifest
from gridfold.paths import FinalModelPaths, StudyPaths
from gridfold.statistics.ranks import RankTest
from gridfold.statistics.result import ComparisonFacts, SelectionFacts
from gridfold.store.answer import Answer
from gridfold.store.model_card import EnsembleScore, HeldOutScore, ModelCard
from gridfold.store.records import Record
from gridfold.store.seals import sealed
from gridfold.store.selection import Selection
from gridfold.typed_json import DamagedRecord

TEST = HeldOutScore(30, "accuracy", 0.8, 0.7, 0.9, "wilson", scores={"accuracy": 0.8})
SETTINGS = {"problem": {"type": "binary"}, "model": {"hp": {"units": 4, "rate": 1.0}}}
CARD = model_card(selected("abc"), SETTINGS, "0123", TEST)
RANKS = RankTest({"1: a": 1.2, "2: ü": 1.8}, 4.0, 3.0, 0.1, math.nan, 0.9, 0.05, "All 2")
RECORDS: list[Record] = [
    selected("abc"),
    replace(selected("abc"), sd=0.1, low=0.4, high=0.6, tried=12),
    CARD,
    replace(CARD, test=None, ensemble=EnsembleScore(["r0f0", "r0f1"], TEST)),
    EnsembleScore(["r0f0"], None),
    Manifest(
        samples=60,
        sample_shape=[2],
        feature_type="float32",
        outputs=3,
        test_start=None,
        class_names=["a", "b", "c"],
        target_names=["y"],
        digest="0123",
        has_missing=True,
        reading={"windows": {"length": 3}},
        columns=[FeatureColumn("x", None, 1e9), FeatureColumn("colour", ("blue", "red"))],
    ),
    ComparisonFacts(
        "accuracy", 0.95, 4.0, "", [RANKS], SelectionFacts(0.8, 0.01, 0.7, None, 60, 2, 500, "")
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: Record, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "record.json"
    record.write(file)
    again = type(record).read(file)
    # NaN is equal to nothing.
    assert repr(again) == repr(record)
    assert again.text() == file.read_text() == record.text()


def test_what_lies_on_disk_has_the_keys_that_people_know() -> None:
    best = json.loads(selected("abc").text())
    assert list(best) == [
        "config_id",
        "label",
        "measure",
        "confidence",
        "mean",
        "sd",
        "low",
        "high",
        "n_splits",
        "final_epochs",
        "configurations",
        "may_be_best",
        "checksum",
    ]
    assert json.loads(replace(selected("abc"), tried=9).text())["tried"] == 9
    card = json.loads(CARD.text())
    assert list(card) == [
        "study",
        "created",
        "configuration",
        "cross_validation",
        "training",
        "test",
        "ensemble",
        "nested",
        "data",
        "answers",
        "threshold",
        "code",
        "output_scaling",
        "environment",
        "checksum",
    ]
    assert card["configuration"]["settings"] == SETTINGS
    assert card["ensemble"] is card["nested"] is None
    manifest = json.loads(RECORDS[5].text())
    assert manifest["columns"] == [
        {"name": "x", "categories": None, "origin": 1e9},
        {"name": "colour", "categories": ["blue", "red"]},
    ]


def changed(record: Record, path: str, value: Any) -> str:
    """Return the text of a record with another value at a key; None takes the key away."""
    content: Any = json.loads(record.text())
    *parents, last = path.split(".")
    place = content
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("record", "path", "value", "said"),
    [
        (RECORDS[0], "mean", None, "missing required field `mean`"),
        (RECORDS[0], "n_splits", "many", "`$.n_splits`"),
        (
            CARD,
            "cross_validation.confidence",
            None,
            "missing required field `confidence` - at `$.cross_validation`",
        ),
        (CARD, "test.low", "low", "`$.test.low`"),
        (CARD, "configuration", [], "`$.configuration`"),
        (RECORDS[5], "sample_shape", 4, "`$.sample_shape`"),
        (
            RECORDS[6],
            "selection.samples",
            None,
            "missing required field `samples` - at `$.selection`",
        ),
    ],
)
def test_a_broken_record_names_its_file_and_the_key(
    record: Record, path: str, value: Any, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "record.json"
    file.write_text(changed(record, path, value))
    with pytest.raises(DamagedRecord) as caught:
        type(record).read(file)
    assert f"{file} is damaged (" in str(caught.value)
    assert said in str(caught.value)
    assert "run the study again" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"mean": 0.', b"[1]", b"\xff\xfe"])
def test_what_breaks_off_or_is_no_object_is_damaged(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    file.write_bytes(content)
    with pytest.raises(DamagedRecord, match=r"best\.json is damaged"):
        Selection.read(file)
    with pytest.raises(FileNotFoundError):
        Selection.read(tmp_path / "other.json")


def test_cards_of_earlier_versions_are_read() -> None:
    content = json.loads(CARD.text())
    del content["ensemble"], content["nested"], content["answers"]
    del content["training"]["fit_seconds"]
    del content["data"]["columns"], content["data"]["reading"], content["checksum"]
    for key in ("method", "undefined_draws", "obstacle"):
        del content["test"][key]
    card = ModelCard.parse(json.dumps(content), "card.json")
    assert (card.ensemble, card.data.columns, card.data.reading) == (None, [], {})
    assert card.test is not None
    assert (card.test.low, card.test.method, card.test.obstacle) == (0.7, "", "")


def test_cards_of_later_versions_are_read() -> None:
    later = json.loads(changed(CARD, "training.joules", 5))
    del later["checksum"]
    assert ModelCard.parse(json.dumps(sealed(later)), "card.json") == CARD


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_one_flipped_bit_is_noticed_or_harmless(record: Record) -> None:
    text = record.text().encode()
    for position in range(len(text)):
        damaged = bytearray(text)
        damaged[position] ^= 1 << position % 8
        with contextlib.suppress(DamagedRecord, UnicodeDecodeError):
            assert repr(type(record).parse(damaged.decode(), "a file")) == repr(record)


def test_a_test_score_without_an_interval_says_so() -> None:
    assert TEST.has_interval
    assert not replace(TEST, low=math.nan, high=math.nan).has_interval
    assert math.isnan(selected("abc").half_width)
    half = replace(selected("abc"), low=0.3, high=0.6).half_width
    assert half == pytest.approx(0.2)


def test_a_study_has_an_answer_when_both_of_its_files_are_there(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path / "study")
    with pytest.raises(FileNotFoundError):
        Answer.read(paths)
    selected("abc").write(paths.best)
    with pytest.raises(FileNotFoundError):
        Answer.read(paths)
    CARD.write(paths.final_model.card)
    assert Answer.read(paths).best == selected("abc")
    assert Answer.read(paths).card.configuration.problem == "binary"
    # A copy of the folder of the final model is read in the same way.
    assert FinalModelPaths(tmp_path / "study" / "final") == paths.final_model
