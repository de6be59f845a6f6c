"""Frozen dataclasses as JSON and back: every field has its type again, a broken file is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridfold import typed_json


@dataclass(frozen=True)
class Inner:
    share: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    parts: Mapping[str, Inner]
    settings: Mapping[str, Any]
    score: float | None = None


OUTER = Outer(Inner(1.0, ("b", "a")), {"x": Inner(0.5)}, {"rate": 1.0, "list": [1, None]}, 0.25)


def test_every_field_has_its_type_again() -> None:
    text = typed_json.text_of(OUTER)
    found = typed_json.parse(Outer, text)
    assert found == OUTER
    assert type(found.inner.share) is float
    assert '"share":1}' in text, "canonical: numbers that are equal are one text"


def test_equal_values_have_equal_texts_whatever_the_order_of_their_keys() -> None:
    one = Outer(Inner(2), {"a": Inner(1), "b": Inner(2)}, {"p": 1, "q": 2})
    other = Outer(Inner(2.0), {"b": Inner(2), "a": Inner(1)}, {"q": 2.0, "p": 1})
    assert typed_json.text_of(one) == typed_json.text_of(other)


def test_fields_that_are_none_are_left_out() -> None:
    assert "score" not in typed_json.text_of(Outer(Inner(1), {}, {}))


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="nan is not a finite number"):
        typed_json.text_of(Inner(float("nan")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"share": 1, "nam', "truncated"),
        ("[1, 2]", "Expected `object`, got `array`"),
        ('{"names": []}', "missing required field `share`"),
        ('{"share": "half"}', r"Expected `float`, got `str` - at `\$.share`"),
    ],
    ids=["breaks off", "no object", "lacks a field", "wrong type"],
)
def test_a_file_that_can_not_be_read_is_named_with_its_field(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "record.json"
    file.write_text(content)
    with pytest.raises(typed_json.DamagedRecord, match=said) as refusal:
        typed_json.read(Inner, file)
    assert str(file) in str(refusal.value)
    assert "run the study again with snakemake" in str(refusal.value)


def test_a_value_is_written_and_read(tmp_path: Path) -> None:
    typed_json.write(tmp_path / "value.json", {"first": OUTER})
    assert typed_json.read(dict[str, Outer], tmp_path / "value.json") == {"first": OUTER}


def test_a_missing_file_is_told_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        typed_json.read(Inner, tmp_path / "none.json")
