"""Which nodes, tasks and GPUs a distributed job asks for."""

from __future__ import annotations

import pytest

from gridfold.cluster.placement import Placement, Site
from gridfold.cluster.slurm import Node, ranks_on, slurm_variables


@pytest.mark.parametrize(
    ("processes", "per_node", "nodes", "tasks", "tasks_per_node"),
    [
        (2, 0, 1, 2, None),
        (4, 4, 1, 4, None),
        (4, 2, 2, None, 2),
        # Evenly, though one node could take four.
        (6, 4, 2, None, 3),
        # The executor refuses one task on each node.
        (2, 1, 2, 2, None),
        (5, 4, 2, 5, None),
        (1, 4, 1, 1, None),
    ],
)
def test_processes_fill_as_few_nodes_as_hold_them(
    processes: int, per_node: int, nodes: int, tasks: int | None, tasks_per_node: int | None
) -> None:
    asked = Placement(processes, processes, Site(ranks_per_node=per_node))
    assert (asked.nodes, asked.tasks, asked.tasks_per_node) == (nodes, tasks, tasks_per_node)
    assert asked.mpi == ("mpi" if processes > 1 else None)


def test_gpus_are_counted_by_node() -> None:
    site = Site(ranks_per_node=2, gpus_per_replica=1)
    assert Placement(4, 4, site).gres == "gpu:2"
    assert Placement(1, 4, site).gres == "gpu:4", "one process holds all replicas"
    assert Placement(2, 2, Site(2, 1, "v100")).gres == "gpu:v100:2"
    assert Placement(4, 4, Site()).gres is None


def test_a_site_is_what_the_profile_writes() -> None:
    said = {"ranks_per_node": "4", "gpus_per_replica": 1, "slurm_partition": "gpu"}
    assert Site.of(said) == Site(4, 1, "")


def test_ranks_are_spread_over_nodes_as_far_as_their_cores_allow() -> None:
    assert ranks_on([Node("c1", 40), Node("c2", 40)], 4) == [2, 2]
    assert ranks_on([Node("c1", 3), Node("c2", 1)], 4) == [3, 1]
    assert ranks_on([Node("c1", 1)], 3) == [3]


def test_launchers_learn_the_nodes_in_slurms_own_words() -> None:
    variables = slurm_variables("7", [Node("c1", 2), Node("c2", 2)], 4)
    assert variables["SLURM_NODELIST"] == "c1,c2"
    assert variables["SLURM_TASKS_PER_NODE"] == "2,2"
    assert variables["SLURM_NNODES"] == "2"
