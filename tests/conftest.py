"""Fixtures that several test modules share, and how the tests are dealt out to processes."""

import os

import pytest
from distributed import horovod_here, mpi_here
from repeating import pytest_terminal_summary
from workbench import ROOT

__all__ = ["horovod_here", "mpi_here", "pytest_terminal_summary"]

# What the tests of a folder do, in the order in which they begin: the first ones take longest.
_MARKERS = {
    "cluster": ("slurm", "workflow"),
    "workflow": ("workflow",),
    "jobs": ("jobs",),
    "browser": ("browser",),
}


def pytest_xdist_auto_num_workers() -> int:
    """Two more processes than cores: tests on the cluster mostly wait for it."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and let those that take long start first.

    A process takes whole files (``--dist loadfile``), in this order (``--no-loadscope-reorder``),
    so that no slow file is left for the end, alone in its process.
    """
    folders = list(_MARKERS)
    order = {}
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        order[item] = folders.index(folder) if folder in folders else len(folders)
        for marker in _MARKERS.get(folder, ()):
            item.add_marker(marker)
    items.sort(key=order.__getitem__)
