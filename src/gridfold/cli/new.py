"""`gridfold new` writes a folder with a study that runs at once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from gridfold.errors import GridfoldError
from gridfold.workflow_files import workflow_files

_TEMPLATE = Path(__file__).parent / "project-template"
_PLACEHOLDER = "__STUDY__"
_PROFILES = ("default", "slurm")
_SCHEMA = "study.schema.json"
# Hatch, and git in this repository, would take it for their own.
_RENAMED = {"gitignore": ".gitignore"}


class ProjectExists(GridfoldError):
    """Files that `gridfold new` would have to overwrite."""


def create(folder: Path) -> list[Path]:
    """Write study, model, data, Snakefile, profiles and README into `folder`.

    Parameters
    ----------
    folder : Path
        New, or without any of these files. The study gets its name.

    Returns
    -------
    list of Path
        What was written, relative to `folder`.

    Raises
    ------
    ProjectExists
        When one of the files is there already; nothing is written then.
    """
    texts = _texts(_study_name(folder))
    profiles = [Path("profiles", name, "config.yaml") for name in _PROFILES]
    link = Path("slurm")
    there = [name for name in (*texts, *profiles, link) if _exists(folder / name)]
    if there:
        raise ProjectExists(
            f"{folder} already has {', '.join(map(str, there))}; nothing was written. "
            "Name another directory."
        )
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name in profiles:
        (folder / name).parent.mkdir(parents=True)
        shutil.copyfile(workflow_files() / name, folder / name)
    # `--profile slurm` looks for a folder of that name beside the Snakefile.
    (folder / link).symlink_to("profiles/slurm")
    return [*texts, *profiles, link]


def _texts(study: str) -> dict[Path, str]:
    from gridfold import reference

    texts = {
        Path(_RENAMED.get(file.name, file.name)): file.read_text(encoding="utf-8").replace(
            _PLACEHOLDER, study
        )
        for file in sorted(_TEMPLATE.iterdir())
        if file.is_file()
    }
    texts[Path(_SCHEMA)] = reference.generated_files()[f"config/{_SCHEMA}"]
    return texts


def _study_name(folder: Path) -> str:
    """Return the name of the folder in the letters that a study's name may have."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")
    return name[:63] or "study"


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
