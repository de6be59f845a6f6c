"""Verbs that run a study unattended: they submit it, show what it says, and stop it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridfold.cli.verbs import COUNT, takes_results, takes_study_as_written

if TYPE_CHECKING:
    from gridfold.plan.plan import Plan

_SNAKEMAKE = "gridfold.snakemake"


class _WithSnakemakeOptions(click.Command):
    """Takes options of Snakemake after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what stands after the first ``--`` for Snakemake."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_SNAKEMAKE] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words of the usage, with those of Snakemake."""
        return [*super().collect_usage_pieces(ctx), "[-- SNAKEMAKE OPTIONS]"]


@click.command(cls=_WithSnakemakeOptions)
@takes_study_as_written
@click.option("--profile", help="Profile. [default: slurm where there is Slurm]")
@click.option("--local", "is_local", is_flag=True, help="Run it on this machine, without Slurm.")
@click.option("--cores", type=COUNT, help="Cores of this machine to use.")
@click.option("--time", "minutes", type=COUNT, help="Time limit of the controller's job, minutes.")
@click.option("--partition", help="Partition of the controller's job. [default: the profile's]")
@click.option("--account", help="Account of the controller's job. [default: the profile's]")
@click.option("--mail", metavar="ADDRESS", help="Let Slurm write at the end and on a failure.")
@click.option("--then", default="", metavar="COMMAND", help="Run this at the end or on a failure.")
@click.option("--sbatch", multiple=True, metavar="OPTION", help="Any other option of sbatch.")
def submit(plan: Plan, **options: object) -> None:
    """Run a study unattended: start it, log out, come back to the report.

    On a cluster Snakemake itself becomes a small job, which submits the others. Near its time
    limit, after the failure of its node and when it was killed, it goes on by itself. Without Slurm
    it runs detached on this machine.

    Options of Snakemake stand after --, as in: gridfold submit my.yaml -- --set-threads train=4
    """
    from gridfold.cli.before_study import data_of
    from gridfold.controller import submitting

    data_of(plan)
    snakemake = click.get_current_context().meta[_SNAKEMAKE]
    wishes = submitting.Wishes(**options, snakemake=snakemake)  # type: ignore[arg-type]
    print(submitting.submit(plan, wishes))


@click.command()
@takes_results
def attach(results: Path) -> None:
    """Show what the controller of a submitted study says, until it ends.

    Ctrl-C ends the showing, not the study.
    """
    from gridfold.controller.looking import attach
    from gridfold.paths import StudyPaths

    attach(StudyPaths(results))


@click.command()
@takes_results
def stop(results: Path) -> None:
    """Stop a study that runs: its controller and its jobs. Trials keep their epochs."""
    from gridfold.controller.stopping import stop
    from gridfold.paths import StudyPaths

    stop(StudyPaths(results), lambda text: print(text, file=sys.stderr, flush=True))
