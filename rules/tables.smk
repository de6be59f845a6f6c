"""From trials to an answer: collect, summarise, select, compare, also with baselines."""

# All training rules write the same tables, so one pattern serves all shards.
SHARDS = PLAN.search_shards
COMPARISON_FIGURES = {
    "critical_difference": "Critical differences of mean ranks",
    "importance": "Importance of the axes",
}
COMPARISON_TABLES = ("comparisons", "scientific", "importance")
# Only of a search with a budget.
BUDGET_FILES = (
    {
        "budget": PATHS.budget_outcome,
        "left_out": PATHS.table("left_out"),
        "left_out_csv": report(
            PATHS.table_csv("left_out"),
            caption="../workflow/report/left_out.rst",
            category="Tables",
            labels={"table": "left_out"},
        ),
    }
    if PLAN.study.search.budget
    else {}
)
FRONT_FIGURES = {"front": "Pareto front"}
# What a race over the splits has left behind.
RACE_TABLE = (
    {
        "race": PATHS.table("race"),
        "race_csv": report(
            PATHS.table_csv("race"),
            caption="../workflow/report/race.rst",
            category="Tables",
            labels={"table": "race"},
        ),
    }
    if PLAN.races
    else {}
)
SCALING_FIGURES = {"scaling": "Speed against the number of replicas"}


rule collect:
    input:
        trials=expand(rules.train.output.trials, shard=SHARDS),
        epochs=expand(rules.train.output.epochs, shard=SHARDS),
        stages=PLAN.stage_files,
    output:
        **BUDGET_FILES,
        **RACE_TABLE,
        catalogue=PATHS.catalogue,
        trials=PATHS.table("trials"),
        trials_csv=report(
            PATHS.table_csv("trials"),
            caption="../workflow/report/trials.rst",
            category="Tables",
            labels={"table": "trials"},
        ),
        epochs=PATHS.table("epochs"),
        search=PATHS.table("search"),
        search_csv=report(
            PATHS.table_csv("search"),
            caption="../workflow/report/search.rst",
            category="Tables",
            labels={"table": "search"},
        ),
        search_trials=PATHS.table("search_trials"),
        jobs=PATHS.table("jobs"),
        jobs_csv=report(
            PATHS.table_csv("jobs"),
            caption="../workflow/report/jobs.rst",
            category="Tables",
            labels={"table": "jobs"},
        ),
    log:
        PATHS.log("collect"),
    benchmark:
        PATHS.benchmark("collect")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.collect().text(),
        # Not an input: nothing is lost without it.
        records=str(PATHS.jobs),
    message:
        f"Collecting the trials of {len(SHARDS)} shards"
    script:
        "../workflow/scripts/collect.py"


rule summarise:
    input:
        trials=rules.collect.output.trials,
    output:
        configurations=PATHS.table("configurations"),
        configurations_csv=report(
            PATHS.table_csv("configurations"),
            caption="../workflow/report/configurations.rst",
            category="Tables",
            labels={"table": "configurations"},
        ),
    log:
        PATHS.log("summarise"),
    benchmark:
        PATHS.benchmark("summarise")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.summary().text(),
    message:
        f"Summarising {len(PLAN.configurations)} configurations"
    script:
        "../workflow/scripts/summarise.py"


# The final fit takes longest of what is left, and some figures wait for it. So what leads to it starts
# first (`priority`), and other figures are drawn beside it.
rule select_best:
    input:
        catalogue=rules.collect.output.catalogue,
        trials=rules.collect.output.trials,
        search_trials=rules.collect.output.search_trials,
        configurations=rules.summarise.output.configurations,
        predictions=expand(rules.train.output.predictions, shard=PLAN.answering_shards),
        explored=(
            expand(rules.train.output.predictions, shard=SHARDS)
            if PLAN.is_staged
            else []
        ),
        targets=rules.prepare_data.output.targets,
        groups=rules.prepare_data.output.groups,
    output:
        best=PATHS.best,
        predictions=PATHS.out_of_fold,
    log:
        PATHS.log("select_best"),
    benchmark:
        PATHS.benchmark("select_best")
    priority: 2
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.comparison_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.comparison().text(),
    message:
        f"Selecting a configuration by {PLAN.study.problem.ranking_measure}"
    script:
        "../workflow/scripts/select_best.py"


# Also while the final model is trained: nothing that trains waits for it.
rule compare_configurations:
    input:
        trials=rules.collect.output.trials,
        configurations=rules.summarise.output.configurations,
        search_trials=rules.collect.output.search_trials,
        best=rules.select_best.output.best,
    output:
        **figure_files(COMPARISON_FIGURES),
        **table_files(COMPARISON_TABLES),
        facts=PATHS.comparison,
    log:
        PATHS.log("compare_configurations"),
    benchmark:
        PATHS.benchmark("compare_configurations")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.comparison_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.comparison().text(),
    message:
        f"Comparing {len(PLAN.configurations)} configurations"
    script:
        "../workflow/scripts/compare_configurations.py"


# Only of studies with several objectives, constraints, or a rule that selects.
rule find_front:
    input:
        trials=rules.collect.output.trials,
        configurations=rules.summarise.output.configurations,
    output:
        **figure_files(FRONT_FIGURES),
        table=PATHS.table("pareto"),
        table_csv=report(
            PATHS.table_csv("pareto"),
            caption="../workflow/report/pareto.rst",
            category="Tables",
            labels={"table": "pareto"},
        ),
    log:
        PATHS.log("find_front"),
    benchmark:
        PATHS.benchmark("find_front")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.summary().text(),
    message:
        "Finding the Pareto front"
    script:
        "../workflow/scripts/find_front.py"


# Only of studies that compare world sizes.
rule measure_scaling:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
    output:
        **figure_files(SCALING_FIGURES),
        table=PATHS.table("scaling"),
        table_csv=report(
            PATHS.table_csv("scaling"),
            caption="../workflow/report/scaling.rst",
            category="Tables",
            labels={"table": "scaling"},
        ),
    log:
        PATHS.log("measure_scaling"),
    benchmark:
        PATHS.benchmark("measure_scaling")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.scaling().text(),
    message:
        "Comparing the speed of different world sizes"
    script:
        "../workflow/scripts/measure_scaling.py"


# Baselines: simple learners on the same splits. Beside the training: nothing waits for it but the comparison at the end.
rule fit_baselines:
    input:
        manifest=rules.prepare_data.output.manifest,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        **table_files(["baseline_fits"]),
    log:
        PATHS.log("fit_baselines"),
    benchmark:
        PATHS.benchmark("fit_baselines")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.baselines_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.baselines_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.baselines().text(),
    message:
        f"Fitting baselines on {len(PLAN.answering_splits)} splits"
    script:
        "../workflow/scripts/fit_baselines.py"


rule compare_baselines:
    input:
        fits=rules.fit_baselines.output.baseline_fits,
        trials=rules.collect.output.trials,
        best=rules.select_best.output.best,
    output:
        **table_files(["baselines"]),
    log:
        PATHS.log("compare_baselines"),
    benchmark:
        PATHS.benchmark("compare_baselines")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.compared_baselines().text(),
    message:
        "Comparing the selected configuration with the baselines"
    script:
        "../workflow/scripts/compare_baselines.py"
