"""A placement says on which nodes and GPUs the processes of a distributed job run.

The study says how many replicas a configuration has, the profile of a site what a node holds; the
numbers that a scheduler wants follow from both. They differ from shard to shard, since the world
size can be an axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Site:
    """What a profile says about nodes, with `set-resources` of a rule.

    Attributes
    ----------
    ranks_per_node : int
        Processes that one node takes; 0 for all of them, so that a job never leaves its node.
    gpus_per_replica : int
        1 where every replica shall have a GPU, 0 without GPUs.
    gpu_type : str
        Which GPU, where a site has several kinds, as ``v100``.
    """

    ranks_per_node: int = 0
    gpus_per_replica: int = 0
    gpu_type: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Site:
        """Return the site that the resources of a rule describe; unknown ones are ignored."""
        return cls(
            int(settings.get("ranks_per_node") or 0),
            int(settings.get("gpus_per_replica") or 0),
            str(settings.get("gpu_type") or ""),
        )


@dataclass(frozen=True)
class Placement:
    """What one distributed job asks for.

    Resources that are None are not asked for: an empty ``mpi`` or ``gres`` would be an answer, too.

    Attributes
    ----------
    processes : int
        Processes that the launcher starts; 1 where one process holds all replicas.
    replicas : int
        Replicas of the model, over all processes.
    site : Site
        What the profile says about nodes.
    """

    processes: int
    replicas: int
    site: Site

    @classmethod
    def of(cls, settings: Mapping[str, Any], site: Site) -> Placement:
        """Return what training a configuration with these settings asks for."""
        parallel = settings["training"].get("distribution")
        return cls(processes(settings), parallel["world_size"] if parallel else 1, site)

    @property
    def nodes(self) -> int:
        """As few nodes as hold all processes."""
        return math.ceil(self.processes / (self.site.ranks_per_node or self.processes))

    @property
    def processes_on_node(self) -> int:
        """Processes on the node that has the most of them."""
        return math.ceil(self.processes / self.nodes)

    @property
    def tasks(self) -> int | None:
        """Processes in all, unless they are counted by node."""
        return None if self.tasks_per_node else self.processes

    @property
    def tasks_per_node(self) -> int | None:
        """Processes on each of several nodes; Slurm would put three on one and one on the other."""
        each, rest = divmod(self.processes, self.nodes)
        # The executor refuses one task on each node; as many tasks as nodes say the same.
        return each if self.nodes > 1 and each > 1 and not rest else None

    @property
    def mpi(self) -> str | None:
        """That the command of the job starts other processes itself."""
        return "mpi" if self.processes > 1 else None

    @property
    def gres(self) -> str | None:
        """GPUs of each node; a number for the whole job could be split in any way."""
        on_node = math.ceil(self.replicas / self.nodes) * self.site.gpus_per_replica
        kind = f"gpu:{self.site.gpu_type}" if self.site.gpu_type else "gpu"
        return f"{kind}:{on_node}" if on_node else None


def processes(settings: Mapping[str, Any]) -> int:
    """Return how many processes train a configuration together.

    Parameters
    ----------
    settings : mapping
        The settings of a configuration.
    """
    parallel = settings["training"].get("distribution")
    if parallel is None or parallel["backend"] == "mirrored":
        return 1
    world_size: int = parallel["world_size"]
    return world_size
