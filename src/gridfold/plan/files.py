"""The files that a study reads: its data and the user's code."""

from __future__ import annotations

import os
from pathlib import Path

from gridfold.data.sources.arrays import npy_files
from gridfold.imagefolders import all_class_folders
from gridfold.study import Study
from gridfold.usercode.digests import local_modules
from gridfold.usercode.functions import split_reference


def data_files(study: Study) -> dict[str, list[str]]:
    """Return the data files whose change must be noticed, as inputs of a rule.

    Of a folder of images, the folders of its classes: they change when files come and go.
    """
    data = study.data
    paths = [getattr(data, key, None) for key in ("path", "test_path")]
    files = [path for path in paths if path is not None]
    if data.source == "images":
        files += [
            str(folder)
            for path in files
            if os.path.isdir(path)
            for folder in all_class_folders(Path(path))
        ]
    if data.source == "npy":
        names = (data.features, data.targets)
        files += [str(file) for name in names for file in npy_files(Path(data.path), name)]
    return {"source": files} if files else {}


def code_files(study: Study) -> list[Path]:
    """Return the user's files that jobs import or run, with the modules beside them."""
    code = [*study.model.own_code, *study.problem.own_code]
    if study.data.source == "python":
        code.append(split_reference(study.data.function)[0])
    beside = [module for file in code for module in local_modules(file)]
    notebook = study.report.notebook
    return [*code, *beside, *([Path(notebook)] if isinstance(notebook, str) else [])]


def large_files(study: Study) -> list[Path]:
    """Return the files of saved models and weights that models begin with."""
    files = [
        study.model.application and study.model.application.weights,
        study.model.saved and study.model.saved.path,
    ]
    return [Path(file) for file in files if file]


def read_files(study: Study) -> list[Path]:
    """Return the files of data, models and functions that jobs read."""
    data = map(Path, data_files(study).get("source", []))
    return [*data, *code_files(study), *large_files(study)]
