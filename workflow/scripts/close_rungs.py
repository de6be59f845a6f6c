"""Adapter of the rule `close_rungs`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.close_rungs")
