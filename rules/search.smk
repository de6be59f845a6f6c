"""The search: which configurations each stage trains, and the job in which a tuner explores."""


# What a strategy draws is known while this is parsed; later stages go by the scores so far.
# The first need no job of their own on a cluster: their group is that of the data in the profiles.
rule choose:
    input:
        files=lambda wildcards: PLAN.source_files(wildcards.stage),
        trials=lambda wildcards: PLAN.source_tables(wildcards.stage),
    output:
        chosen=PATHS.stage("{stage}"),
    log:
        PATHS.log("choose", "{stage}"),
    benchmark:
        PATHS.benchmark("choose", "{stage}")
    group:
        lambda wildcards: None if PLAN.stage(wildcards.stage).sources else "data"
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.choice(wildcards.stage).text(),
    message:
        "Choosing the configurations of {wildcards.stage}"
    script:
        "../workflow/scripts/choose.py"


TUNER_PLACEMENT = PLAN.tuner_placement(site(workflow, "tune"))
TUNER_THREADS = PLAN.tuner_threads(CORES)


# A tuner decides what is explored while it trains, so one rule does both.
if PLAN.is_tuned:

    ruleorder: tune > choose
    ruleorder: tune > train

else:

    ruleorder: choose > tune
    ruleorder: train > tune


rule tune:
    input:
        data=PREPARED,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
        gate=GATE,
    output:
        chosen=PATHS.stage("explore"),
        trials=PATHS.shards / "explore-001.trials.parquet",
        epochs=PATHS.shards / "explore-001.epochs.parquet",
        predictions=PATHS.shards / "explore-001.predictions.parquet",
    log:
        PATHS.log("tune"),
    benchmark:
        PATHS.benchmark("tune")
    retries: RETRIES
    # Who starts workers is outside of the container, and they are in it.
    container:
        no_image if PLAN.has_tuner_workers else IMAGE
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
            PLAN.tuner_processes, threads, attempt
        ),
    params:
        request=lambda wildcards: REQUESTS.tune().text(),
        python=sys.executable if PLAN.has_tuner_workers else PYTHON,
        container=lambda wildcards: (
            container_command(workflow, IMAGE) if PLAN.has_tuner_workers else ""
        ),
        script=SCRIPTS / "tune.py",
        study=STUDY_ARGUMENTS,
        on_node=TUNER_PLACEMENT.processes_on_node,
    message:
        f"Searching with {PLAN.tuner_title}"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.launcher:q}"
        " --container={params.container:q} --log {log} --threads {threads}"
        " --remote {resources.remote} --on-node {params.on_node}"
        " --outputs {output}"


# What an asynchronous Hyperband trains, its jobs decide while they train, each whenever it has room:
# which files the rungs have is known when all are done.
if PLAN.is_asynchronous:

    ruleorder: close_rungs > choose
    ruleorder: close_rungs > train


rule train_rungs:
    input:
        begun=PLAN.begun_with,
        data=PREPARED,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
        gate=GATE,
    output:
        done=PATHS.rungs_job("{job}"),
    log:
        PATHS.log("train_rungs", "{job}"),
    benchmark:
        PATHS.benchmark("train_rungs", "{job}")
    wildcard_constraints:
        job=RUNGS_JOB_PATTERN,
    retries: RETRIES
    threads: PLAN.threads(CORES)
    resources:
        turn=1,
        attempt=lambda wildcards, attempt: attempt,
        # What the job must know though no parameter: a change of these trains nothing again.
        remote=int(workflow.remote_exec),
        workers=PLAN.fixed_workers,
        trials_per_gpu=PLAN.study.execution.trials_per_gpu,
        jobs=len(PLAN.rungs_jobs.names),
        trial_timeout=PLAN.study.execution.trial_timeout or 0,
        mem_mb=lambda wildcards, threads, attempt: SIZES.rungs_memory(threads, attempt),
        runtime=lambda wildcards, threads, attempt: SIZES.rungs_minutes(
            threads, attempt
        ),
    params:
        request=lambda wildcards: REQUESTS.rungs().text(),
        retries=PLAN.study.execution.retries,
    message:
        "Training what can be promoted or begins ({wildcards.job})"
    script:
        "../workflow/scripts/train_rungs.py"


rule close_rungs:
    input:
        jobs=expand(rules.train_rungs.output.done, job=PLAN.rungs_jobs.names),
        begun=PLAN.begun_with,
        manifest=rules.prepare_data.output.manifest,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        decisions=PATHS.decisions,
        stages=[PATHS.stage(stage.name) for stage in PLAN.rungs if stage.sources],
        trials=[PATHS.shard_tables(stage.slots[0])[0] for stage in PLAN.rungs],
        epochs=[PATHS.shard_tables(stage.slots[0])[1] for stage in PLAN.rungs],
        predictions=[PATHS.shard_tables(stage.slots[0])[2] for stage in PLAN.rungs],
    log:
        PATHS.log("close_rungs"),
    benchmark:
        PATHS.benchmark("close_rungs")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.rungs().text(),
    message:
        "Writing down what each rung has trained"
    script:
        "../workflow/scripts/close_rungs.py"
