"""Adapter of the rule `draw_search_figures`."""

from gridfold.jobs.script import hand_over

if __name__ == "__main__":
    hand_over(snakemake, "gridfold.workflow.rules.draw_search_figures")
