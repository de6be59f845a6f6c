"""From trials to an answer: collect, summarise, select, fit the final model."""

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
    log:
        PATHS.log("collect"),
    benchmark:
        PATHS.benchmark("collect")
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.collect_request(),
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


rule fit_final:
    input:
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
