"""YAML means what a reader takes it to mean (version 1.2), and every key knows its line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gridfold.errors import StudyError
from gridfold.study.yaml_file import YamlDocument, read_yaml, typed


def read(folder: Path, text: str | bytes) -> YamlDocument:
    file = folder / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(file)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-0.0", -0.0),
        ("+7", 7),
        ("010", 10),
        ("0o17", "0o17"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("None", "None"),
        ('"1"', "1"),
        ("=", "="),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_scalars_read_as_in_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    read_value = read(tmp_path, f"key: {text}\n").data["key"]
    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 0.001),
        ("no", "no"),
        ("[1, a]", [1, "a"]),
        ("1" * 5000, "1" * 5000),
        ("[" * 9999, "[" * 9999),
        ("a: b: c", "a: b: c"),
        ("*name", "*name"),
        ("!!python/name:os.system", "!!python/name:os.system"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_value_from_the_command_line_reads_likewise_or_stays_text(text: str, value: Any) -> None:
    assert typed({"training": {1: [text]}}) == {"training": {"1": [value]}}


def test_keys_are_text_as_written(tmp_path: Path) -> None:
    assert read(tmp_path, "1: a\n01: b\ntrue: c\nno: d\n1.0: e\n").data == {
        "1": "a",
        "01": "b",
        "true": "c",
        "no": "d",
        "1.0": "e",
    }


def test_every_key_and_item_knows_its_line(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\n\n# why\nb:\n  c: 2\n  d:\n    - 3\n    - {e: 4}\n")
    assert document.lines == {
        ("a",): 1,
        ("b",): 4,
        ("b", "c"): 5,
        ("b", "d"): 6,
        ("b", "d", 0): 7,
        ("b", "d", 1): 8,
        ("b", "d", 1, "e"): 8,
    }


def test_what_is_not_in_the_file_has_the_line_of_its_nearest_ancestor(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb:\n  c: 2\n")
    assert document.line_of(("b", "x", 0)) == 2
    assert document.line_of(("x",)) is None


@pytest.mark.parametrize("start", ["\ufeff", "---\n", "%YAML 1.2\n---\n"])
def test_a_byte_order_mark_or_a_document_start_is_harmless(tmp_path: Path, start: str) -> None:
    assert read(tmp_path, f"{start}a: 1\n").data == {"a": 1}


def test_windows_line_ends_are_harmless(tmp_path: Path) -> None:
    document = read(tmp_path, b"a: 1\r\nb:\r\n  c: x\r\n")
    assert document.data == {"a": 1, "b": {"c": "x"}}
    assert document.lines[("b", "c")] == 3


def test_tabs_are_refused_in_the_indentation_only(tmp_path: Path) -> None:
    assert read(tmp_path, 'a: "x\ty"\n').data == {"a": "x\ty"}


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63 - 1)])
def test_whole_numbers_of_64_bits_are_exact(tmp_path: Path, number: int) -> None:
    assert read(tmp_path, f"a: {number}\n").data == {"a": number}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for file, found in ((pipe, "a pipe or a device"), (tmp_path, "a folder")):
        with pytest.raises(StudyError, match=found):
            read_yaml(file)


def test_a_file_that_nobody_has_written_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"study: {'x' * 2**20}\n")
    with pytest.raises(StudyError, match="more than 1 MB"):
        read_yaml(file)
