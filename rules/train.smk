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
    wildcard_constraints:
        shard=SINGLE_SHARD_PATTERN,
    retries: PLAN.study.execution.retries
    threads: PLAN.threads(CORES)
    resources:
        attempt=lambda wildcards, attempt: attempt,
    params:
        request=lambda wildcards: PLAN.train_request(wildcards.shard),
        retries=PLAN.study.execution.retries,
    message:
        "Training shard {wildcards.shard}"
    script:
        "../workflow/scripts/train.py"


# Configurations with more than one replica. The command starts the ranks with the launcher that
# the resource `mpi` names; a profile may set it (`srun --mpi=pmix`).
rule train_distributed:
    input:
        data=rules.prepare_data.output.features,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
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
    retries: PLAN.study.execution.retries
    threads: lambda wildcards: PLAN.rank_threads(PLAN.processes(wildcards.shard), CORES)
    resources:
        attempt=lambda wildcards, attempt: attempt,
        tasks=lambda wildcards: PLAN.processes(wildcards.shard),
        mpi=lambda wildcards: "auto" if PLAN.processes(wildcards.shard) > 1 else "",
    params:
        request=lambda wildcards: PLAN.train_request(wildcards.shard),
        python=PYTHON,
        script=workflow.source_path("../workflow/scripts/train_distributed.py"),
        study=STUDY_ARGUMENTS,
    message:
        "Training shard {wildcards.shard} on {resources.tasks} processes"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.mpi:q} --log {log}"
        " --shard {wildcards.shard} --attempt {resources.attempt} --outputs {output}"
