"""Adapter of the rule `measure_scaling`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.measure_scaling")
