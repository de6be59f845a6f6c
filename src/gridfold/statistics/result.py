"""What the comparison of the configurations has found, as it lies on disk; light to import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold.atomic import write_text
from gridfold.statistics.ranks import RankTest
from gridfold.tables.trials import write


@dataclass(frozen=True)
class Comparison:
    """What is known about the differences between the configurations of a study.

    Attributes
    ----------
    comparisons, scientific, importance : DataFrame
        With the columns of :mod:`gridfold.statistics.pairwise` and
        :mod:`gridfold.statistics.importance`.
    facts : dict
        ``wilcoxon`` (why Wilcoxon's test is left out, or empty), ``ranks`` (a list of rank tests,
        each with ``title`` and the attributes of :class:`gridfold.statistics.pairwise.RankTest`)
        and ``selection`` (:class:`gridfold.statistics.selection.SelectionEstimate`).
    """

    comparisons: pd.DataFrame
    scientific: pd.DataFrame
    importance: pd.DataFrame
    facts: dict[str, Any]

    @classmethod
    def read(cls, files: Mapping[str, str]) -> Comparison:
        """Read what the rule `compare_configurations` has written, by the names of its outputs."""
        return cls(
            pd.read_parquet(files["comparisons"]),
            pd.read_parquet(files["scientific"]),
            pd.read_parquet(files["importance"]),
            json.loads(Path(files["facts"]).read_text(encoding="utf-8")),
        )

    def write(self, folder: Path) -> None:
        """Write the tables as Parquet and CSV, and ``comparison.json``, for :meth:`read`."""
        for name in ("comparisons", "scientific", "importance"):
            for suffix in (".parquet", ".csv"):
                write(folder / f"{name}{suffix}", getattr(self, name))
        text = json.dumps(self.facts, indent=1, ensure_ascii=False) + "\n"
        write_text(folder / "comparison.json", text, durable=False)

    def rank_tests(self) -> dict[str, RankTest]:
        """Return the rank tests by their titles."""
        return {
            test["title"]: RankTest(**{k: v for k, v in test.items() if k != "title"})
            for test in self.facts["ranks"]
        }
