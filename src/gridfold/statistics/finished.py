"""A finished study, read whole: answer, data, tables, and how its configurations compare."""

from __future__ import annotations

from dataclasses import dataclass

from gridfold.data.manifest import Manifest
from gridfold.paths import StudyPaths
from gridfold.statistics.result import Comparison
from gridfold.store.answer import Answer
from gridfold.tables.trials import StudyTables


@dataclass(frozen=True)
class StudyResults:
    """What a finished study has found.

    Attributes
    ----------
    answer : Answer
    manifest : Manifest
    tables : StudyTables
    comparison : Comparison
    """

    answer: Answer
    manifest: Manifest
    tables: StudyTables
    comparison: Comparison

    @classmethod
    def read(cls, paths: StudyPaths) -> StudyResults:
        """Read a study.

        Raises
        ------
        FileNotFoundError
            When the study is not finished; names the first file that is not there.
        DamagedRecord
            When its records can't be read.
        """
        return cls(
            Answer.read(paths),
            Manifest.read(paths.manifest),
            StudyTables.of_study(paths),
            Comparison.read(paths),
        )
