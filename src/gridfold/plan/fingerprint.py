"""The digest of all code that decides numbers: the folder `training`, and the code of the user."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from gridfold.canonical import digest
from gridfold.requests import OwnMeasure
from gridfold.study import Study
from gridfold.study.monitors import monitors
from gridfold.usercode.digests import code_digest, source_digest
from gridfold.usercode.functions import split_reference
from gridfold.usercode.marks import file_digest

_PACKAGE = Path(__file__).parent.parent
# Beside the folder `training`, what its numbers depend on. Editing any other module (a table, a
# figure, the command line) retrains nothing.
OUTSIDE_THE_FOLDER = ("arrays.py", "store/checkpoints.py")


def training_code_digest(study: Study) -> str:
    """Return a digest of all code that can change a trial's result, the user's included."""
    files = {
        module.relative_to(_PACKAGE).as_posix(): source_digest(module) for module in _modules()
    }
    model = study.model
    for name, own in (("model.python", model.python), ("model.custom", model.custom)):
        if own is not None:
            files[name] = code_digest(split_reference(own.reference)[0])
    if model.saved is not None:
        files["model.saved"] = file_digest(Path(model.saved.path))
        if model.saved.objects is not None:
            files["model.saved.objects"] = code_digest(Path(model.saved.objects))
    if model.application is not None and model.application.weights is not None:
        files["model.application"] = file_digest(Path(model.application.weights))
    # The measure that stops trainings early decides them; any other one only judges them.
    stopping = {name for _, name in monitors(study.training, study.search)}
    for name, reference in study.problem.own_measures.items():
        if name in stopping:
            files[f"problem.measures.{name}"] = code_digest(split_reference(reference)[0])
    return digest(files)


@functools.cache
def package_digest() -> str:
    """Return a digest of gridfold's own part of it, as its files were when first asked for."""
    return hashlib.sha256(b"".join(module.read_bytes() for module in _modules())).hexdigest()


def _modules() -> Iterator[Path]:
    yield from sorted((_PACKAGE / "training").rglob("*.py"))
    yield from (_PACKAGE / name for name in OUTSIDE_THE_FOLDER)


def own_measures(study: Study) -> dict[str, OwnMeasure]:
    """Return the measures of the user's own, with digests of their code.

    It is no part of what trials depend on: a trial that was scored by other code keeps its
    predictions, and is scored again.
    """
    return {
        name: OwnMeasure(reference, code_digest(split_reference(reference)[0]))
        for name, reference in study.problem.own_measures.items()
    }
