"""Adapter of the rule `fit_final`."""

from gridfold.final import job
from gridfold.jobs import fork_server

if __name__ == "__main__":
    fork_server.run(
        job.fit_final,
        str(snakemake.log[0]),
        snakemake.params.request,
        {name: str(file) for name, file in snakemake.input.items()},
        snakemake.threads,
        {name: str(file) for name, file in snakemake.output.items()},
        snakemake.resources.trial_timeout or None,
    )
