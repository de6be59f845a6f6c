"""What rules share: the plan of the study, and paths."""

import contextlib
import sys
import time

from gridfold.cluster.allocation import Allocation
from gridfold.store import request_notes
from gridfold.jobs.fork_server import TABLES, SharedServer
from gridfold.paths import ARRAYS
from gridfold.plan.budget import write_order
from gridfold.plan.helping import write_help_order
from gridfold.plan.files import data_files
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.left_out import reopened_files
from gridfold.plan.plan import DISTRIBUTED_SHARD_PATTERN, SHARD_PATTERN
from gridfold.plan.resources import JobSizes
from gridfold.plan.stage_names import RUNGS_JOB_PATTERN, STAGE_PATTERN
from gridfold.workflow.bridge import (
    available_cores,
    bind_into_container,
    container_command,
    cores_of_a_job,
    greet,
    interpreter,
    keep_jobs_of_slurm,
    load_plan,
    monitor,
    say_advice,
    say_answer,
    say_budget,
    say_what_has_changed,
    say_what_is_left,
    scripts_folder,
    site,
    start_forks,
    start_forks_soon,
    study_arguments,
    take_records_out,
)

# The study is read by gridfold itself, not by `configfile:`. Snakemake would merge a user's file
# into the default one, so that the demo's axes would join every study, and would accept
# duplicate keys.
keep_jobs_of_slurm(workflow)
PLAN = load_plan(workflow, config)
bind_into_container(workflow, PLAN)
PATHS = PLAN.paths
CORES = available_cores(workflow)
FORKS = SharedServer()
TABLE_FORKS = SharedServer(TABLES)
start_forks_soon(workflow, PLAN, FORKS, TABLE_FORKS)
GPUS = bool(Allocation.of_job(1, remote=False).gpus)
# What each job must know, and what it asks for.
REQUESTS = JobRequests(PLAN)
SIZES = JobSizes(PLAN)
# What begins with a run and ends with it, beside the forks.
ENDING = contextlib.ExitStack()
# For rules that run a command: the interpreter, the scripts (not `workflow.source_path`, whose
# answer is another one in every run), and the study as it was given to Snakemake.
PYTHON = interpreter(workflow)
SCRIPTS = scripts_folder(workflow)
IMAGE = str(SCRIPTS.parent / "envs" / "gridfold.sif")
STUDY_ARGUMENTS = study_arguments(PLAN)
# On a cluster every job is a Snakemake of its own that reads these rules: only the main one may
# repeat a job, or it would be repeated in what is left of its allocation, and then again outside.
RETRIES = PLAN.study.execution.retries if workflow.is_main_process else 0
# Rules of a group share a job of a cluster, in which they run one after another
# (https://github.com/snakemake/snakemake/issues/4223). Snakemake would ask for the cores and the
# memory of all that could run side by side: so they take turns, and a job asks for its largest rule.
if CORES is None:
    workflow.register_resource("turn", 1)


# Each job has its own turns; other jobs of a cluster do not wait for them.
resource_scopes:
    turn="local",


wildcard_constraints:
    shard=f"{SHARD_PATTERN}|{DISTRIBUTED_SHARD_PATTERN}",
    stage=STAGE_PATTERN,


# What training waits for besides data and splits. (Not as `ancient`: Snakemake would forget all that
# follows training while this is made again.)
GATE = PATHS.audit_passed if PLAN.study.audit.fail_on else []


def placement(shard):
    """Return what the distributed job of a shard asks for on this site."""
    return PLAN.placement(shard, site(workflow, "train_distributed"))


def figure_files(titles):
    """Return the files of figures: `<name>_svg`, `<name>_png`, and their texts `<name>_words`."""
    files = {}
    for name, title in titles.items():
        files[f"{name}_svg"] = report(
            PATHS.figure(name, "svg"),
            caption=f"../workflow/report/{name}.rst",
            category="Figures",
            labels={"figure": title},
        )
        files[f"{name}_png"] = PATHS.figure(name, "png")
        files[f"{name}_words"] = PATHS.figure(name, "json")
    return files


def csv_files(names):
    """Return the CSV files of tables: `<name>_table`."""
    return {
        f"{name}_table": report(
            PATHS.table_csv(name),
            caption=f"../workflow/report/tables/{name}.rst",
            category="Tables",
            labels={"table": name},
        )
        for name in names
    }


def table_files(names):
    """Return the files of tables: `<name>` as Parquet and `<name>_table` as CSV."""
    return {name: PATHS.table(name) for name in names} | csv_files(names)


def started():
    """Do what every run begins with."""
    take_records_out(PLAN)
    start_forks(workflow, FORKS, TABLE_FORKS, PLAN.threads(CORES))
    PLAN.ledger.append_to(PATHS.ledger)
    PLAN.run.write(PATHS.last_run)
    write_order(PLAN, time.time())
    write_help_order(PLAN, REQUESTS, SIZES, has_queue=CORES is None)
    # Not before: jobs of a cluster read the rules, too, and of many trials this takes a second.
    progress = monitor(PLAN)
    progress.start()
    ENDING.callback(progress.stop)


def ended():
    """Do what every run ends with, good or bad."""
    FORKS.stop()
    TABLE_FORKS.stop()
    ENDING.close()
    request_notes.settle(PATHS.logs)
    say_what_has_changed(PLAN)


def no_image(wildcards):
    """Return that a job runs in no container, as where it starts containers itself."""
    return None


# Used with `--sdm apptainer`; built from workflow/envs/gridfold.def.
container: IMAGE
