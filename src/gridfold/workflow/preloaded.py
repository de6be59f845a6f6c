"""The fork server of tables, figures and reports imports this module before it forks."""

from importlib import import_module

from gridfold.jobs.frozen_imports import lasting
from gridfold.workflow import rules

with lasting():
    for name in sorted(rules.NAMES):
        import_module(f"{rules.__name__}.{name}")
