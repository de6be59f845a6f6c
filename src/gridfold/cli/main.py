"""The command line: what Snakemake has no verb for."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gridfold import __version__
from gridfold.advice import cause_of, in_full
from gridfold.cli import after_study
from gridfold.cli.verbs import Verbs, load
from gridfold.errors import GridfoldError, Problem, StudyError, TrialFailure
from gridfold.paths import result_file
from gridfold.plan.plan import Plan
from gridfold.plan.shards import Trial
from gridfold.plan.status import change_notice, configuration_named, state
from gridfold.plan.tuner_schedule import tuner_of
from gridfold.study.checks import table

_DESCRIPTION = """\
Hyperparameter experiments with Keras: one study file in, one report out.

Studies are run by Snakemake:

  snakemake --configfile my.yaml             run what is missing
  snakemake --configfile my.yaml --dry-run   show what would run

The verbs here begin a study, and look at it before, while and after it runs."""

_EPILOG = "Every verb has its own --help. Start with: gridfold new my-study"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, or 1 after an error that was explained."""
    options = _parser().parse_args(arguments)
    try:
        options.verb(options)
    except GridfoldError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has seen enough, as with `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "gridfold",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gridfold {__version__}")
    verbs = Verbs(parser)
    verb, with_study = verbs.add, verbs.with_study
    new = verb(
        "new",
        _new,
        "write a folder with a study, a model, data and profiles that run at once",
        "Nothing is overwritten.",
    )
    new.add_argument("directory", type=Path, help="a new folder, or one without these files")
    with_study(
        verb(
            "validate",
            _validate,
            "check a study file and name everything that is wrong with it",
            "Exits with 0 when the study can be run, with 1 otherwise.",
        )
    )
    plan = with_study(
        verb(
            "plan",
            _plan,
            "show what a study would run, what is already done and what it costs",
            "Nothing is written and nothing is run.",
        )
    )
    plan.add_argument("--cores", type=int, help="CPU cores to reckon with")
    plan.add_argument(
        "--list", action="store_true", help="also list every configuration with its id"
    )
    status = with_study(
        verb(
            "status",
            _status,
            "show how far a study is, or its answer when it is finished",
            "A search in stages gets a line for each stage: what is done, what it waits for.",
        )
    )
    status.add_argument(
        "--watch", action="store_true", help="repeat every 5 seconds until interrupted"
    )
    show = verb(
        "show",
        _show,
        "show one configuration: its settings and what is known of its trials",
    )
    show.add_argument("config_id", help="id of the configuration, or the beginning of one")
    with_study(show)
    schema = verb(
        "schema",
        _schema,
        "print the JSON schema of study files",
        "Editors complete keys with it. --write brings the generated files of this project up to\n"
        "date: the schema, the reference study and the reference table.",
    )
    schema.add_argument("--write", action="store_true", help="write the generated files")
    schema.add_argument("--check", action="store_true", help="fail if they are out of date")
    doctor = verb(
        "doctor",
        _doctor,
        "show what a trial finds on this machine, and what to do about what is missing",
        "Python, TensorFlow, Keras and Horovod; processor, memory and GPUs as far as this process\n"
        "may use them; MPI launchers, Slurm and containers. Takes some seconds.\n\n"
        "A login node is not a compute node. What a job finds, a job tells:\n\n"
        "  srun --gpus=1 gridfold doctor\n\n"
        "Exits with 1 when no trial can run here, with 0 otherwise.",
    )
    doctor.add_argument("--json", action="store_true", help="write JSON for programs")
    after_study.add(verbs)
    return parser


def _new(options: argparse.Namespace) -> None:
    from gridfold.cli import new as newproject

    written = newproject.create(options.directory)
    print(f"{options.directory}: {', '.join(map(str, written))}")
    print(f"Run it: cd {shlex.quote(str(options.directory))} && snakemake")


def _validate(options: argparse.Namespace) -> None:
    plan = load(options)
    more = f", and {len(plan.stages) - 1} more stages" * (len(plan.stages) > 1)
    size = (
        f"{len(plan.configurations)} configurations x {len(plan.splits)} splits = "
        f"{len(plan.trials)} trials"
    )
    if tuner_of(plan.study):
        size = f"up to {plan.stages[0].most} configurations x {len(plan.splits)} splits"
    print(f"{', '.join(map(str, options.study))}: valid, {size}{more}")
    for note in table.notes(plan.study.data):
        print(f"  note: {note}")


def _plan(options: argparse.Namespace) -> None:
    plan = load(options)
    print(plan.describe(options.cores or os.cpu_count()))
    if notice := change_notice(plan):
        print(f"  {notice}")
    for duplicate in plan.expansion.duplicates:
        print(f"  duplicate       {json.dumps(duplicate)}")
    if options.list:
        for configuration in plan.configurations:
            print(f"{configuration.id}  {configuration.label}")


def _status(options: argparse.Namespace) -> None:
    plan = load(options)
    while True:
        print(state(plan), flush=True)
        if not options.watch:
            return
        time.sleep(5)


def _show(options: argparse.Namespace) -> None:
    plan = load(options)
    found = configuration_named(plan, options.config_id)
    print(f"{found[0]['id']}  {found[0]['label']}")
    print(json.dumps(found[0]["settings"], indent=2))
    for configuration in found:
        for split in configuration["splits"]:
            trial = Trial(configuration["id"], split)
            found_state = _trial_state(plan, trial, configuration["epochs"])
            print("  ".join(filter(None, [configuration["title"], split, found_state])))


def _trial_state(plan: Plan, trial: Trial, epochs: int) -> str:
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


def _schema(options: argparse.Namespace) -> None:
    from gridfold import reference

    root = Path.cwd()
    if options.write:
        reference.write(root)
    elif options.check:
        drifted = reference.drifted(root)
        if drifted:
            raise StudyError(
                "gridfold schema",
                [
                    Problem((), f"{file} is out of date", "run: uv run gridfold schema --write")
                    for file in drifted
                ],
            )
    else:
        print(reference.generated_files()["config/study.schema.json"], end="")


def _doctor(options: argparse.Namespace) -> None:
    from gridfold.environment.doctor import examine

    examination = examine()
    print(examination.as_json() if options.json else examination)
    examination.demand_fitness()
