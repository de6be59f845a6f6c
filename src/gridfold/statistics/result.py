"""What the comparison of the configurations has found, as it lies on disk; light to import."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from gridfold.paths import StudyPaths
from gridfold.statistics.ranks import RankTest
from gridfold.store.records import Record
from gridfold.store.seals import sealed
from gridfold.store.selection import SelectionFacts
from gridfold.tables.trials import read_table, write


@dataclass(frozen=True)
class ComparisonFacts(Record):
    """What the comparison has found besides its tables: ``tables/comparison.json``.

    Attributes
    ----------
    measure : str
        What the configurations are ranked by.
    confidence : float
        Level of the tests and intervals, such as 0.95.
    blocks : float
        How many independent rows of scores the splits are worth.
    wilcoxon : str
        Why Wilcoxon's test is left out; else empty.
    ranks : list of RankTest
        Of the best configurations, and of the best at each value of an axis.
    selection : SelectionFacts
    explored : str or None
        By which configurations of a search the axes are judged, where it left most of them behind.
    """

    measure: str
    confidence: float
    blocks: float
    wilcoxon: str
    ranks: list[RankTest]
    selection: SelectionFacts
    explored: str | None = None

    def text(self) -> str:
        """Return the record as it is written to its file; labels stay readable."""
        return json.dumps(sealed(self.plain()), indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Comparison:
    """What is known about the differences between the configurations of a study.

    Attributes
    ----------
    comparisons, scientific, importance : DataFrame
        With the columns of :mod:`gridfold.statistics.pairwise` and
        :mod:`gridfold.statistics.importance`.
    facts : ComparisonFacts
    """

    comparisons: pd.DataFrame
    scientific: pd.DataFrame
    importance: pd.DataFrame
    facts: ComparisonFacts

    @classmethod
    def read(cls, paths: StudyPaths) -> Comparison:
        """Read what the rule `compare_configurations` has written.

        Raises
        ------
        FileNotFoundError
            When the study has none yet.
        DamagedRecord
            When ``comparison.json`` can't be read.
        """
        return cls(
            read_table(paths.table("comparisons")),
            read_table(paths.table("scientific")),
            read_table(paths.table("importance")),
            ComparisonFacts.read(paths.comparison),
        )

    def write(self, paths: StudyPaths) -> None:
        """Write the tables as Parquet and CSV, and ``comparison.json``, for :meth:`read`."""
        for name in ("comparisons", "scientific", "importance"):
            for file in (paths.table(name), paths.table_csv(name)):
                write(file, getattr(self, name))
        self.facts.write(paths.comparison)

    def rank_tests(self) -> dict[str, RankTest]:
        """Return the rank tests by their titles."""
        return {test.title: test for test in self.facts.ranks}
