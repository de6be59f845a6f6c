"""`Verbs` lists verbs in groups; the other names are options that several verbs share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gridfold.paths import DEFAULT_STUDY

PATH = click.Path(path_type=Path)


class Verbs(click.Group):
    """Lists its verbs in named groups.

    Parameters
    ----------
    groups : dict of str to sequence of click.Command
        The verbs, by the title of their group in ``--help``.
    options : Any
        What `click.Group` takes.
    """

    def __init__(self, groups: dict[str, Sequence[click.Command]], **options: Any) -> None:
        super().__init__(**options)
        self._groups = groups
        for verb in (verb for verbs in groups.values() for verb in verbs):
            self.add_command(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group with the whole summary of its verbs (click cuts a summary to a line)."""
        longest = max(map(len, self.commands))
        for title, verbs in self._groups.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{verb.name:{longest}}", verb.get_short_help_str(1000)) for verb in verbs]
                )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `--help`, which shells complete too."""
        return list(self.commands)


class _Count(click.ParamType[int]):
    """Takes whole numbers from 1."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or refuse the value and say what is allowed."""
        text = str(value)
        if not text.isdecimal() or int(text) < 1:
            self.fail(f"{text}; allowed: 1 or more", param, ctx)
        return int(text)


COUNT = _Count()


def takes_study(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take a study, and hand it the plan of the study."""

    @click.argument(
        "study",
        nargs=-1,
        type=PATH,
        default=[DEFAULT_STUDY],
        help=f"Study file; later ones override earlier ones. [default: {DEFAULT_STUDY}]",
    )
    @click.option("--results", type=PATH, default="results", help="Folder of all results.")
    @functools.wraps(verb)
    def with_plan(study: Sequence[Path], results: Path, **options: Any) -> None:
        from gridfold.plan.plan import Plan

        verb(Plan.load(study, results=results), **options)

    return with_plan
