"""Verbs that use finished studies: they predict, export, compare and write for papers."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridfold.atomic import write_text
from gridfold.cli.studies import is_folder_of_study, is_study_file, results_of
from gridfold.cli.verbs import (
    COUNT,
    PATH,
    json_option,
    print_json,
    results_option,
    takes_results,
    takes_study,
    trust_option,
    writing,
)
from gridfold.errors import GridfoldError
from gridfold.paths import DEFAULT_RESULTS, StudyPaths
from gridfold.wording import counted

if TYPE_CHECKING:
    from gridfold.finished.pages import StudiesPage
    from gridfold.plan.plan import Plan


@click.command()
@click.argument(
    "words",
    nargs=-1,
    required=True,
    type=PATH,
    metavar="[STUDY] DATA...",
    help=(
        "Study file or folder of results [default: as for other verbs]; then the samples: one "
        ".csv, .parquet, .npz or .npy file, or image files and folders of them."
    ),
)
@results_option
@click.option("-o", "--output", type=PATH, help="A .csv or .parquet file.")
@click.option("--ensemble", is_flag=True, help="Mean of the models of all splits.")
@trust_option
@click.option("--id", help="Column that names the rows of a table. [default: the study's]")
@click.option(
    "--unknown",
    type=click.Choice(["accept", "refuse"]),
    default="accept",
    help="What to do with categories that the study does not have.",
)
@click.option("--separator", help="Of columns in a CSV file. [default: the study's]")
@click.option("--encoding", help="Of a CSV file, as latin-1. [default: the study's]")
@click.option("--array", help="Name of the samples in an .npz file.")
def predict(
    words: tuple[Path, ...],
    results: Path,
    output: Path | None,
    ensemble: bool,
    trust: bool,
    **how: Any,
) -> None:
    """Predict new samples with the final model of a study.

    With the study's preprocessing. For classes the name and the probability of each, for numbers
    values in their units; before them what names a sample: the study's id column, or the image
    file. Columns of tables are found by name.
    """
    from gridfold.jobs.frozen_imports import lasting

    with lasting():
        from gridfold.final.inference import FinalModel
        from gridfold.final.predictions import PredictionsFile, PrintedPredictions
        from gridfold.final.samples import ReadingOptions

    named, data = _study_and_data(words)
    if output is not None and output.resolve() in (path.resolve() for path in data):
        raise GridfoldError(f"{output} holds the samples; name another file with -o")
    model = FinalModel.load(results_of(named, results), ensemble=ensemble, trust=trust)
    samples = model.read(data, ReadingOptions(**how), functools.partial(print, file=sys.stderr))
    count = 0
    with PrintedPredictions() if output is None else PredictionsFile(output) as written:
        for table in model.predictions(samples):
            written.write(table)
            count += len(table)
    if output is not None:
        print(f"{output}: {counted(count, 'prediction')}")


def _study_and_data(words: Sequence[Path]) -> tuple[Path | None, Sequence[Path]]:
    """Tell whether the first word names the study: a YAML file, or what is no file of samples."""
    from gridfold.final.samples import SUFFIXES

    first, *others = words
    is_other = first.suffix.lower() not in SUFFIXES
    if is_study_file(first) or (is_other and (others or is_folder_of_study(first))):
        if not others:
            raise click.UsageError(f"{first} is a study. Which samples? Name their file after it.")
        return first, others
    return None, words


@click.command()
@takes_results
@click.option("--format", "kind", type=click.Choice(["savedmodel", "onnx"]), default="savedmodel")
@click.option("-o", "--output", type=PATH, help="Where to. [default: beside the model]")
@trust_option
def export(results: Path, kind: str, output: Path | None, trust: bool) -> None:
    """Write the final model of a study for programs without Keras.

    Scaling is part of it. What is done to tables before is in the JSON file beside it.
    """
    from gridfold.final import inference

    model = inference.FinalModel.load(results, trust=trust)
    name = "model.onnx" if kind == "onnx" else "saved_model"
    target = output or model.files.folder / name
    with writing(target):
        beside = model.export(kind, target)
    print(f"{target}, with {beside}")


def _list_columns(context: click.Context, _: click.Parameter, asked: bool) -> None:
    from gridfold.finished.journal import COLUMNS

    if asked:
        for name, column in COLUMNS.items():
            print(f"{name:16} {column.width:5.2f} in  {column.size:g} pt")
        context.exit()


@click.command()
@takes_study
@click.option("--column", default="single", help="Width and letter size; see --columns.")
@click.option(
    "--columns",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_columns,
    help="List the columns and do nothing.",
)
@click.option("--rows", type=COUNT, default=10, help="Most configurations in the table.")
@click.option("--to", type=PATH, help="Folder. [default: results/<study>/paper/<column>]")
def paper(plan: Plan, column: str, rows: int, to: Path | None) -> None:
    """Write table and figures of a finished study for a paper.

    table.tex (LaTeX with booktabs), and every figure as PDF with embedded fonts and as SVG, in the
    width and letter size of a journal's column.
    """
    from gridfold.finished.journal import COLUMNS

    if column not in COLUMNS:
        raise GridfoldError(f"--column: {column}; allowed: {', '.join(COLUMNS)}")
    from gridfold.finished.paper import export

    folder = to or plan.paths.root / "paper" / column
    with writing(folder):
        files = export(plan, COLUMNS[column], rows, folder)
    print(*files, sep="\n")


@click.command()
@takes_study
@click.option(
    "--configurations",
    type=COUNT,
    default=10,
    help=("Best configurations to show, a file for each of their trials."),
)
@click.option(
    "--port",
    default=0,
    show_default="any that is free",
    help="Port.",
)
@click.option("--write-only", is_flag=True, help="Write the files, start nothing.")
def tensorboard(plan: Plan, configurations: int, port: int, write_only: bool) -> None:
    """Open a finished study in TensorBoard, on this machine only.

    Writes curves, hyperparameters and scores of the best configurations from the tables to
    results/<study>/tensorboard and serves them on 127.0.0.1, at an address that nobody else knows,
    until interrupted. More, and over ssh: docs/tensorboard.md
    """
    from gridfold.finished import tensorboard

    tensorboard.without_tensorflow()
    space = plan.study.search.model_dump(mode="json", by_alias=True)["space"]
    with writing(plan.paths.tensorboard):
        folder = tensorboard.write(plan.paths, space, configurations)
    print(f"{folder}: {min(configurations, len(plan.configurations))} configurations")
    if not write_only:
        address = tensorboard.serve(folder, port)
        print(tensorboard.directions(address), flush=True)
        threading.Event().wait()


@click.command()
@takes_study
@click.option("--to", type=PATH, help="File. [default: results/<study>/optuna.db]")
def optuna(plan: Plan, to: Path | None) -> None:
    """Write a finished study for Optuna and its dashboard.

    One SQLite file. Look at it with: optuna-dashboard sqlite:///results/<study>/optuna.db
    """
    from gridfold.finished import optuna_study

    file = to or plan.paths.root / "optuna.db"
    space = plan.study.search.model_dump(mode="json", by_alias=True)["space"]
    measure = plan.study.problem.ranking_measure
    with writing(file):
        count = optuna_study.write(plan.paths, plan.study.study, space, measure, file)
    print(f"{file}: {count} configurations; optuna-dashboard sqlite:///{file}")


@click.command()
@takes_results
def pack(results: Path) -> None:
    """Move the records of all trials into a few archives, where a file system counts files.

    Tables, figures, final model and report stay as they are. A run that has something to train
    takes the records out again by itself. Not while somebody runs the study.
    """
    from gridfold.store import archives

    _refuse_no_study(results)
    packed = archives.pack(StudyPaths(results))
    if packed.configurations:
        files = counted(packed.files, "file")
        place = counted(packed.archives, "archive")
        print(f"{StudyPaths(results).packed}: {files} of {results} in {place}")
    else:
        print(f"{results}: nothing to pack")
    if packed.held:
        print(
            f"{counted(packed.held, 'configuration')} left as they are: a job holds a trial of "
            "theirs, or has left something that the next run tidies up"
        )


@click.command()
@takes_results
def unpack(results: Path) -> None:
    """Take the records of trials out of the archives that `gridfold pack` has made."""
    from gridfold.store import archives

    _refuse_no_study(results)
    count = archives.unpack(StudyPaths(results))
    print(f"{StudyPaths(results).runs}: {counted(count, 'configuration')} taken out")


def _refuse_no_study(results: Path) -> None:
    if not is_folder_of_study(results):
        raise GridfoldError(f"{results} is no folder of results of a study, as results/demo")


@click.command()
@takes_study
@click.option("--top", type=COUNT, default=5, help="So many.")
def starts(plan: Plan, top: int) -> None:
    """Print the best configurations as starting points of another search.

    For `search.starts` of the other study.
    """
    from gridfold.finished import export_starting_points
    from gridfold.tables.trials import StudyTables

    configurations = StudyTables.of_study(plan.paths).configurations
    print(export_starting_points.starts(configurations, top), end="")


@click.command()
@click.argument(
    "named",
    nargs=-1,
    required=True,
    type=PATH,
    metavar="STUDY...",
    help="Study files or folders of results, as results/demo; two at least.",
)
@results_option
@click.option(
    "--html", type=PATH, help="The page. [default: comparison.html beside the first study]"
)
@trust_option
@json_option
def compare(
    named: tuple[Path, ...], results: Path, html: Path | None, trust: bool, as_json: bool
) -> None:
    """Compare finished studies with the first one.

    Paired where studies share splits or test samples, and it says so where they don't. Studies with
    another problem, measure or data are refused. Writes a page, too; with --json only where --html
    says where to.
    """
    from gridfold.finished.comparison import compare_studies
    from gridfold.finished.facts import comparison_facts
    from gridfold.finished.pages import comparison_page
    from gridfold.finished.study import FinishedStudy
    from gridfold.usercode.trust import require_trust

    folders = [results_of(each, results) for each in named]
    different = list(dict.fromkeys(folder.resolve() for folder in folders))
    if len(different) < 2:
        raise GridfoldError(
            f"gridfold compare: {counted(len(different), 'different study', 'different studies')} "
            "named; allowed: two or more"
        )
    reference, *others = [FinishedStudy.read(folder) for folder in different]
    if not trust:
        for study in (reference, *others):
            require_trust(study.own_code, study.paths.root)
    found = compare_studies([reference, *others])
    file = html or different[0].parent / "comparison.html"
    if html is not None or not as_json:
        _publish(comparison_page(reference, found, file), file, is_told=not as_json)
    if as_json:
        print_json(comparison_facts(reference, found))


@click.command()
@click.argument(
    "results",
    type=PATH,
    default=DEFAULT_RESULTS,
    help="Folder of all results; or one of its studies.",
)
@click.option("--html", type=PATH, help="The page. [default: index.html in that folder]")
@json_option
def index(results: Path, html: Path | None, as_json: bool) -> None:
    """List all studies of a results folder, and write a page of them.

    With --json it is written only where --html says where to.
    """
    from gridfold.finished.facts import index_facts
    from gridfold.finished.pages import index_page
    from gridfold.finished.study import find_studies

    if is_study_file(results):
        results = Path(DEFAULT_RESULTS)
    elif is_folder_of_study(results):
        results = results.parent
    if not results.is_dir():
        raise GridfoldError(f"{results} is no folder; allowed: the folder of all results")
    states = list(find_studies(results))
    file = html or results / "index.html"
    if html is not None or not as_json:
        _publish(index_page(states, file), file, is_told=not as_json)
    if as_json:
        print_json(index_facts(states))


def _publish(page: StudiesPage, file: Path, *, is_told: bool) -> None:
    """Write a page about several studies, and print it."""
    with writing(file):
        write_text(file, page.html(), durable=False)
    if is_told:
        print(f"{page.text()}\n\nPage: {file}")
