"""Hyperparameter experiments with Keras as a Snakemake pipeline.

The names below are what notebooks, models and Snakefiles of users import; all else may move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridfold.final.inputs import ModelInputs
    from gridfold.training.custom_loop import Trial
    from gridfold.training.loading import load_model
    from gridfold.workflow_files import workflow_path

    __version__: str

__all__ = ["ModelInputs", "Trial", "__version__", "load_model", "workflow_path"]

_HOMES = {
    "ModelInputs": "gridfold.final.inputs",
    "Trial": "gridfold.training.custom_loop",
    "load_model": "gridfold.training.loading",
    "workflow_path": "gridfold.workflow_files",
}


def __getattr__(name: str) -> Any:
    # Looked up when asked for: every job imports the package, and few ask.
    if name == "__version__":
        from importlib.metadata import version

        return version("gridfold")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
