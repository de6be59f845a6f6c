"""Hyperparameter experiments with Keras as a Snakemake pipeline."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Looked up when asked for: every job imports the package, and none asks.
    if name == "__version__":
        from importlib.metadata import version

        return version("gridfold")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
