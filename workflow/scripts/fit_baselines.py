"""Adapter of the rule `fit_baselines`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.fit_baselines")
