"""What the comparison of the configurations has found, as it lies on disk; light to import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gridfold.statistics.ranks import RankTest
from gridfold.store.records import Record
from gridfold.tables.trials import write


@dataclass(frozen=True)
class SelectionFacts:
    """The selected configuration's score with the luck of the selection taken out.

    Attributes
    ----------
    corrected, optimism, low, high : float or None
        As in :class:`gridfold.statistics.selection.SelectionEstimate`; None where there is none.
    samples, candidates, resamples : int
        Samples with predictions, configurations to choose from, and bootstrap samples.
    obstacle : str
        Why there is no estimate; else empty.
    """

    corrected: float | None
    optimism: float | None
    low: float | None
    high: float | None
    samples: int
    candidates: int
    resamples: int
    obstacle: str


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
    """

    measure: str
    confidence: float
    blocks: float
    wilcoxon: str
    ranks: list[RankTest]
    selection: SelectionFacts

    def text(self) -> str:
        """Return the record as it is written to its file; labels stay readable."""
        return json.dumps(self.plain(), indent=1, ensure_ascii=False) + "\n"


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
    def read(cls, files: Mapping[str, str]) -> Comparison:
        """Read what the rule `compare_configurations` has written, by the names of its outputs."""
        return cls(
            pd.read_parquet(files["comparisons"]),
            pd.read_parquet(files["scientific"]),
            pd.read_parquet(files["importance"]),
            ComparisonFacts.read(Path(files["facts"])),
        )

    def write(self, folder: Path) -> None:
        """Write the tables as Parquet and CSV, and ``comparison.json``, for :meth:`read`."""
        for name in ("comparisons", "scientific", "importance"):
            for suffix in (".parquet", ".csv"):
                write(folder / f"{name}{suffix}", getattr(self, name))
        self.facts.write(folder / "comparison.json")

    def rank_tests(self) -> dict[str, RankTest]:
        """Return the rank tests by their titles."""
        return {test.title: test for test in self.facts.ranks}
