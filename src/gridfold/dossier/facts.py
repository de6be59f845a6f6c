"""What a finished run knows of itself, for checklists and crates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gridfold.audit.finding import Audit
from gridfold.data.description import DataDescription
from gridfold.paths import StudyPaths
from gridfold.requests import ReportRequest
from gridfold.statistics.finished import StudyResults
from gridfold.study.command import run_command
from gridfold.tables.trials import read_table


@dataclass(frozen=True)
class RunFacts:
    """A finished run.

    Attributes
    ----------
    request : ReportRequest
    root : Path
        ``results/<study>``.
    results : StudyResults
    data : DataDescription
    jobs : DataFrame
        :func:`gridfold.tables.jobs.job_table`.
    all_trials : DataFrame
        Of all stages, each once.
    baselines : DataFrame or None
        As of :func:`gridfold.baselines.comparison.compare_baselines`.
    audit : Audit
    files : tuple of Path
        What the run has made and hands on, relative to `root`.
    """

    request: ReportRequest
    root: Path
    results: StudyResults
    data: DataDescription
    jobs: pd.DataFrame
    all_trials: pd.DataFrame
    baselines: pd.DataFrame | None
    audit: Audit
    files: tuple[Path, ...]

    @classmethod
    def read(
        cls,
        request: ReportRequest,
        paths: StudyPaths,
        files: Iterable[Path],
        *,
        with_baselines: bool,
    ) -> RunFacts:
        """Read a finished run.

        Parameters
        ----------
        request : ReportRequest
        paths : StudyPaths
        files : iterable of Path
            What the run has made and hands on.
        with_baselines : bool
            Whether the study wants baselines.

        Raises
        ------
        FileNotFoundError
            When it is not finished.
        DamagedRecord
            When its records can't be read.
        """
        trials = read_table(paths.table("search_trials"))
        return cls(
            request,
            paths.root,
            StudyResults.read(paths),
            DataDescription.read(paths.description),
            read_table(paths.table("jobs")),
            trials.drop_duplicates(["config_id", "split"], keep="last"),
            read_table(paths.table("baselines")) if with_baselines else None,
            Audit.read(paths.audit),
            tuple(sorted({file.relative_to(paths.root) for file in files})),
        )

    @property
    def name(self) -> str:
        """Name of the study."""
        return str(self.request.study["study"])

    @property
    def title(self) -> str:
        """Title of the report."""
        return str(self.request.study["report"]["title"] or self.name)

    @property
    def command(self) -> str:
        """What runs the study."""
        return self.request.command or run_command(self.request.files)

    @property
    def started(self) -> str:
        """When the first training began, UTC; empty where nobody has recorded it."""
        times = [str(time) for time in self.jobs["started"] if time]
        return min(times, default="")
