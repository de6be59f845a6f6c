"""Adapter of the rule `fit_ensemble`."""

from gridfold.final import job
from gridfold.jobs import fork_server

if __name__ == "__main__":
    files = snakemake.output
    fork_server.run(
        job.fit_ensemble,
        str(snakemake.log[0]),
        snakemake.params.request,
        {name: str(file) for name, file in snakemake.input.items()},
        snakemake.threads,
        (list(map(str, files.models)), list(map(str, files.preprocessing)), str(files.scores)),
    )
