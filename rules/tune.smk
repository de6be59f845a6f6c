"""A search with Keras Tuner: one job that asks an oracle, or its workers do."""

TUNER_PLACEMENT = SEARCH.tuner_placement(site(workflow, "tune"))
TUNER_THREADS = SEARCH.tuner_threads(CORES)


# A tuner decides what is explored while it trains, so one rule does both.
if SEARCH.is_tuned:

    ruleorder: tune > explore
    ruleorder: tune > train_stage

else:

    ruleorder: explore > tune
    ruleorder: train_stage > tune


rule tune:
    input:
        data=rules.prepare_data.output.features,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
    output:
        chosen=SEARCH.file("explore"),
        trials=PATHS.shards / "explore-001.trials.parquet",
        epochs=PATHS.shards / "explore-001.epochs.parquet",
        predictions=PATHS.shards / "explore-001.predictions.parquet",
    log:
        PATHS.log("tune"),
    benchmark:
        PATHS.benchmark("tune")
    retries: RETRIES
    threads: TUNER_THREADS
    resources:
        turn=1,
        launcher="auto",
        remote=int(CORES is None),
        nodes=TUNER_PLACEMENT.nodes,
        tasks=TUNER_PLACEMENT.tasks,
        tasks_per_node=TUNER_PLACEMENT.tasks_per_node,
        # Tasks and GPUs are counted by node; the executor would also count tasks by GPU.
        tasks_per_gpu=0,
        mpi=TUNER_PLACEMENT.mpi,
        gres=TUNER_PLACEMENT.gres,
        mem_mb=lambda wildcards, threads, attempt: SIZES.tune_memory(
            TUNER_PLACEMENT.processes_on_node, threads, attempt
        ),
        runtime=lambda wildcards, threads, attempt: SIZES.tune_minutes(
            SEARCH.tuner_processes, threads, attempt
        ),
    params:
        request=lambda wildcards: SEARCH.tune_request(),
        python=PYTHON,
        script=SCRIPTS / "tune.py",
        study=STUDY_ARGUMENTS,
        on_node=TUNER_PLACEMENT.processes_on_node,
    message:
        "Searching with Keras Tuner"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.launcher:q} --log {log}"
        " --threads {threads} --remote {resources.remote} --on-node {params.on_node}"
        " --outputs {output}"
