"""Adapter of the rule `fit_ensemble`."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridfold.jobs import job
from gridfold.lasting import lasting
from gridfold.paths import StudyPaths


def fit_ensemble(
    request: str, best: Path, root: Path, threads: int, outputs: Sequence[Sequence[str] | str]
) -> None:
    """Bring the split models together; `outputs` are their files, and that of their scores."""
    # Imported inside the job: TensorFlow prints while it is imported, and that belongs in the log.
    with lasting():
        from gridfold import ensemble

    ensemble.fit_ensemble(
        json.loads(request), json.loads(best.read_text()), StudyPaths(root), threads
    ).save(*outputs)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        files = snakemake.output
        fit_ensemble(
            snakemake.params.request,
            Path(snakemake.input.best),
            Path(snakemake.input.splits).parent,
            snakemake.threads,
            (files.models, files.preprocessing, files.scores),
        )
