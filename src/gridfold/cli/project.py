"""Verbs that examine this machine and bring generated files up to date."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gridfold.cli.verbs import PATH, json_option, print_json, writing
from gridfold.errors import Problem, StudyError


@click.command()
@json_option
@click.option("--slurm", is_flag=True, help="Ask this cluster's Slurm instead; propose a profile.")
@click.option("--write", type=PATH, help="With --slurm: folder to write the profile into.")
def doctor(as_json: bool, slurm: bool, write: Path | None) -> None:
    """Show what a trial finds on this machine, and what to do about what is missing.

    Python, TensorFlow, Keras and Horovod; processor, memory and GPUs as far as this process may use
    them; MPI launchers, Slurm and containers. Takes some seconds.

    A login node is not a compute node. To see what a job finds, run this in one: `srun --gpus=1
    gridfold doctor`.

    With --slurm, on a login node: partitions with their limits and nodes, accounts, and what Slurm
    says to a job of yours, asked with `sbatch --test-only`, which submits none; and a profile for
    Snakemake that follows from it. --write profiles/mysite writes it, never over another one.

    Exits with 1 when no trial can run here, or Slurm does not answer, with 0 otherwise.
    """
    if slurm:
        _examine_slurm(as_json, write)
        return
    if write is not None:
        raise click.UsageError("--write needs --slurm, which proposes what is written")
    from gridfold.environment.doctor import examine

    examination = examine()
    print(examination.as_json() if as_json else examination)
    examination.demand_fitness()


def _examine_slurm(as_json: bool, write: Path | None) -> None:
    """Show what Slurm says of itself, and show or write the profile that follows."""
    from gridfold.cluster.site_profile import SiteProfile, refuse_existing, survey_lines
    from gridfold.cluster.survey import survey

    if write is not None:
        refuse_existing(write)
    found = survey()
    if not as_json:
        print("\n".join(survey_lines(found)))
    profile = SiteProfile.of(found)
    file = None
    if write is not None:
        with writing(write):
            file = profile.write(write)
    if as_json:
        print_json({"slurm": asdict(found), "profile": str(profile)})
    elif file is None:
        print(f"\nA profile for it; --write profiles/mysite writes it:\n\n{profile}", end="")
    else:
        print(f"\nWritten: {file}. Try it: snakemake --profile {write} --dry-run")


@click.command()
@click.option("--write", is_flag=True, help="Write the generated files.")
@click.option("--check", is_flag=True, help="Fail if they are out of date.")
def schema(write: bool, check: bool) -> None:
    """Print the JSON schema of study files.

    Editors complete keys with it. --write brings the generated files of this project up to date:
    the schema, the reference study and the reference table.
    """
    from gridfold import reference

    root = Path.cwd()
    if write:
        with writing(root):
            reference.write(root)
    elif not check:
        print(reference.generated_files()["config/study.schema.json"], end="")
    elif drifted := reference.drifted(root):
        raise StudyError(
            "gridfold schema",
            [Problem((), f"{file} is out of date", f"run: {reference.REPAIR}") for file in drifted],
        )
