"""The dossier: checklists, and the metadata of a crate that holds everything."""

WORKFLOW = [
    SCRIPTS.parent.parent / "Snakefile",
    *sorted((SCRIPTS.parent.parent / "rules").glob("*.smk")),
]


rule describe_run:
    input:
        report=rules.report.output.html,
        baselines=(
            rules.compare_baselines.output.baselines
            if PLAN.study.report.wanted_baselines
            else []
        ),
        # What the run hands on, besides figures and notebook.
        results=[
            *rules.report.input.figures,
            rules.prepare_data.output.description,
            rules.prepare_data.output.manifest,
            rules.make_splits.output.splits,
            *rules.collect.output,
            *rules.summarise.output,
            *rules.select_best.output,
            *rules.compare_configurations.output.facts,
            *rules.fit_final.output,
        ],
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
