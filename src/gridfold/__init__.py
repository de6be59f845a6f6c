"""Hyperparameter experiments with Keras as a Snakemake pipeline."""

from importlib.metadata import version

__version__ = version("gridfold")
