"""The command line: what Snakemake has no verb for."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridfold import __version__
from gridfold.advice import cause_of, in_full
from gridfold.answer import answer
from gridfold.errors import GridfoldError, Problem, StudyError, TrialFailure
from gridfold.paths import result_file
from gridfold.plan import Plan
from gridfold.progress import progress_line, read_jobs
from gridfold.shards import Trial
from gridfold.workflow import DEFAULT_STUDY

_DESCRIPTION = """\
Hyperparameter experiments with Keras: one study file in, one report out.

Studies are run by Snakemake:

  snakemake --configfile my.yaml             run what is missing
  snakemake --configfile my.yaml --dry-run   show what would run

The verbs here look at a study before, while and after it runs."""

_EPILOG = "Every verb has its own --help. Start with: gridfold plan config/demo.yaml"


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
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(name: str, function: Any, summary: str, detail: str = "") -> argparse.ArgumentParser:
        sub = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{detail}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(verb=function)
        return sub

    def with_study(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument(
            "study",
            nargs="*",
            type=Path,
            default=[Path(DEFAULT_STUDY)],
            help=f"study file; later ones override earlier ones (default: {DEFAULT_STUDY})",
        )
        sub.add_argument(
            "--results",
            type=Path,
            default=Path("results"),
            help="folder of all results (default: results)",
        )
        return sub

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
    board = with_study(
        verb(
            "tensorboard",
            _tensorboard,
            "open a finished study in TensorBoard, on this machine only",
            "Writes curves, hyperparameters and scores of the best configurations from the tables\n"
            "to results/<study>/tensorboard and serves them on 127.0.0.1, at an address that\n"
            "nobody else knows, until interrupted. More, and over ssh: docs/tensorboard.md",
        )
    )
    board.add_argument(
        "--configurations",
        type=_positive,
        default=10,
        metavar="N",
        help="best configurations to show, a file for each of their trials (default: 10)",
    )
    board.add_argument("--port", type=int, default=0, help="port (default: any that is free)")
    board.add_argument("--write-only", action="store_true", help="write the files, start nothing")
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
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed: 1 or more")
    return int(text)


def _load(options: argparse.Namespace) -> Plan:
    return Plan.load(options.study, results=options.results)


def _validate(options: argparse.Namespace) -> None:
    plan = _load(options)
    print(
        f"{', '.join(map(str, options.study))}: valid, {len(plan.configurations)} configurations "
        f"x {len(plan.splits)} splits = {len(plan.trials)} trials"
    )


def _plan(options: argparse.Namespace) -> None:
    plan = _load(options)
    print(plan.describe(options.cores or os.cpu_count()))
    for duplicate in plan.expansion.duplicates:
        print(f"  duplicate       {json.dumps(duplicate)}")
    if options.list:
        for configuration in plan.configurations:
            print(f"{configuration.id}  {configuration.label}")


def _status(options: argparse.Namespace) -> None:
    plan = _load(options)
    while True:
        print(_state(plan), flush=True)
        if not options.watch:
            return
        time.sleep(5)


def _state(plan: Plan) -> str:
    done = len(plan.finished())
    try:
        finished = answer(plan.paths) if done == len(plan.trials) else None
    except FileNotFoundError:
        finished = None
    if finished:
        return finished
    jobs = [job for job in read_jobs(plan.paths.progress, plan.shards).values() if not job.ended]
    if jobs:
        labels = {c.id: c.label for c in plan.configurations}
        return progress_line(len(plan.trials), jobs, labels)
    return f"trials {done}/{len(plan.trials)} done, no job is running"


def _show(options: argparse.Namespace) -> None:
    plan = _load(options)
    found = [c for c in plan.configurations if c.id.startswith(options.config_id)]
    if len(found) != 1:
        known = ", ".join(c.id for c in (found or plan.configurations)[:10])
        raise StudyError(
            "gridfold show",
            [Problem((), f"{len(found)} configurations begin with {options.config_id}", known)],
        )
    configuration = found[0]
    print(f"{configuration.id}  {configuration.label}")
    print(json.dumps(configuration.settings, indent=2))
    for split in plan.splits:
        print(
            f"{split}  {_trial_state(plan, Trial(configuration.id, split), configuration.epochs)}"
        )


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


def _tensorboard(options: argparse.Namespace) -> None:
    from gridfold import tensorboardlog, tensorboardserver

    plan = _load(options)
    tensorboardlog.without_tensorflow()
    space = plan.study.search.model_dump(mode="json", by_alias=True)["space"]
    folder = tensorboardlog.write(plan.paths, space, options.configurations)
    print(f"{folder}: {min(options.configurations, len(plan.configurations))} configurations")
    if not options.write_only:
        address = tensorboardserver.serve(folder, options.port)
        print(tensorboardserver.directions(address), flush=True)
        threading.Event().wait()


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
    from gridfold.doctor import examine

    examination = examine()
    print(examination.as_json() if options.json else examination)
    examination.demand_fitness()
