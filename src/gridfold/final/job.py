"""The jobs that fit what is kept of a study, each whole, so that a fork can do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gridfold.jobs.deadline import deadline
from gridfold.jobs.frozen_imports import lasting
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.requests import FinalRequest
from gridfold.store.model_card import EnsembleScore
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection


def fit_final(
    log_file: str,
    request: str,
    inputs: Mapping[str, str],
    threads: int,
    files: Mapping[str, str],
    trial_timeout: float | None,
) -> None:
    """Train, score, save and describe the final model, in the files that the rule names.

    It may take `trial_timeout` seconds.
    """
    # Imported inside the job: TensorFlow prints while it is imported, and that belongs in the log.
    with job(log_file, request, map(Path, files.values())):
        with lasting():
            from gridfold.final import fit

        with deadline(trial_timeout, "the final model"):
            fitted = fit.fit_final(
                FinalRequest.parse(request),
                Selection.read(Path(inputs["best"])),
                StudyPaths(Path(inputs["splits"]).parent),
                threads,
                EnsembleScore.read(Path(inputs["ensemble"])) if "ensemble" in inputs else None,
                NestedEstimate.read(Path(inputs["nested"])) if "nested" in inputs else None,
            )
        fitted.save(files)


def train_permuted(
    log_file: str,
    request: str,
    inputs: Mapping[str, str],
    threads: int,
    output: str,
    trial_timeout: float | None,
) -> None:
    """Find the chance level of the selected configuration, in `trial_timeout` seconds."""
    with job(log_file, request, [Path(output)]):
        with lasting():
            from gridfold.final import chance

        with deadline(trial_timeout, "the training with permuted labels"):
            level = chance.train_permuted(
                FinalRequest.parse(request),
                Selection.read(Path(inputs["best"])),
                StudyPaths(Path(inputs["splits"]).parent),
                threads,
            )
        level.write(Path(output))


def fit_ensemble(
    log_file: str,
    request: str,
    inputs: Mapping[str, str],
    threads: int,
    outputs: tuple[Sequence[str], Sequence[str], str],
) -> None:
    """Bring the split models together; `outputs` are their files, and that of their scores."""
    models, preprocessing, scores = outputs
    with job(log_file, request, map(Path, [*models, *preprocessing, scores])):
        with lasting():
            from gridfold.final import ensemble

        ensemble.fit_ensemble(
            FinalRequest.parse(request),
            Selection.read(Path(inputs["best"])),
            StudyPaths(Path(inputs["splits"]).parent),
            threads,
        ).save(*outputs)
