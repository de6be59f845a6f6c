"""Training: one job for each shard; what a job knows stays in the run store if it fails."""


rule train:
    input:
        data=rules.prepare_data.output.features,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
    output:
        trials=PATHS.shards / "{shard}.trials.parquet",
        epochs=PATHS.shards / "{shard}.epochs.parquet",
        predictions=PATHS.shards / "{shard}.predictions.parquet",
    log:
        PATHS.log("train", "{shard}"),
    benchmark:
        PATHS.benchmark("train", "{shard}")
    retries: RETRIES
    threads: PLAN.threads(CORES)
    resources:
        attempt=lambda wildcards, attempt: attempt,
        # What the job must know though no parameter: a change of these trains nothing again.
        remote=int(workflow.remote_exec),
        workers=PLAN.fixed_workers,
        mem_mb=lambda wildcards, threads, attempt: SIZES.train_memory(
            wildcards.shard, threads, attempt
        ),
        runtime=lambda wildcards, threads, attempt: SIZES.train_minutes(
            wildcards.shard, threads, attempt
        ),
    params:
        request=lambda wildcards: PLAN.train_request(wildcards.shard),
        retries=PLAN.study.execution.retries,
    message:
        "Training shard {wildcards.shard}"
    script:
        "../workflow/scripts/train.py"
