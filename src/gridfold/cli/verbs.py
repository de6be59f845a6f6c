"""`Verbs` lists verbs in groups; the other names are options that several verbs share."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gridfold.cli.studies import USUAL_STUDY, plan_of, results_of
from gridfold.errors import NotWritten
from gridfold.paths import DEFAULT_RESULTS

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

trust_option = click.option(
    "--trust", is_flag=True, help="Run code that the results name, wherever it lies."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def print_json(facts: Any) -> None:
    """Print facts as JSON; numbers that are none, such as the ends of no interval, as null."""
    print(json.dumps(_without_nan(facts), indent=1, allow_nan=False))


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Tell which file or folder could not be written in the block, and why.

    Errors about other places are those of reading.
    """
    try:
        yield
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else target
        # Files get their name when they are whole; folders above may not be such.
        is_ours = place.parent == target.parent or place.is_relative_to(target)
        if is_ours or target.is_relative_to(place):
            raise NotWritten(target, error) from None
        raise


class _Values(click.ParamType[tuple[str, Any]]):
    """Takes a value over those of the study files, as Snakemake's option of that name does."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return key and value, or refuse what has no key."""
        from gridfold.study.yaml_file import typed

        key, sign, text = str(value).partition("=")
        if not (key and sign):
            self.fail(f"{value}; allowed: KEY=VALUE, as 'training={{epochs: 3}}'", param, ctx)
        return key, typed(text)


_ONE_STUDY = f"[default: {USUAL_STUDY}, or the only one here]"
results_option = click.option(
    "--results", type=PATH, default=DEFAULT_RESULTS, help="Folder of all results."
)


def takes_study(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take a study, and hand it the plan of the study as it was run last."""
    return _takes_study(verb, as_last_run=True)


def takes_study_as_written(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take a study, and hand it the plan of its next run."""
    return _takes_study(verb, as_last_run=False)


def _takes_study(verb: Callable[..., None], *, as_last_run: bool) -> Callable[..., None]:
    meant = " [default: those of the last run]" if as_last_run else ""

    @click.argument(
        "study",
        nargs=-1,
        type=PATH,
        help=(
            "Study files, of which later ones override earlier ones; or a folder of results, as "
            f"results/demo. {_ONE_STUDY}"
        ),
    )
    @click.option(
        "--config",
        "values",
        type=_Values(),
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Value over those of the study files, as for snakemake.{meant}",
    )
    @results_option
    @functools.wraps(verb)
    def with_plan(
        study: Sequence[Path], results: Path, values: Sequence[tuple[str, Any]], **options: Any
    ) -> None:
        verb(plan_of(study, results, dict(values), as_last_run=as_last_run), **options)

    return with_plan


def takes_results(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take a finished study, and hand it the folder of its results."""

    @click.argument(
        "study",
        required=False,
        type=PATH,
        help=f"Study file, or a folder of results, as results/demo. {_ONE_STUDY}",
    )
    @results_option
    @functools.wraps(verb)
    def with_results(study: Path | None, results: Path, **options: Any) -> None:
        verb(results_of(study, results), **options)

    return with_results
