"""Adapter of the rule `estimate_nested`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.estimate_nested")
