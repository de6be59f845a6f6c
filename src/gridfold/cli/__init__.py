"""`gridfold VERB` begins a study, looks at it or uses it when it is finished; Snakemake runs it."""
