"""Scripts of Snakemake let a fork do their work, in which the libraries are imported already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from gridfold.jobs import fork_server
from gridfold.jobs.frozen_imports import lasting
from gridfold.jobs.job import job
from gridfold.requests import Request

R = TypeVar("R", bound=Request)


@dataclass(frozen=True)
class RuleJob:
    """A job of a rule, as the rule's script knows it.

    Attributes
    ----------
    log_file : str
    text : str
        The request, as the rule's parameter `request` says it.
    inputs, outputs : mapping of str to list of Path
        Files by their names in the rule.
    parameters : mapping of str to object
        Other parameters of the rule.
    wildcards : mapping of str to str
    threads : int
    resources : mapping of str to object
    """

    log_file: str
    text: str
    inputs: Mapping[str, list[Path]]
    outputs: Mapping[str, list[Path]]
    parameters: Mapping[str, Any]
    wildcards: Mapping[str, str]
    threads: int
    resources: Mapping[str, Any]

    @classmethod
    def of(cls, snakemake: Any) -> RuleJob:
        """Return the job of the object that Snakemake puts into every script."""
        parameters = dict(snakemake.params.items())
        text = parameters.pop("request")
        return cls(
            str(snakemake.log[0]),
            text,
            _by_name(snakemake.input),
            _by_name(snakemake.output),
            parameters,
            dict(snakemake.wildcards.items()),
            snakemake.threads,
            dict(snakemake.resources.items()),
        )

    def request(self, kind: type[R]) -> R:
        """Return the request, which is of this kind."""
        return kind.parse(self.text)

    def input(self, name: str) -> Path:
        """Return the one input of a name."""
        (file,) = self.inputs[name]
        return file

    def output(self, name: str) -> Path:
        """Return the one output of a name."""
        (file,) = self.outputs[name]
        return file


def _by_name(files: Any) -> dict[str, list[Path]]:
    return {
        name: [Path(file) for file in ([found] if isinstance(found, str) else found)]
        for name, found in files.items()
    }


def hand_over(snakemake: Any, module: str, *, ends_in_order: bool = False) -> None:
    """Do the work of a rule: in a fork where a server of this run forks, here elsewhere.

    Parameters
    ----------
    snakemake
        The object that Snakemake puts into every script.
    module : str
        Name of the module whose function ``run(job)`` does it. It is imported where it is needed.
    ends_in_order : bool
        Whether the work has something to do when the job is told to stop.
    """
    fork_server.run(
        _work,
        module,
        RuleJob.of(snakemake),
        libraries=fork_server.TABLES,
        passes_signals_on=ends_in_order,
    )


def _work(module: str, rule_job: RuleJob) -> None:
    outputs = [file for files in rule_job.outputs.values() for file in files]
    with job(rule_job.log_file, rule_job.text, outputs):
        with lasting():
            rule = import_module(module)
        rule.run(rule_job)
