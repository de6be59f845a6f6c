"""Verbs that look at a study: they show its state, one configuration, or where time goes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from gridfold.advice import cause_of, in_full
from gridfold.cli.verbs import COUNT, takes_study
from gridfold.errors import Problem, StudyError, TrialFailure
from gridfold.paths import result_file

if TYPE_CHECKING:
    from gridfold.plan.plan import Plan
    from gridfold.plan.shards import TrialKey

_config_id = click.argument("config_id", help="Id of the configuration, or the beginning of one.")


@click.command()
@takes_study
@click.option("--watch", is_flag=True, help="Repeat every 5 seconds until interrupted.")
def status(plan: Plan, watch: bool) -> None:
    """Show how far a study is, or its answer when it is finished.

    A search in stages gets a line for each stage: what is done, what it waits for.
    """
    from gridfold.plan.status import state

    while True:
        print(state(plan), flush=True)
        if not watch:
            return
        time.sleep(5)


@click.command()
@_config_id
@takes_study
def show(plan: Plan, config_id: str) -> None:
    """Show one configuration: its settings and what is known of its trials."""
    from gridfold.plan.shards import TrialKey
    from gridfold.plan.status import configuration_named

    found = configuration_named(plan, config_id)
    print(f"{found[0].chosen.id}  {found[0].chosen.label}")
    print(json.dumps(found[0].chosen.settings, indent=2))
    for configuration in found:
        for split in configuration.splits:
            trial = TrialKey(configuration.chosen.id, split)
            found_state = _trial_state(plan, trial, configuration.chosen.epochs)
            print("  ".join(filter(None, [configuration.title, split, found_state])))


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
        problem = Problem((), f"{split} is no split of {found[0].chosen.id}", ", ".join(splits))
        raise StudyError("gridfold profile", [problem])
    print(profiling.text(profiling.profile(plan, found[0].chosen, split), top))


def _trial_state(plan: Plan, trial: TrialKey, epochs: int) -> str:
    folder = plan.paths.trial(trial.config_id, trial.split)
    result = result_file(folder, epochs)
    failure = folder / "failure.json"
    if result.exists():
        content = json.loads(result.read_text())
        if content["status"] == "finished":
            scores = "  ".join(f"{name} {value:.4f}" for name, value in content["scores"].items())
            return f"finished after {content['epochs_trained']} epochs  {scores}"
        return _explained(content)
    if failure.exists():
        return _explained(json.loads(failure.read_text()))
    checkpoints = sorted(folder.glob("checkpoint-*.npz"))
    if checkpoints:
        return f"checkpoint after epoch {int(checkpoints[-1].stem.rpartition('-')[2])} of {epochs}"
    return "not begun"


def _explained(content: dict[str, str]) -> str:
    failure = TrialFailure(content["kind"], content["reason"], content.get("detail", ""))
    cause = cause_of(failure)
    lines = [f"failed ({failure.kind}): {in_full(failure)}"]
    lines += [cause.advice] if cause else []
    return "\n".join([*lines, *filter(None, [failure.detail.rstrip()])])
