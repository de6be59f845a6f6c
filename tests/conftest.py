"""Fixtures that several test modules share, and how the tests are dealt out to processes."""

import gc
import math
import os
from pathlib import Path

import daily
import pytest
from distributed import horovod_here, mpi_here
from hypothesis import settings
from repeating import pytest_terminal_summary
from workbench import ROOT
from xdist.workermanage import WorkerController

__all__ = ["horovod_here", "mpi_here", "pytest_terminal_summary"]

# Examples that hypothesis makes up: the same in each run, and without a clock. `make properties`
# looks for new ones.
settings.register_profile(
    "usual", deadline=None, derandomize=True, max_examples=50, stateful_step_count=15
)
settings.register_profile("deep", deadline=None, max_examples=3000, stateful_step_count=100)
settings.load_profile("usual")

# What the tests of a folder do. Each file of these folders takes minutes.
_MARKERS = {
    "cluster": ("slurm", "workflow"),
    "workflow": ("workflow",),
    "jobs": ("jobs",),
    "browser": ("browser",),
    "faults": ("faults",),
}

# The packages whose unit tests really train, or start processes of their own.
_SLOW_PACKAGES = ("unit/search", "unit/training", "unit/environment", "unit/jobs", "unit/final")


def pytest_configure() -> None:
    """Choose the day whose tests run."""
    daily.fix_day()


def pytest_xdist_auto_num_workers() -> int:
    """Two more processes than cores: tests on the cluster mostly wait for it."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_finish() -> None:
    """Keep what all test modules have imported, millions of objects, out of garbage collections."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: WorkerController) -> None:
    """End the run if a file of tests can't be imported, which xdist reports after all others."""
    if node.config.pluginmanager.get_plugin("terminalreporter").stats.get("error"):
        pytest.exit("files of tests can't be imported", pytest.ExitCode.INTERRUPTED)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder, keep those of the day, and mix waiting ones with computing ones.

    A process takes whole files (``--dist loadfile``), in this order (``--no-loadscope-reorder``):
    the longest file of each slow folder, then the second of each, then the slow packages of the
    unit tests, and what is quick at the end, so that no slow file is left alone.
    """
    config.hook.pytest_deselected(items=daily.select(items))
    files: dict[str, list[Path]] = {folder: [] for folder in (*_MARKERS, *_SLOW_PACKAGES)}
    for item in items:
        folder = _folder(item)
        for marker in _MARKERS.get(folder, ()):
            item.add_marker(marker)
        if folder in files and item.path not in files[folder]:
            files[folder].append(item.path)
    for paths in files.values():
        paths.sort(key=lambda path: path.stat().st_size, reverse=True)

    def turn(item: pytest.Item) -> tuple[bool, float]:
        folder = _folder(item)
        slow = files.get(folder)
        return folder not in _MARKERS, slow.index(item.path) if slow else math.inf

    items.sort(key=turn)


def _folder(item: pytest.Item) -> str:
    """Return the folder below ``tests``, of a unit test with its package."""
    first, second, *_ = item.path.relative_to(ROOT / "tests").parts
    return f"{first}/{second}" if first == "unit" else first
