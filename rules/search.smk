"""A search in stages: what each stage decides, and the jobs that train what was decided.

Nothing here runs in studies without `search.explore`, `search.refine` and `search.confirm`.
"""


# What a strategy draws is known while this is parsed; the file is for those who read it later.
rule explore:
    output:
        chosen=PATHS.search / "{drawn}.json",
    log:
        PATHS.log("explore", "{drawn}"),
    benchmark:
        PATHS.benchmark("explore", "{drawn}")
    wildcard_constraints:
        drawn=SEARCH.drawn_pattern,
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.explore_request(wildcards.drawn),
    message:
        "Writing down what {wildcards.drawn} explores"
    script:
        "../workflow/scripts/explore.py"


rule promote:
    input:
        files=lambda wildcards: SEARCH.source_files(wildcards.promoted),
        trials=lambda wildcards: source_tables(wildcards.promoted),
    output:
        chosen=PATHS.search / "{promoted}.json",
    log:
        PATHS.log("promote", "{promoted}"),
    benchmark:
        PATHS.benchmark("promote", "{promoted}")
    wildcard_constraints:
        promoted="b[0-9]+r[1-9][0-9]*",
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.choice_request(wildcards.promoted),
    message:
        "Choosing what goes on in {wildcards.promoted}"
    script:
        "../workflow/scripts/promote.py"


rule refine:
    input:
        files=lambda wildcards: SEARCH.source_files(f"refine{wildcards.round}"),
        trials=lambda wildcards: source_tables(f"refine{wildcards.round}"),
    output:
        chosen=PATHS.search / "refine{round}.json",
    log:
        PATHS.log("refine", "{round}"),
    benchmark:
        PATHS.benchmark("refine", "{round}")
    wildcard_constraints:
        round="[0-9]+",
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.refine_request(int(wildcards.round)),
    message:
        "Choosing neighbours of the best, round {wildcards.round}"
    script:
        "../workflow/scripts/refine.py"


rule confirm:
    input:
        files=lambda wildcards: SEARCH.source_files("confirm"),
        trials=lambda wildcards: source_tables("confirm"),
    output:
        chosen=SEARCH.file("confirm"),
    log:
        PATHS.log("confirm"),
    benchmark:
        PATHS.benchmark("confirm")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: SEARCH.choice_request("confirm"),
    message:
        "Choosing the finalists"
    script:
        "../workflow/scripts/confirm.py"


# Like `train`, but which trials fall to a slot says a file.
rule train_stage:
    input:
        chosen=lambda wildcards: SEARCH.file(stage_of(wildcards.slot)),
        data=rules.prepare_data.output.features,
        manifest=rules.prepare_data.output.manifest,
        splits=rules.make_splits.output.splits,
    output:
        trials=PATHS.shards / "{slot}.trials.parquet",
        epochs=PATHS.shards / "{slot}.epochs.parquet",
        predictions=PATHS.shards / "{slot}.predictions.parquet",
    log:
        PATHS.log("train_stage", "{slot}"),
    benchmark:
        PATHS.benchmark("train_stage", "{slot}")
    wildcard_constraints:
        slot=SLOT_PATTERN,
    retries: RETRIES
    threads: PLAN.threads(CORES)
    resources:
        turn=1,
        attempt=lambda wildcards, attempt: attempt,
        # What the job must know though no parameter: a change of these trains nothing again.
        remote=int(workflow.remote_exec),
        workers=PLAN.fixed_workers,
        mem_mb=lambda wildcards, threads, attempt: SIZES.slot_memory(
            wildcards.slot, threads, attempt
        ),
        runtime=lambda wildcards, threads, attempt: SIZES.slot_minutes(
            wildcards.slot, threads, attempt
        ),
    params:
        request=lambda wildcards: SEARCH.slot_request(wildcards.slot),
        retries=PLAN.study.execution.retries,
    message:
        "Training slot {wildcards.slot}"
    script:
        "../workflow/scripts/train_stage.py"
