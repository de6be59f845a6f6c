"""The nested estimate: what the searches of the outer folds have selected, and how good that is."""


# Only of studies with outer folds (`resampling.outer`). Their stages and jobs are those of every
# search: rules `choose` and `train`.
rule estimate_nested:
    input:
        winners=[PATHS.stage(fold.score.name) for fold in PLAN.outer_folds],
        scores=expand(
            rules.train.output.trials,
            shard=[fold.score for fold in REQUESTS.nested().folds],
        ),
        search=expand(
            rules.train.output.trials,
            shard=[shard for fold in REQUESTS.nested().folds for shard in fold.search],
        ),
        best=rules.select_best.output.best,
        targets=rules.prepare_data.output.targets,
    output:
        **table_files(["nested"]),
        estimate=PATHS.nested,
    log:
        PATHS.log("estimate_nested"),
    benchmark:
        PATHS.benchmark("estimate_nested")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.nested().text(),
    message:
        f"Bringing the scores of {len(PLAN.outer_folds)} outer folds together"
    script:
        "../workflow/scripts/estimate_nested.py"
