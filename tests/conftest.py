"""Fixtures that several test modules share."""

from distributed import horovod_here, mpi_here

__all__ = ["horovod_here", "mpi_here"]
