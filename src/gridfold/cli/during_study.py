"""Verbs that look at a study: they show its state, one configuration, or where time goes."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from gridfold.cli.verbs import COUNT, json_option, print_json, takes_study, writing
from gridfold.errors import GridfoldError

if TYPE_CHECKING:
    from gridfold.plan.plan import Plan

_config_id = click.argument("config_id", help="Id of the configuration, or the beginning of one.")


@click.command()
@takes_study
@click.option("--watch", is_flag=True, help="Repeat every 5 seconds until interrupted.")
@json_option
def status(plan: Plan, watch: bool, as_json: bool) -> None:
    """Show how far a study is, or its answer when it is finished.

    A search in stages gets a line for each stage: what is done, what it waits for. While Snakemake
    runs the study, it is told where it does, and which jobs are in the queue.
    """
    from gridfold.controller.looking import Controller
    from gridfold.plan.facts import status_facts
    from gridfold.plan.status import state

    while True:
        if as_json:
            print_json({**status_facts(plan), "controller": Controller.of(plan.paths).facts()})
        else:
            print("\n".join([*Controller.of(plan.paths).lines(), state(plan)]))
        sys.stdout.flush()
        if not watch:
            return
        time.sleep(5)


@click.command()
@_config_id
@takes_study
@json_option
def show(plan: Plan, config_id: str, as_json: bool) -> None:
    """Show one configuration: its settings and what is known of its trials."""
    from gridfold.plan.facts import configuration_facts, trial_state
    from gridfold.plan.status import configuration_named

    found = configuration_named(plan, config_id)
    if as_json:
        print_json(configuration_facts(plan, found))
        return
    print(f"{found[0].chosen.id}  {found[0].chosen.label}")
    print(json.dumps(found[0].chosen.settings, indent=2))
    for each in found:
        for split in each.splits:
            text = str(trial_state(plan, each, split))
            print("  ".join(filter(None, [each.title, split, text])))


@click.command()
@_config_id
@takes_study
@click.option("--split", help="Split of the trial. [default: its first]")
@click.option("--top", type=COUNT, default=15, help="Operations to show.")
def profile(plan: Plan, config_id: str, split: str | None, top: int) -> None:
    """Train a trial for two epochs and show where the time of the second goes.

    With TensorFlow's profiler, on one device, with the data that are prepared. The record goes to
    results/<study>/profiles; nothing of the study is changed.
    """
    from gridfold.jobs import profiling
    from gridfold.plan.status import configuration_named

    found = configuration_named(plan, config_id)
    splits = [split for configuration in found for split in configuration.splits]
    split = split or splits[0]
    if split not in splits:
        raise GridfoldError(
            f"{split} is no split of {found[0].chosen.id}; allowed: {', '.join(splits)}"
        )
    with writing(plan.paths.profiles):
        result = profiling.profile(plan, found[0].chosen, split)
    print(profiling.text(result, top))
