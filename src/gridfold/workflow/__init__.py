"""Connects Snakemake with the plan: what the Snakefile and its rules ask for."""
