"""A cluster for all tests of one process that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import slurmcluster
from clones import new_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurmcluster.SlurmCluster]:
    with new_cluster(accounting=True) as running:
        yield running
