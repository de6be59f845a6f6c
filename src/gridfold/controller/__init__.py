"""Runs studies unattended: submits Snakemake, keeps it alive, finds it and stops it."""
