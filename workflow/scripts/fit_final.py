"""Adapter of the rule `fit_final`."""

import json
from collections.abc import Mapping
from pathlib import Path

from gridfold.jobs import job
from gridfold.lasting import lasting
from gridfold.paths import StudyPaths
from gridfold.stages import with_catalogue


def fit_final(
    request: str, inputs: Mapping[str, str], threads: int, files: Mapping[str, str]
) -> None:
    """Train, score, save and describe the final model, in the files that the rule names."""
    # Imported inside the job: TensorFlow prints while it is imported, and that belongs in the log.
    with lasting():
        from gridfold import final

    final.fit_final(
        with_catalogue(json.loads(request), inputs.get("catalogue", "")),
        json.loads(Path(inputs["best"]).read_text()),
        StudyPaths(Path(inputs["splits"]).parent),
        threads,
        json.loads(Path(inputs["ensemble"]).read_text()) if "ensemble" in inputs else None,
    ).save(files)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        fit_final(
            snakemake.params.request,
            dict(snakemake.input.items()),
            snakemake.threads,
            dict(snakemake.output.items()),
        )
