"""Some of the damaged data files that `make fuzz` tries by the thousand."""

from __future__ import annotations

from pathlib import Path

from fuzzing import fuzz_data


def test_damaged_files_of_all_kinds_are_read_or_refused_in_words(tmp_path: Path) -> None:
    assert fuzz_data(tmp_path, range(200)) == []
