"""Data: read once, split once."""


rule prepare_data:
    input:
        **data_files(PLAN.study),
    output:
        **{name: PATHS.array(name) for name in ARRAYS},
        description=PATHS.description,
        manifest=PATHS.manifest,
    log:
        PATHS.log("prepare_data"),
    benchmark:
        PATHS.benchmark("prepare_data")
    threads: PLAN.data_threads(cores_of_a_job(workflow, CORES))
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.data_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.data_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.data().text(),
    message:
        f"Reading {PLAN.study.data.source} for study {PLAN.study.study}"
    script:
        "../workflow/scripts/prepare_data.py"


# Whoever reads the data as a whole verifies all of them, also those that its study leaves empty.
PREPARED = [PATHS.array(name) for name in ARRAYS]


rule make_splits:
    input:
        manifest=rules.prepare_data.output.manifest,
        data=PREPARED,
    output:
        splits=PATHS.splits,
    log:
        PATHS.log("make_splits"),
    benchmark:
        PATHS.benchmark("make_splits")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.data_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.data_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.splits().text(),
    message:
        f"Drawing {len(PLAN.all_splits)} splits and the held-out test set"
    script:
        "../workflow/scripts/make_splits.py"
