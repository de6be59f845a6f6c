"""On a cluster, what a job asks for in another attempt follows from how the last one has ended."""

from __future__ import annotations

from typing import Any

from snakemake.common import get_input_function_aux_params
from snakemake.resources import Resource

from gridfold.cluster.attempts import MEMORY, TIME, factor, let_grow


def grow_by_cause(workflow: Any) -> None:
    """Let memory and time of all rules grow as :mod:`gridfold.cluster.attempts` says.

    The rules themselves ask for twice as much in a second attempt, whatever ended the first: on one
    machine that is all that is known, and nobody is kept from using more than was asked for.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With all its rules.
    """
    if not (workflow.remote_exec or workflow.nodes is not None):
        return
    for rule in workflow.rules:
        for name in (MEMORY, TIME):
            if name in rule.resources and rule.resources[name].is_evaluable():
                rule.resources[name] = _grown(rule.name, rule.resources[name])
                let_grow(rule.name, name)


def _grown(rule: str, resource: Any) -> Any:
    asked = resource._evaluator

    # Snakemake looks at the names of the parameters to know what to hand over.
    def grown(
        wildcards: Any,
        input: Any,
        attempt: int,
        threads: int,
        rulename: str,
        async_run: Any,
    ) -> Any:
        given = {
            "input": input,
            "attempt": factor(rule, dict(wildcards.items()), resource.name),
            "threads": threads,
            "rulename": rulename,
            "async_run": async_run,
        }
        return asked(wildcards, **get_input_function_aux_params(asked, given))

    return Resource(resource.name, grown, raw=resource.raw)
