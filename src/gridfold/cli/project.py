"""Verbs that examine this machine and bring generated files up to date."""

from __future__ import annotations

from pathlib import Path

import click

from gridfold.cli.verbs import writing
from gridfold.errors import Problem, StudyError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
def doctor(as_json: bool) -> None:
    """Show what a trial finds on this machine, and what to do about what is missing.

    Python, TensorFlow, Keras and Horovod; processor, memory and GPUs as far as this process may use
    them; MPI launchers, Slurm and containers. Takes some seconds.

    A login node is not a compute node. To see what a job finds, run this in one: `srun --gpus=1
    gridfold doctor`.

    Exits with 1 when no trial can run here, with 0 otherwise.
    """
    from gridfold.environment.doctor import examine

    examination = examine()
    print(examination.as_json() if as_json else examination)
    examination.demand_fitness()


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
