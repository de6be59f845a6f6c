"""Adapter of the rule `draw_test_figures`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.draw_test_figures")
