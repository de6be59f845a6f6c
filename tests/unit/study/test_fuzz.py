"""Some of the wrong studies that `make fuzz` tries by the thousand."""

from __future__ import annotations

from pathlib import Path

from fuzzing import fuzz_studies


def test_studies_of_all_kinds_are_planned_or_refused_in_words(tmp_path: Path) -> None:
    assert fuzz_studies(tmp_path, range(200)) == []
