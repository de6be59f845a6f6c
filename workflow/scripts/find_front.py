"""Adapter of the rule `find_front`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.find_front")
