"""Adapter of the rule `train_permuted`."""

from gridfold.final import job
from gridfold.jobs import fork_server

if __name__ == "__main__":
    fork_server.run(
        job.train_permuted,
        str(snakemake.log[0]),
        snakemake.params.request,
        {name: str(file) for name, file in snakemake.input.items()},
        snakemake.threads,
        str(snakemake.output.chance),
        snakemake.resources.trial_timeout or None,
    )
