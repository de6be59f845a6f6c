"""Adapter of the rule `train_rungs`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.train_rungs", ends_in_order=True)
