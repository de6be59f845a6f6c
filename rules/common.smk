"""What rules share: the plan of the study, and paths."""

import sys
from pathlib import Path

from gridfold.plan import DISTRIBUTED_SHARD_PATTERN, SINGLE_SHARD_PATTERN
from gridfold.resources import JobSizes
from gridfold.workflow import (
    available_cores,
    load_plan,
    monitor,
    say_advice,
    say_answer,
    say_what_is_left,
    site,
    study_arguments,
)

# The study is read by gridfold itself, not by `configfile:`. Snakemake would merge a user's file
# into the default one, so that the demo's axes would join every study, and would accept
# duplicate keys.
PLAN = load_plan(workflow)
PATHS = PLAN.paths
CORES = available_cores(workflow)
SIZES = JobSizes(PLAN)
MONITOR = monitor(PLAN)
# For rules that run a command: this interpreter, the scripts (not `workflow.source_path`, whose
# answer is another one in every run), and the study as it was given to Snakemake.
PYTHON = sys.executable
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
STUDY_ARGUMENTS = study_arguments(PLAN)
# On a cluster every job is a Snakemake of its own that reads these rules: only the main one may
# repeat a job, or it would be repeated in what is left of its allocation, and then again outside.
RETRIES = PLAN.study.execution.retries if workflow.is_main_process else 0


wildcard_constraints:
    shard=f"{SINGLE_SHARD_PATTERN}|{DISTRIBUTED_SHARD_PATTERN}",


def placement(shard):
    """Return what the distributed job of a shard asks for on this site."""
    return PLAN.placement(shard, site(workflow, "train_distributed"))


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


def table_files(names):
    """Return the CSV files of tables: `<name>_table`."""
    return {
        f"{name}_table": report(
            PATHS.tables / f"{name}.csv",
            caption=f"../workflow/report/tables/{name}.rst",
            category="Tables",
            labels={"table": name},
        )
        for name in names
    }
