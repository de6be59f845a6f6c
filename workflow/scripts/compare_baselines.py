"""Adapter of the rule `compare_baselines`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.compare_baselines")
