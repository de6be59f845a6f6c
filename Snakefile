"""gridfold: one study file in, one report out. The phases are in rules/, the work in src/gridfold."""

from snakemake.utils import min_version

min_version("9.27")


# The first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


# Used with `--sdm apptainer`; built from workflow/envs/gridfold.def.
container: "workflow/envs/gridfold.sif"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/summary.smk"
include: "rules/benchmark.smk"
include: "rules/model.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        report=rules.report.output.html,
        model=rules.fit_final.output.model,


onstart:
    PLAN.ledger.append_to(PATHS.ledger)
    MONITOR.start()


onsuccess:
    MONITOR.stop()
    say_answer(PLAN)


onerror:
    MONITOR.stop()
    say_what_is_left(PLAN)
    say_advice(log)
