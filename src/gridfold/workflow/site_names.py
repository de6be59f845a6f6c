"""Names of a site that Python or YAML take for something else are refused before any job.

Snakemake evaluates what a profile says of a resource: the partition ``24-48`` becomes the number
-24, ``int`` a function; and YAML reads the account ``00123`` as 83. Only quotes inside of quotes
keep a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gridfold.errors import Problem, StudyError

# Resources whose values are names that a site has given.
_NAMES = (
    "slurm_partition",
    "slurm_account",
    "qos",
    "constraint",
    "gpu_model",
    "gpu_type",
    "gres",
    "slurm_cluster",
    "cluster",
    "clusters",
)
_WHERE = "the profile or the command line"


def refuse_evaluated_names(workflow: Any) -> None:
    """Raise where a name of the profile or of the command line has not remained a name.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow

    Raises
    ------
    StudyError
        With each key, what became of the name, and how to write it.
    """
    settings = workflow.resource_settings
    given: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [
        (("default-resources",), settings._parsed_default_resources)
    ]
    given += [
        (("set-resources", str(rule)), resources)
        for rule, resources in settings._parsed_overwrite_resources.items()
    ]
    problems = []
    for place, resources in given:
        for name, raw, became in _evaluated(resources):
            meant = _in_profile(place, name) or raw
            problems.append(
                Problem((*place, name), f"{meant}, {became}", _spelling(place, name, meant))
            )
    if problems:
        raise StudyError(_WHERE, problems)


def _evaluated(resources: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the resources that are no names any more: key, what was written, what it became."""
    for name in _NAMES:
        resource = dict(resources).get(name)
        if resource is None or resource.raw is None:
            continue
        value = None
        # An expression that needs a real job; Snakemake says what is wrong with it.
        with contextlib.suppress(Exception):
            value = resource.evaluate(
                {}, input=[], attempt=1, threads=1, rulename="", async_run=None
            )
        if value is None:
            continue
        if value.is_evaluable():
            yield name, str(resource.raw), "which Python knows as a function"
        elif not isinstance(value.value, str):
            yield name, str(resource.raw), f"which has become {value.value!r}"


def _spelling(place: tuple[str, ...], name: str, meant: str) -> str:
    """Return how a name is written so that it stays one."""
    text = json.dumps(repr(meant), ensure_ascii=False)
    rule = f"{place[1]}:" if len(place) > 1 else ""
    return (
        f"allowed: quotes inside of quotes, {name}: {text} in a profile, "
        f"--{place[0]} {rule}{name}={text} on the command line"
    )


def _in_profile(place: tuple[str, ...], name: str) -> str:
    """Return what a profile holds for a key, as it is written there; empty where that is unknown.

    YAML itself has made another value of it.
    """
    for file in _profile_files():
        inside: list[str] = []
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            found = re.match(r"( *)(?:- *)?([\w-]+)\s*[:=]\s*(.*?)\s*(?:#.*)?$", line)
            if found is None:
                continue
            # Profiles are indented by two spaces as a rule; the names of keys say the rest.
            depth = (len(found[1]) + 1) // 2
            inside = [*inside[:depth], found[2]]
            if tuple(inside) == (*place, name):
                return found[3].strip("\"'")
    return ""


def _profile_files() -> Iterator[Path]:
    words = sys.argv[1:]
    named = [os.environ.get("SNAKEMAKE_PROFILE", "")]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, sign, value = word.partition("=")
        if option in ("--profile", "--workflow-profile"):
            named.append(value if sign else following)
    homes = [Path(), Path("profiles"), Path.home() / ".config" / "snakemake"]
    for name in filter(None, named):
        for home in homes:
            yield from sorted((home / name).glob("config*.yaml"))
