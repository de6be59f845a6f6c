"""Adapter of the rule `fit_final`."""

from gridfold import finaljob, forkserver

if __name__ == "__main__":
    forkserver.run(
        finaljob.fit_final,
        str(snakemake.log[0]),
        snakemake.params.request,
        {name: str(file) for name, file in snakemake.input.items()},
        snakemake.threads,
        {name: str(file) for name, file in snakemake.output.items()},
    )
