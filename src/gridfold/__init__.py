"""Hyperparameter experiments with Keras as a Snakemake pipeline."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Looked up when asked for: every job imports the package, and none asks.
    if name == "__version__":
        from importlib.metadata import version

        return version("gridfold")
    if name == "workflow_path":
        from gridfold.workflow_files import workflow_path

        return workflow_path
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
