"""Verbs that begin a study: they write its folder, check it and show its plan."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridfold.cli.verbs import (
    COUNT,
    PATH,
    json_option,
    print_json,
    takes_study_as_written,
    writing,
)

if TYPE_CHECKING:
    from gridfold.data.description import DataDescription
    from gridfold.plan.plan import Plan


@click.command()
@click.argument("directory", type=PATH, help="A new folder, or one without these files.")
def new(directory: Path) -> None:
    """Write a folder with a study, a model, data and profiles that run at once.

    Nothing is overwritten.
    """
    from gridfold.cli.new import create

    with writing(directory):
        written = create(directory)
    print(f"{directory}: {', '.join(map(str, written))}")
    print(f"Run it: cd {shlex.quote(str(directory))} && snakemake")


@click.command()
@takes_study_as_written
def validate(plan: Plan) -> None:
    """Check a study file and name everything that is wrong with it.

    A small table is read in whole, of a large one the first rows are, and its columns are shown; so
    are the classes of images.
    Exits with 0 when the study can be run, with 1 otherwise.
    """
    from gridfold.plan.tuner_schedule import tuner_of
    from gridfold.study.checks import problem
    from gridfold.wording import counted

    data = data_of(plan)
    splits = counted(len(plan.splits), "split")
    if tuner_of(plan.study):
        size = f"up to {counted(plan.stages[0].max_configurations, 'configuration')} x {splits}"
    else:
        size = f"{counted(len(plan.configurations), 'configuration')} x {splits}"
        size += f" = {counted(len(plan.trials), 'trial')}"
    later, folds = len(plan.stages) - 1, len(plan.outer_folds)
    more = f", and {counted(later, 'more stage')}" * bool(later)
    more += f", and all of it once more in {counted(folds, 'outer fold')}" * bool(folds)
    print(f"{', '.join(map(str, plan.files))}: valid, {size}{more}")
    for line in data.lines() if data else ():
        print(line)
    for note in problem.notes(plan.study.data, plan.study.problem):
        print(f"  note            {note}")


def data_of(plan: Plan) -> DataDescription | None:
    """Return what the study's table or its images are; None for other sources."""
    from gridfold.data.preview import preview
    from gridfold.errors import DataError
    from gridfold.plan.job_requests import JobRequests

    try:
        requests = JobRequests(plan)
        return preview(requests.data(), requests.splits())
    except DataError as error:
        files = ", ".join(map(str, plan.files))
        problems = "".join(f"\n  - {line}" for line in str(error).splitlines())
        raise DataError(
            f"{files}: the data can't serve the study; nothing was run.{problems}"
        ) from None


@click.command()
@takes_study_as_written
@click.option("--cores", type=COUNT, help="CPU cores to reckon with.")
@click.option("--list", "listed", is_flag=True, help="Also list every configuration with its id.")
@json_option
def plan(plan: Plan, cores: int | None, listed: bool, as_json: bool) -> None:
    """Show what a study would run, what is already done and what it costs.

    Nothing is written and nothing is run.
    """
    from gridfold.plan.facts import plan_facts
    from gridfold.plan.status import change_notice, changes
    from gridfold.plan.words import description

    if as_json:
        print_json(plan_facts(plan))
        return
    print(description(plan, cores or os.cpu_count(), data_of(plan)))
    if notice := change_notice(changes(plan)):
        print(f"  {notice}")
    for duplicate in plan.expansion.duplicates:
        print(f"  duplicate       {json.dumps(duplicate)}")
    if listed:
        for configuration in plan.configurations:
            print(f"{configuration.id}  {configuration.label}")
