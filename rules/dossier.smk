"""The dossier: checklists, and the metadata of a crate that holds everything."""

WORKFLOW = [
    SCRIPTS.parent.parent / "Snakefile",
    *sorted((SCRIPTS.parent.parent / "rules").glob("*.smk")),
]
# What the run makes for others; only where the study makes it.
HANDED_ON = [
    rules.prepare_data.output.description,
    rules.prepare_data.output.manifest,
    rules.make_splits.output.splits,
    *rules.collect.output,
    *rules.summarise.output,
    *rules.select_best.output,
    *rules.compare_configurations.output,
    *rules.fit_final.output,
    *rules.draw_search_figures.output,
    *rules.draw_test_figures.output,
    *rules.draw_model.output,
    *(rules.draw_classes.output if PLAN.study.problem.is_classification else ()),
    *(rules.measure_scaling.output if PLAN.compares_world_sizes else ()),
    *(rules.fit_baselines.output if PLAN.study.report.wanted_baselines else ()),
    *(rules.compare_baselines.output if PLAN.study.report.wanted_baselines else ()),
    *(rules.train_permuted.output if PLAN.measures_chance else ()),
    *(rules.run_notebook.output if PLAN.study.report.notebook else ()),
]


rule describe_run:
    input:
        report=rules.report.output.html,
        baselines=(
            rules.compare_baselines.output.baselines
            if PLAN.study.report.wanted_baselines
            else []
        ),
        results=HANDED_ON,
        workflow=WORKFLOW,
    output:
        reforms=report(
            PATHS.checklist("reforms"),
            caption="../workflow/report/checklists.rst",
            category="Report",
            labels={"file": "REFORMS checklist"},
        ),
        neurips=report(
            PATHS.checklist("neurips"),
            caption="../workflow/report/checklists.rst",
            category="Report",
            labels={"file": "NeurIPS checklist"},
        ),
        readme=PATHS.readme,
        croissant=PATHS.croissant,
        crate=PATHS.crate,
        workflow=[PATHS.workflow_copy(file) for file in WORKFLOW],
    log:
        PATHS.log("describe_run"),
    benchmark:
        PATHS.benchmark("describe_run")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.drawing_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.report().text(),
    message:
        "Describing the run: checklists and crate"
    script:
        "../workflow/scripts/describe_run.py"
