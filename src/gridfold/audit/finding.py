"""What an audit has found, as it lies in ``results/<study>/audit.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gridfold.codes import place_of
from gridfold.store.records import Record

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
# Rows that a finding keeps.
MOST_ROWS = 50


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing, about data and splits.

    Attributes
    ----------
    code : str
        One of :data:`gridfold.codes.AUDIT_CODES`.
    severity : {"error", "warning", "note"}
        Scores mean something else than they seem to after an error, and may after a warning; a note
        is worth knowing, or what chance brings about.
    sentence : str
        What was found, with its numbers.
    remedy : str
    rows : tuple of int
        Samples that it is about, from 0, at most `MOST_ROWS`.
    columns : tuple of str
        Features that it is about.
    splits : tuple of str
        Splits that it is about.
    """

    code: str
    severity: Severity
    sentence: str
    remedy: str
    rows: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Where the documentation explains it."""
        return place_of(self.code)


@dataclass(frozen=True)
class Audit(Record):
    """All that an audit has found.

    Attributes
    ----------
    findings : tuple of Finding
        The worst first.
    checked : tuple of str
        Codes of what was looked for; what does not apply to data or splits is left out.
    samples : int
        Samples of the study.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    samples: int

    def stopping(self, accepted: Iterable[str], least: Severity) -> list[Finding]:
        """Return the findings of a severity or a worse one that nobody has accepted.

        Parameters
        ----------
        accepted : iterable of str
            Codes, or a mapping from them to reasons.
        least : {"error", "warning"}
        """
        severities = SEVERITIES[: 1 + SEVERITIES.index(least)]
        return [f for f in self.open_findings(accepted) if f.severity in severities]

    def open_findings(self, accepted: Iterable[str]) -> list[Finding]:
        """Return errors and warnings that nobody has accepted.

        Parameters
        ----------
        accepted : iterable of str
            Codes, or a mapping from them to reasons.
        """
        known = {*accepted}
        return [f for f in self.findings if f.severity != "note" and f.code not in known]


def lines_of(finding: Finding, accepted: Mapping[str, str]) -> list[str]:
    """Return a finding as lines for a terminal.

    Parameters
    ----------
    finding : Finding
    accepted : mapping of str to str
        Reasons by codes.
    """
    reason = accepted.get(finding.code)
    lines = [f"{finding.code} {finding.severity}: {finding.sentence}"]
    if reason is None:
        lines.append(f"      {finding.remedy}")
    else:
        lines.append(f"      accepted: {reason}")
    return [*lines, f"      {finding.link}"]
