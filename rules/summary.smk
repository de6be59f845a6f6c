"""From trials to an answer: collect, summarise, select, fit the final model."""

# All training rules write the same tables, so one pattern serves all shards.
SHARDS = SEARCH.all_shards
# Of a search in stages: all that it has trained, cheap trials included, and all configurations.
SEARCH_TABLES = (
    {
        "search": PATHS.tables / "search.parquet",
        "search_csv": report(
            PATHS.tables / "search.csv",
            caption="../workflow/report/search.rst",
            category="Tables",
            labels={"table": "search"},
        ),
        "search_trials": PATHS.tables / "search_trials.parquet",
        "catalogue": PATHS.search / "catalogue.json",
    }
    if PLAN.stages
    else {}
)


rule collect:
    input:
        trials=expand(rules.train.output.trials, shard=SHARDS),
        epochs=expand(rules.train.output.epochs, shard=SHARDS),
        stages=SEARCH.files,
    output:
        **SEARCH_TABLES,
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
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.collect_request(),
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
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.summary_request(),
    message:
        f"Summarising {len(PLAN.configurations)} configurations"
    script:
        "../workflow/scripts/summarise.py"


# Which configurations a search in stages has found is known when it is done.
CATALOGUE = {"catalogue": rules.collect.output.catalogue} if PLAN.stages else {}


# The final fit takes longest of what is left, and some figures wait for it. So what leads to it starts
# first (`priority`), and other figures are drawn beside it.
rule select_best:
    input:
        **CATALOGUE,
        configurations=rules.summarise.output.configurations,
        predictions=expand(
            rules.train.output.predictions, shard=SEARCH.answering_shards
        ),
    output:
        best=PATHS.tables / "best.json",
        predictions=PATHS.tables / "best_predictions.parquet",
    log:
        PATHS.log("select_best"),
    benchmark:
        PATHS.benchmark("select_best")
    priority: 2
    resources:
        turn=1,
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
    priority: 2
    retries: RETRIES
    threads: PLAN.rank_threads(PLAN.most_processes(), CORES)
    resources:
        turn=1,
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


# The models of the splits come from their checkpoints; run only where the study asks for them.
rule fit_ensemble:
    input:
        **CATALOGUE,
        best=rules.select_best.output.best,
        data=rules.prepare_data.output.features,
        splits=rules.make_splits.output.splits,
    output:
        models=expand(
            PATHS.final / "ensemble" / "{split}.keras", split=SEARCH.answering_splits
        ),
        preprocessing=expand(
            PATHS.final / "ensemble" / "{split}.json", split=SEARCH.answering_splits
        ),
        scores=PATHS.final / "ensemble.json",
    log:
        PATHS.log("fit_ensemble"),
    benchmark:
        PATHS.benchmark("fit_ensemble")
    priority: 2
    threads: PLAN.study.execution.threads_per_worker
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.ensemble_request(),
    message:
        f"Bringing the models of {len(SEARCH.answering_splits)} splits together"
    script:
        "../workflow/scripts/fit_ensemble.py"


FINAL_ENSEMBLE = (
    {"ensemble": rules.fit_ensemble.output.scores} if PLAN.study.final.ensemble else {}
)


rule fit_final:
    input:
        **CATALOGUE,
        **FINAL_TRAINING,
        **FINAL_ENSEMBLE,
        best=rules.select_best.output.best,
        data=rules.prepare_data.output.features,
        splits=rules.make_splits.output.splits,
    output:
        model=PATHS.final / "model.keras",
        preprocessing=PATHS.final / "preprocessing.json",
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
    priority: 2
    threads: PLAN.study.execution.threads_per_worker
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.final_request(),
    message:
        "Training the final model on all samples but the test set, and scoring it once"
    script:
        "../workflow/scripts/fit_final.py"
