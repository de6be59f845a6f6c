"""Between Snakemake and the plan."""
