"""The command that runs a study, and values for its option ``--config``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from gridfold.paths import DEFAULT_RESULTS
from gridfold.study.yaml_file import typed


def run_command(
    files: Iterable[str], overrides: Mapping[str, Any] | None = None, results: str = DEFAULT_RESULTS
) -> str:
    """Return the command that runs a study, quoted for a shell.

    Parameters
    ----------
    files : iterable of str
        Study files.
    overrides : mapping, optional
        Values over those of the files.
    results : str
        Folder of all results.
    """
    words = ["snakemake"]
    if files := [*files]:
        words += ["--configfile", *files]
    # The rules take the folder of all results from the same option.
    elsewhere = {} if results == DEFAULT_RESULTS else {"results": results}
    if values := {**(overrides or {}), **elsewhere}:
        words += ["--config", *config_words(values)]
    return shlex.join(words)


def config_words(values: Mapping[str, Any]) -> list[str]:
    """Return ``key=value`` words for ``--config``, which :func:`typed` reads as these values."""
    return [f"{key}={_flow(value)}" for key, value in values.items()]


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.safe_dump(
        _as_texts(value), default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _as_texts(value: Any) -> Any:
    """Return `value` with quotes around texts that would be read as something else."""
    if isinstance(value, Mapping):
        return {key: _as_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_texts(item) for item in value]
    if isinstance(value, str) and typed(value) != value:
        return f'"{value}"'
    return value
