"""Fixtures that several test modules share, and how the tests are dealt out to processes."""

import os

import pytest
from distributed import horovod_here, mpi_here

__all__ = ["horovod_here", "mpi_here"]

# Files with tests of these kinds take minutes each; the first kind takes longest.
_SLOW_KINDS = ("slurm", "workflow", "browser")


def pytest_xdist_auto_num_workers() -> int:
    """One more process than cores: tests on the cluster mostly wait for it."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let slow files start first, so that none of them is left for the end, alone in its process.

    A process takes whole files (``--dist loadfile``), in this order (``--no-loadscope-reorder``).
    """
    ranks = {item.path: len(_SLOW_KINDS) for item in items}
    for item in items:
        for rank, kind in enumerate(_SLOW_KINDS):
            if item.get_closest_marker(kind):
                ranks[item.path] = min(ranks[item.path], rank)
    items.sort(key=lambda item: ranks[item.path])
