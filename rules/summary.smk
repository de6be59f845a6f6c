"""From trials to an answer: collect, summarise, select, fit the final model."""

# Both training rules write the same tables, so one pattern serves all shards.
SHARDS = list(PLAN.shards)


rule collect:
    input:
        trials=expand(rules.train.output.trials, shard=SHARDS),
        epochs=expand(rules.train.output.epochs, shard=SHARDS),
    output:
        trials=PATHS.tables / "trials.parquet",
        trials_csv=report(
            PATHS.tables / "trials.csv",
            caption="../workflow/report/trials.rst",
            category="Tables",
            labels={"table": "trials"},
        ),
        epochs=PATHS.tables / "epochs.parquet",
        jobs=PATHS.tables / "jobs.parquet",
        jobs_csv=report(
            PATHS.tables / "jobs.csv",
            caption="../workflow/report/jobs.rst",
            category="Tables",
            labels={"table": "jobs"},
        ),
    log:
        PATHS.log("collect"),
    benchmark:
        PATHS.benchmark("collect")
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.collect_request(),
        # Not an input: nothing is lost without it.
        records=str(PATHS.jobs),
    message:
        f"Collecting {len(PLAN.trials)} trials from {len(SHARDS)} shards"
    script:
        "../workflow/scripts/collect.py"


rule summarise:
    input:
        trials=rules.collect.output.trials,
    output:
        configurations=PATHS.tables / "configurations.parquet",
        configurations_csv=report(
            PATHS.tables / "configurations.csv",
            caption="../workflow/report/configurations.rst",
            category="Tables",
            labels={"table": "configurations"},
        ),
    log:
        PATHS.log("summarise"),
    benchmark:
        PATHS.benchmark("summarise")
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.summary_request(),
    message:
        f"Summarising {len(PLAN.configurations)} configurations"
    script:
        "../workflow/scripts/summarise.py"


rule select_best:
    input:
        configurations=rules.summarise.output.configurations,
        predictions=expand(rules.train.output.predictions, shard=SHARDS),
    output:
        best=PATHS.tables / "best.json",
        predictions=PATHS.tables / "best_predictions.parquet",
    log:
        PATHS.log("select_best"),
    benchmark:
        PATHS.benchmark("select_best")
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.summary_request(),
    message:
        f"Selecting a configuration by {PLAN.study.problem.ranking_measure}"
    script:
        "../workflow/scripts/select_best.py"


FINAL_PLACEMENT = PLAN.final_placement(site(workflow, "train_final"))


# The final model is trained as its configuration was: on several processes or devices, here.
# Which configuration wins is not known yet, so the job asks for as much as any of them needs.
rule train_final:
    input:
        best=rules.select_best.output.best,
        data=rules.prepare_data.output.features,
        splits=rules.make_splits.output.splits,
    output:
        record=PATHS.final / "trained.json",
    log:
        PATHS.log("train_final"),
    benchmark:
        PATHS.benchmark("train_final")
    retries: RETRIES
    threads: PLAN.rank_threads(PLAN.most_processes(), CORES)
    resources:
        launcher="auto",
        nodes=FINAL_PLACEMENT.nodes,
        tasks=FINAL_PLACEMENT.tasks,
        tasks_per_node=FINAL_PLACEMENT.tasks_per_node,
        tasks_per_gpu=0,
        mpi=FINAL_PLACEMENT.mpi,
        gres=FINAL_PLACEMENT.gres,
        mem_mb=lambda wildcards, attempt: SIZES.final_ranks_memory(
            FINAL_PLACEMENT.processes_on_node, attempt
        ),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.final_request(),
        python=PYTHON,
        script=SCRIPTS / "train_final.py",
        study=STUDY_ARGUMENTS,
    message:
        "Training the final model on several processes or devices, if it was selected so"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.launcher:q} --log {log}"
        " --best {input.best} --output {output.record}"


# Only where a configuration can have been trained so.
FINAL_TRAINING = (
    {"trained": rules.train_final.output.record} if PLAN.is_distributed else {}
)


rule fit_final:
    input:
        **FINAL_TRAINING,
        best=rules.select_best.output.best,
        data=rules.prepare_data.output.features,
        splits=rules.make_splits.output.splits,
    output:
        model=PATHS.final / "model.keras",
        predictions=PATHS.final / "test_predictions.parquet",
        card=PATHS.final / "card.json",
        card_text=report(
            PATHS.final / "card.md",
            caption="../workflow/report/card.rst",
            category="Model",
            labels={"file": "model card"},
        ),
        inside=PATHS.final / "inside.npz",
    log:
        PATHS.log("fit_final"),
    benchmark:
        PATHS.benchmark("fit_final")
    threads: PLAN.study.execution.threads_per_worker
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.final_request(),
    message:
        "Training the final model on all samples but the test set, and scoring it once"
    script:
        "../workflow/scripts/fit_final.py"
