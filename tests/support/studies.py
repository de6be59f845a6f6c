"""Small studies to start from, as mappings and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gridfold.plan.loading import LoadedStudy, load_study
from gridfold.space.space import Configuration

# One line a section, so that a test can count lines.
TINY_LINES = {
    "study": "tiny",
    "data": "{source: iris}",
    "problem": "{type: multiclass}",
    "model": "{mlp: {units: 8}}",
    "training": "{epochs: 3}",
    "search": "{space: {mlp.units: [4, 8]}}",
    "resampling": "{method: kfold, folds: 2}",
}

MODEL_FILE = """
def build_model(hp):
    width = hp.Int("width", 4, 64)
    rate = hp.Float(name="rate", min_value=0.0, max_value=0.5)
    return width, rate


def build_silently(hp):
    return None
"""


def tiny_text(**sections: str | None) -> str:
    """Return the tiny study as text, with other text for some sections; None leaves one out."""
    lines = {**TINY_LINES, **sections}
    return "".join(f"{key}: {text}\n" for key, text in lines.items() if text is not None)


def tiny_study(**sections: Any) -> dict[str, Any]:
    """Return the tiny study with other sections; None leaves one out."""
    study = {**yaml.safe_load(tiny_text()), **sections}
    return {key: value for key, value in study.items() if value is not None}


class _Plain(yaml.SafeDumper):
    """Writes shared values out: studies have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_study(file: Path, study: dict[str, Any]) -> Path:
    """Write a study to `file` and return it."""
    file.write_text(yaml.dump(study, Dumper=_Plain, sort_keys=False), encoding="utf-8")
    return file


def load(folder: Path, study: dict[str, Any]) -> LoadedStudy:
    """Load a study through a file in `folder`."""
    return load_study([write_study(folder / "study.yaml", study)])


def configurations(folder: Path, study: dict[str, Any]) -> list[Configuration]:
    """Return the configurations that a study gives."""
    return load(folder, study).expansion.configurations


def axis_values(folder: Path, study: dict[str, Any], axis: str) -> list[Any]:
    """Return the value of one axis in each configuration that has it."""
    return [c.axes[axis] for c in configurations(folder, study) if axis in c.axes]
