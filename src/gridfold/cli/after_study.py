"""The verbs for what comes after a study: predictions, exports, comparisons, papers."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from gridfold.atomic import write_text
from gridfold.cli.verbs import Verbs, load
from gridfold.errors import Problem, StudyError


def add(verbs: Verbs) -> None:
    """Add them to the others."""
    predict = verbs.add(
        "predict",
        _predict,
        "predict new samples with the final model of a study",
        "With the study's preprocessing. For classes the name and the probability of each, for\n"
        "numbers values in their units. Columns of tables are found by name.",
    )
    predict.add_argument("results", type=Path, help="results of a study, for example results/demo")
    predict.add_argument("data", type=Path, help="samples: .csv, .parquet, .npz or .npy")
    predict.add_argument("-o", "--output", type=Path, help="a .csv or .parquet file")
    predict.add_argument("--ensemble", action="store_true", help="mean of the models of all splits")
    predict.add_argument("--separator", help="of columns in a CSV file (default: the study's)")
    predict.add_argument("--array", help="name of the samples in an .npz file")
    export = verbs.add(
        "export",
        _export,
        "write the final model of a study for programs without Keras",
        "Scaling is part of it. What is done to tables before is in the JSON file beside it.",
    )
    export.add_argument("results", type=Path, help="results of a study, for example results/demo")
    export.add_argument("--format", choices=["savedmodel", "onnx"], default="savedmodel")
    export.add_argument("-o", "--output", type=Path, help="where to (default: beside the model)")
    compare = verbs.add(
        "compare",
        _compare,
        "compare finished studies with the first one",
        "Paired where studies share splits or test samples, and it says so where they don't.\n"
        "Studies with another problem, measure or data are refused. Writes a page, too.",
    )
    compare.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="as results/demo; two at least"
    )
    compare.add_argument(
        "--html", type=Path, help="the page (default: comparison.html beside the first study)"
    )
    index = verbs.add(
        "index", _index, "list all studies of a results folder, and write a page of them"
    )
    index.add_argument(
        "results",
        nargs="?",
        type=Path,
        default=Path("results"),
        help="folder of all results (default: results)",
    )
    index.add_argument("--html", type=Path, help="the page (default: index.html in that folder)")
    paper = verbs.with_study(
        verbs.add(
            "paper",
            _paper,
            "write table and figures of a finished study for a paper",
            "table.tex (LaTeX with booktabs), and every figure as PDF with embedded fonts and as\n"
            "SVG, in the width and letter size of a journal's column.",
        )
    )
    paper.add_argument(
        "--column", default="single", help="width and letter size (default: single); see --columns"
    )
    paper.add_argument("--columns", action="store_true", help="list the columns and do nothing")
    paper.add_argument(
        "--rows", type=int, default=10, help="most configurations in the table (default: 10)"
    )
    paper.add_argument("--to", type=Path, help="folder (default: results/<study>/paper/<column>)")
    optuna = verbs.with_study(
        verbs.add(
            "optuna",
            _optuna,
            "write a finished study for Optuna and its dashboard",
            "One SQLite file. Look at it with: optuna-dashboard sqlite:///results/<study>/optuna.db",
        )
    )
    optuna.add_argument("--to", type=Path, help="file (default: results/<study>/optuna.db)")
    starts = verbs.with_study(
        verbs.add(
            "starts",
            _starts,
            "print the best configurations as starting points of another search",
            "For `search.starts` of the other study.",
        )
    )
    starts.add_argument(
        "--top", type=_positive, default=5, metavar="N", help="so many (default: 5)"
    )
    profile = verbs.add(
        "profile",
        _profile,
        "train a trial for two epochs and show where the time of the second goes",
        "With TensorFlow's profiler, on one device, with the data that are prepared. The record\n"
        "goes to results/<study>/profiles; nothing of the study is changed.",
    )
    profile.add_argument("config_id", help="id of the configuration, or the beginning of one")
    verbs.with_study(profile)
    profile.add_argument("--split", help="split (default: its first)")
    profile.add_argument(
        "--top", type=_positive, default=15, metavar="N", help="operations to show (default: 15)"
    )
    board = verbs.with_study(
        verbs.add(
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


def _predict(options: argparse.Namespace) -> None:
    from gridfold.final import inference

    model = inference.FinalModel.load(options.results, ensemble=options.ensemble)
    table = model.predict(options.data, separator=options.separator, array=options.array)
    if options.output is None:
        print(table.to_csv(index=False), end="")
    else:
        inference.write_table(table, options.output)
        print(f"{options.output}: {len(table)} predictions")


def _export(options: argparse.Namespace) -> None:
    from gridfold.final import inference

    model = inference.FinalModel.load(options.results)
    name = "model.onnx" if options.format == "onnx" else "saved_model"
    target = options.output or model.files.folder / name
    beside = model.export(options.format, target)
    print(f"{target}, with {beside}")


def _compare(options: argparse.Namespace) -> None:
    from gridfold.finished.comparison import compare_studies
    from gridfold.finished.pages import comparison_page
    from gridfold.finished.study import FinishedStudy

    folders = list(dict.fromkeys(folder.resolve() for folder in options.folders))
    if len(folders) < 2:
        given = f"{len(folders)} different study"
        raise StudyError("gridfold compare", [Problem((), given, "allowed: two or more")])
    studies = [FinishedStudy.read(folder) for folder in folders]
    file = options.html or folders[0].parent / "comparison.html"
    _publish(comparison_page(studies[0], compare_studies(studies), file), file)


def _index(options: argparse.Namespace) -> None:
    from gridfold.finished.pages import index_page
    from gridfold.finished.study import find_studies

    if not options.results.is_dir():
        raise StudyError(
            "gridfold index",
            [Problem((), f"{options.results} is no folder", "allowed: the folder of all results")],
        )
    file = options.html or options.results / "index.html"
    _publish(index_page(list(find_studies(options.results)), file), file)


def _paper(options: argparse.Namespace) -> None:
    from gridfold.finished.journal import COLUMNS

    if options.columns:
        for name, column in COLUMNS.items():
            print(f"{name:16} {column.width:5.2f} in  {column.size:g} pt")
        return
    problems = []
    if options.column not in COLUMNS:
        problems.append(Problem(("--column",), options.column, f"allowed: {', '.join(COLUMNS)}"))
    if options.rows < 1:
        problems.append(Problem(("--rows",), str(options.rows), "allowed: 1 and more"))
    if problems:
        raise StudyError("gridfold paper", problems)
    from gridfold.finished.paper import export

    plan = load(options)
    folder = options.to or plan.paths.root / "paper" / options.column
    for file in export(plan, COLUMNS[options.column], options.rows, folder):
        print(file)


def _optuna(options: argparse.Namespace) -> None:
    from gridfold.finished import optuna_study

    plan = load(options)
    file = options.to or plan.paths.root / "optuna.db"
    study, space = plan.study, plan.study.search.model_dump(mode="json", by_alias=True)["space"]
    count = optuna_study.write(plan.paths, study.study, space, study.problem.ranking_measure, file)
    print(f"{file}: {count} configurations; optuna-dashboard sqlite:///{file}")


def _starts(options: argparse.Namespace) -> None:
    from gridfold.finished import export_starting_points
    from gridfold.tables.trials import StudyTables

    plan = load(options)
    configurations = StudyTables.of_study(plan.paths).configurations
    print(export_starting_points.starts(configurations, options.top), end="")


def _profile(options: argparse.Namespace) -> None:
    from gridfold.jobs import profiling
    from gridfold.plan.status import configuration_named

    plan = load(options)
    found = configuration_named(plan, options.config_id)
    splits = [split for configuration in found for split in configuration["splits"]]
    split = options.split or splits[0]
    if split not in splits:
        problem = Problem((), f"{split} is no split of {found[0]['id']}", ", ".join(splits))
        raise StudyError("gridfold profile", [problem])
    print(profiling.text(profiling.profile(plan, found[0], split), options.top))


def _tensorboard(options: argparse.Namespace) -> None:
    from gridfold.finished import tensorboard

    plan = load(options)
    tensorboard.without_tensorflow()
    space = plan.study.search.model_dump(mode="json", by_alias=True)["space"]
    folder = tensorboard.write(plan.paths, space, options.configurations)
    print(f"{folder}: {min(options.configurations, len(plan.configurations))} configurations")
    if not options.write_only:
        address = tensorboard.serve(folder, options.port)
        print(tensorboard.directions(address), flush=True)
        threading.Event().wait()


def _publish(page: Any, file: Path) -> None:
    """Write a page about several studies, and print it."""
    write_text(file, page.html(), durable=False)
    print(f"{page.text()}\n\nPage: {file}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed: 1 or more")
    return int(text)
