"""What rules share: the plan of the study, and paths."""

from gridfold.plan import SHARD_PATTERN
from gridfold.workflow import available_cores, load_plan, monitor, say_answer

# The study is read by gridfold itself, not by `configfile:`. Snakemake would merge a user's file
# into the default one, so that the demo's axes would join every study, and would accept
# duplicate keys.
PLAN = load_plan(workflow)
PATHS = PLAN.paths
CORES = available_cores(workflow)
MONITOR = monitor(PLAN)


wildcard_constraints:
    shard=SHARD_PATTERN,


def figure_files(titles):
    """Return the files of figures: `<name>_svg`, `<name>_png`, and their texts `<name>_words`."""
    files = {}
    for name, title in titles.items():
        files[f"{name}_svg"] = report(
            PATHS.figures / f"{name}.svg",
            caption=f"../workflow/report/{name}.rst",
            category="Figures",
            labels={"figure": title},
        )
        files[f"{name}_png"] = PATHS.figures / f"{name}.png"
        files[f"{name}_words"] = PATHS.figures / f"{name}.json"
    return files
