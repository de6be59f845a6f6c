"""Training: one job for each shard; what a job knows stays in the run store if it fails."""


# Which trials fall to a slot of a stage says a file; all other trials are known beforehand.
rule train:
    input:
        chosen=lambda wildcards: PLAN.deciding_file(wildcards.shard),
        data=PREPARED,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
        gate=GATE,
    output:
        trials=PATHS.shards / "{shard}.trials.parquet",
        epochs=PATHS.shards / "{shard}.epochs.parquet",
        predictions=PATHS.shards / "{shard}.predictions.parquet",
    log:
        PATHS.log("train", "{shard}"),
    benchmark:
        PATHS.benchmark("train", "{shard}")
    wildcard_constraints:
        shard=SHARD_PATTERN,
    retries: RETRIES
    threads: lambda wildcards: PLAN.shard_threads(wildcards.shard, CORES, has_gpus=GPUS)
    resources:
        turn=1,
        attempt=lambda wildcards, attempt: attempt,
        # What the job must know though no parameter: a change of these trains nothing again.
        remote=int(workflow.remote_exec),
        # For people: the message, and Slurm's name of the job.
        trains=lambda wildcards: PLAN.trains(wildcards.shard),
        trained=lambda wildcards: PLAN.trained(wildcards.shard),
        workers=PLAN.fixed_workers,
        trials_per_gpu=PLAN.study.execution.trials_per_gpu,
        trial_timeout=PLAN.study.execution.trial_timeout or 0,
        mem_mb=lambda wildcards, threads, attempt: SIZES.train_memory(
            wildcards.shard, threads, attempt
        ),
        runtime=lambda wildcards, threads, attempt: SIZES.train_minutes(
            wildcards.shard, threads, attempt
        ),
    params:
        request=lambda wildcards: REQUESTS.train(wildcards.shard).text(),
        retries=PLAN.study.execution.retries,
    message:
        "Training {resources.trains} ({resources.trained})"
    script:
        "../workflow/scripts/train.py"


# Configurations with more than one replica. The command starts the ranks with the launcher that
# the resource `launcher` names; a profile may set it (`srun --mpi=pmix`), and what a node holds
# (`ranks_per_node`, `gpus_per_replica`, `gpu_type`). What is None is not asked for.
rule train_distributed:
    input:
        data=PREPARED,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
        gate=GATE,
    output:
        trials=PATHS.shards / "{shard}.trials.parquet",
        epochs=PATHS.shards / "{shard}.epochs.parquet",
        predictions=PATHS.shards / "{shard}.predictions.parquet",
    log:
        PATHS.log("train_distributed", "{shard}"),
    benchmark:
        PATHS.benchmark("train_distributed", "{shard}")
    wildcard_constraints:
        shard=DISTRIBUTED_SHARD_PATTERN,
    retries: RETRIES
    # Whoever starts the ranks is outside of the container, and they are in it.
    container:
        no_image
    threads: lambda wildcards: PLAN.rank_threads(PLAN.processes(wildcards.shard), CORES)
    resources:
        turn=1,
        attempt=lambda wildcards, attempt: attempt,
        trains=lambda wildcards: PLAN.trains(wildcards.shard),
        trained=lambda wildcards: PLAN.trained(wildcards.shard),
        launcher="auto",
        nodes=lambda wildcards: placement(wildcards.shard).nodes,
        tasks=lambda wildcards: placement(wildcards.shard).tasks,
        tasks_per_node=lambda wildcards: placement(wildcards.shard).tasks_per_node,
        # Tasks and GPUs are counted by node; the executor would also count tasks by GPU.
        tasks_per_gpu=0,
        mpi=lambda wildcards: placement(wildcards.shard).mpi,
        gres=lambda wildcards: placement(wildcards.shard).gres,
        mem_mb=lambda wildcards, attempt: SIZES.ranks_memory(
            wildcards.shard, placement(wildcards.shard).processes_on_node, attempt
        ),
        runtime=lambda wildcards, attempt: SIZES.ranks_minutes(wildcards.shard, attempt),
    params:
        request=lambda wildcards: REQUESTS.train(wildcards.shard).text(),
        python=sys.executable,
        container=lambda wildcards: container_command(workflow, IMAGE),
        script=SCRIPTS / "train_distributed.py",
        study=STUDY_ARGUMENTS,
    message:
        "Training {resources.trains} ({resources.trained}) on several processes or devices"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.launcher:q}"
        " --container={params.container:q} --log {log}"
        " --shard {wildcards.shard} --attempt {resources.attempt} --outputs {output}"
