"""What a paper needs of a study: its table for LaTeX, and its figures in the width of a column."""

from __future__ import annotations

from pathlib import Path

from gridfold.atomic import write_text
from gridfold.data.dataset import mapped, mapped_features
from gridfold.errors import not_run_yet
from gridfold.figures import classes as classfigures
from gridfold.figures import comparison as comparisonfigures
from gridfold.figures import front, model, scaling, study, style
from gridfold.final.inside import Inside
from gridfold.finished import journal, latex
from gridfold.paths import StudyPaths
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.statistics.finished import StudyResults
from gridfold.tables.predictions import predicted_samples
from gridfold.tables.trials import read_table


def export(plan: Plan, column: journal.JournalColumn, rows: int, folder: Path) -> list[Path]:
    """Write ``table.tex`` and all figures of a finished study into `folder`.

    Parameters
    ----------
    plan : Plan
    column : JournalColumn
    rows : int
        Most configurations in the table.
    folder : Path

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    StudyError
        When the study is not finished.
    """
    paths = plan.paths
    try:
        found = StudyResults.read(paths)
        drawn = _draw(plan, found, column)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        text = f"{paths.root} is not finished: there is no {missing}"
        raise not_run_yet(text, plan.command) from None
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.tex"
    text = latex.ranking_table(
        plan.study.study,
        found.tables.configurations,
        found.comparison,
        found.answer.best,
        found.answer.card,
        rows,
    )
    write_text(table, text)
    return [table, *journal.save(drawn, column, folder)]


def _draw(
    plan: Plan, results: StudyResults, column: journal.JournalColumn
) -> dict[str, style.Drawing]:
    request, paths = JobRequests(plan).report(), plan.paths
    tables, card, manifest = results.tables, results.answer.card, results.manifest
    targets = mapped(paths.array("targets"))
    samples = predicted_samples(
        read_table(paths.out_of_fold),
        read_table(paths.final_model.test_predictions),
        targets,
        request.positive_from,
    )
    features = mapped_features(paths.array("features"))
    inside = Inside.load(paths.final_model.inside)
    with style.at_most_columns(journal.most_panels(column)):
        found = {
            **study.draw_search(request, tables),
            **study.draw_test(request, tables, card=card, samples=samples, manifest=manifest),
            **model.draw_model(
                inside,
                read_table(paths.final_model.importance),
                card,
                features=features,
                targets=targets,
                manifest=manifest,
            ),
            **comparisonfigures.draw_comparison(results.comparison),
        }
        if plan.study.problem.is_classification:
            classes = classfigures.draw_classes(
                request,
                samples,
                features=features,
                ids=mapped(paths.array("ids")),
                manifest=manifest,
            )
            found |= classes.drawings
        if request.objectives is not None:
            table = read_table(paths.table("pareto"))
            found["front"] = front.draw_front(table, request.objectives)
        return found | (_scaling(paths) if plan.compares_world_sizes else {})


def _scaling(paths: StudyPaths) -> dict[str, style.Drawing]:
    table = read_table(paths.table("scaling"))
    return {"scaling": scaling.draw_scaling(table)}
