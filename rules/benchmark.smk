"""Benchmark: how training speeds up with more replicas."""

SCALING = {"scaling": "Speed against the number of replicas"}
# Only in studies that compare world sizes.
SCALING_FIGURES = SCALING if PLAN.compares_world_sizes else {}


rule measure_scaling:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
    output:
        **figure_files(SCALING),
        table=PATHS.tables / "scaling.parquet",
        table_csv=report(
            PATHS.tables / "scaling.csv",
            caption="../workflow/report/scaling.rst",
            category="Tables",
            labels={"table": "scaling"},
        ),
    log:
        PATHS.log("measure_scaling"),
    benchmark:
        PATHS.benchmark("measure_scaling")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.scaling_request(),
    message:
        "Comparing the speed of different world sizes"
    script:
        "../workflow/scripts/measure_scaling.py"
