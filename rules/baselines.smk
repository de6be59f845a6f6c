"""Baselines: simple learners on the same splits, which the winner is compared with."""


# Beside the training: nothing waits for it but the comparison at the end.
rule fit_baselines:
    input:
        manifest=rules.prepare_data.output.manifest,
        data=rules.prepare_data.output.features,
        splits=rules.make_splits.output.splits,
    output:
        **table_files(["baseline_fits"]),
    log:
        PATHS.log("fit_baselines"),
    benchmark:
        PATHS.benchmark("fit_baselines")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.baselines_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.baselines_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.baselines().text(),
    message:
        f"Fitting baselines on {len(PLAN.answering_splits)} splits"
    script:
        "../workflow/scripts/fit_baselines.py"


rule compare_baselines:
    input:
        fits=rules.fit_baselines.output.baseline_fits,
        trials=rules.collect.output.trials,
        best=rules.select_best.output.best,
    output:
        **table_files(["baselines"]),
    log:
        PATHS.log("compare_baselines"),
    benchmark:
        PATHS.benchmark("compare_baselines")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.compared_baselines().text(),
    message:
        "Comparing the selected configuration with the baselines"
    script:
        "../workflow/scripts/compare_baselines.py"
