"""gridfold: one study file in, one report out. The phases are in rules/, the work in src/gridfold."""

from snakemake.utils import min_version

from gridfold.workflow.earlier_run import drop_outdated
from gridfold.workflow.growth import grow_by_cause

min_version("9.27")


# The first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/search.smk"
include: "rules/tables.smk"
include: "rules/nested.smk"
include: "rules/final.smk"
include: "rules/figures.smk"
include: "rules/audit.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        report=rules.report.output.html,
        # Snakemake looks only for files that are asked for: one that was deleted is made again.
        results=HANDED_ON,
        description=rules.describe_run.output,


# All rules are known here.
grow_by_cause(workflow)
OUTDATED = drop_outdated(workflow, PATHS.logs, reopened_files(PLAN))
greet(workflow, PLAN, is_outdated=OUTDATED)


onstart:
    started()


onsuccess:
    ended()
    say_answer(PLAN)
    say_budget(PLAN)


onerror:
    ended()
    say_what_is_left(PLAN)
    say_advice(log)
