"""What the verbs of the command line have in common."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gridfold.plan.plan import Plan
from gridfold.workflow.bridge import DEFAULT_STUDY


class Verbs:
    """The verbs of a parser.

    Parameters
    ----------
    parser : ArgumentParser
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(
        self, name: str, function: Any, summary: str, detail: str = ""
    ) -> argparse.ArgumentParser:
        """Add a verb and return its parser.

        Parameters
        ----------
        name : str
        function : callable
            Gets the options.
        summary, detail : str
            For ``--help``.
        """
        verb = self._verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{detail}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.set_defaults(verb=function)
        return verb

    @staticmethod
    def with_study(verb: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """Let a verb take a study; return it."""
        verb.add_argument(
            "study",
            nargs="*",
            type=Path,
            default=[Path(DEFAULT_STUDY)],
            help=f"study file; later ones override earlier ones (default: {DEFAULT_STUDY})",
        )
        verb.add_argument(
            "--results",
            type=Path,
            default=Path("results"),
            help="folder of all results (default: results)",
        )
        return verb


def load(options: argparse.Namespace) -> Plan:
    """Return the plan of the study that a verb was given."""
    return Plan.load(options.study, results=options.results)
