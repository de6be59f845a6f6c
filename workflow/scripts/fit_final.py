"""Adapter of the rule `fit_final`."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridfold.jobs import job
from gridfold.lasting import lasting
from gridfold.paths import StudyPaths


def fit_final(request: str, best: Path, root: Path, threads: int, outputs: Sequence[Path]) -> None:
    """Train, score, save and describe the final model.

    `outputs` are the model, the test predictions, the model card as JSON and as Markdown, and what
    the model looks like inside.
    """
    # Imported inside the job: TensorFlow prints while it is imported, and that belongs in the log.
    with lasting():
        from gridfold import final, tables

    model, predictions, card, inside = final.fit_final(
        json.loads(request), json.loads(best.read_text()), StudyPaths(root), threads
    )
    model_file, predictions_file, card_file, text_file, inside_file = outputs
    final.save_model(model, model_file)
    tables.write(predictions_file, predictions)
    final.write_card(card, card_file, text_file)
    inside.save(inside_file)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        fit_final(
            snakemake.params.request,
            Path(snakemake.input.best),
            Path(snakemake.input.splits).parent,
            snakemake.threads,
            list(map(Path, snakemake.output)),
        )
