"""Adapter of the rule `train`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.train", ends_in_order=True)
