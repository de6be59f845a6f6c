"""The README of a run's folder: what lies where, and how it is made again."""

from __future__ import annotations

from gridfold.dossier.facts import RunFacts
from gridfold.wording import counted, markdown_text, measure_name, number

_PLACES = {
    "report.html": "the report: begin here",
    "checklists/": "checklists for papers, filled in as far as the run knows the answers",
    "final/": "the final model, its card and its predictions for the test set",
    "tables/": "all numbers, as CSV and Parquet",
    "figures/": "all figures, as SVG and PNG",
    "data/": "the prepared data; `croissant.json` describes them for programs",
    "run.json": "the study as the run was asked for it",
    "workflow/": "the rules of the workflow, for reading; gridfold brings them",
    "ro-crate-metadata.json": "describes all of this for archives and programs",
}


def readme(facts: RunFacts) -> str:
    """Return the README as Markdown.

    Parameters
    ----------
    facts : RunFacts
    """
    best, card = facts.results.answer.best, facts.results.answer.card
    quoted = best.headline
    score = number(quoted.score, best.decimals)
    score += " (corrected for the selection)" * quoted.is_corrected
    lines = [
        f"# {markdown_text(facts.title)}",
        "",
        f"The run of a study with gridfold {card.environment.packages['gridfold']}, of "
        f"{card.created[:10]}. Data: {markdown_text(facts.data.source)}. Selected: "
        f"{markdown_text(best.label)}, with a mean {measure_name(best.measure)} of {score} "
        f"over {counted(best.n_splits, 'split')}.",
        "",
        "| here | what it is |",
        "| --- | --- |",
        *(f"| `{place}` | {meaning} |" for place, meaning in _PLACES.items()),
        "",
        "## To make it again",
        "",
        f"Install gridfold {card.environment.packages['gridfold']} with python "
        f"{card.environment.python} and the versions that `final/card.json` lists, put study and "
        "data where they were, and run",
        "",
        "```sh",
        facts.command,
        "```",
    ]
    return "\n".join(lines) + "\n"
