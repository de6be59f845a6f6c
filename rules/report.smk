"""The report, a notebook that a study may bring, and what describes the run for others."""

from gridfold.report.files import page_files

NOTEBOOK = PLAN.study.report.notebook
if not isinstance(NOTEBOOK, str):
    NOTEBOOK = str(SCRIPTS.parent / "notebooks" / "analysis.ipynb")
BASELINES = (
    rules.compare_baselines.output.baselines
    if PLAN.study.report.wanted_baselines
    else []
)


# Only where the study asks for it (`report.notebook`).
rule run_notebook:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        jobs=rules.collect.output.jobs,
        best=rules.select_best.output.best,
        out_of_fold=rules.select_best.output.predictions,
        card=rules.fit_final.output.card,
        test_predictions=rules.fit_final.output.predictions,
    output:
        notebook=PATHS.executed_notebook,
        html=report(
            PATHS.notebook_page,
            caption="../workflow/report/notebook.rst",
            category="Notebook",
            labels={"file": Path(NOTEBOOK).name},
        ),
    log:
        PATHS.log("run_notebook"),
    benchmark:
        PATHS.benchmark("run_notebook")
    resources:
        turn=1,
        # What a notebook does with the tables is not known: twice the memory, and an hour.
        mem_mb=lambda wildcards, attempt: 2 * SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: max(60, SIZES.table_minutes(attempt)),
    params:
        request=lambda wildcards: REQUESTS.notebook(NOTEBOOK).text(),
    message:
        f"Running {Path(NOTEBOOK).name}"
    script:
        "../workflow/scripts/run_notebook.py"


rule report:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        jobs=rules.collect.output.jobs,
        best=rules.select_best.output.best,
        card=rules.fit_final.output.card,
        feature_importance=rules.fit_final.output.importance,
        manifest=rules.prepare_data.output.manifest,
        description=rules.prepare_data.output.description,
        audit=rules.audit_data.output.audit,
        figures=expand(
            PATHS.figure("{name}", "{kind}"), name=FIGURES, kind=["svg", "png"]
        ),
        words=expand(PATHS.figure("{name}", "json"), name=FIGURES),
        comparisons=rules.compare_configurations.output.comparisons,
        scientific=rules.compare_configurations.output.scientific,
        importance=rules.compare_configurations.output.importance,
        facts=rules.compare_configurations.output.facts,
        classes=(
            rules.draw_classes.output.classes
            if PLAN.study.problem.is_classification
            else []
        ),
        pareto=rules.find_front.output.table if PLAN.study.search.weighs else [],
        scaling=rules.measure_scaling.output.table if PLAN.compares_world_sizes else [],
        search=rules.collect.output.search,
        search_trials=rules.collect.output.search_trials,
        race=RACE_TABLE.get("race", []),
        budget=(
            [rules.collect.output.budget, rules.collect.output.left_out]
            if PLAN.study.search.budget
            else []
        ),
        baselines=BASELINES,
        chance=rules.train_permuted.output.chance if PLAN.measures_chance else [],
        stopping=PLAN.stopping_files,
        nested=rules.estimate_nested.output.estimate if PLAN.outer_folds else [],
        notebook=rules.run_notebook.output.html if PLAN.study.report.notebook else [],
        page=page_files(),
    output:
        html=report(
            PATHS.report,
            caption="../workflow/report/report.rst",
            category="Report",
            labels={"file": "report"},
        ),
    log:
        PATHS.log("report"),
    benchmark:
        PATHS.benchmark("report")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.report().text(),
    message:
        "Writing {output.html}"
    script:
        "../workflow/scripts/report.py"


# What belongs to the workflow itself, for the crate.
WORKFLOW = [
    SCRIPTS.parent.parent / "Snakefile",
    *sorted((SCRIPTS.parent.parent / "rules").glob("*.smk")),
]
# What the run makes for others; only where the study makes it.
HANDED_ON = [
    rules.prepare_data.output.description,
    rules.prepare_data.output.manifest,
    rules.make_splits.output.splits,
    rules.audit_data.output.audit,
    *rules.collect.output,
    *rules.summarise.output,
    *rules.select_best.output,
    *rules.compare_configurations.output,
    *rules.fit_final.output,
    *rules.draw_search_figures.output,
    *rules.draw_test_figures.output,
    *rules.draw_model.output,
    *(rules.draw_classes.output if PLAN.study.problem.is_classification else ()),
    *(rules.find_front.output if PLAN.study.search.weighs else ()),
    *(rules.measure_scaling.output if PLAN.compares_world_sizes else ()),
    *(rules.fit_baselines.output if PLAN.study.report.wanted_baselines else ()),
    *(rules.compare_baselines.output if PLAN.study.report.wanted_baselines else ()),
    *(rules.train_permuted.output if PLAN.measures_chance else ()),
    *(rules.fit_ensemble.output if PLAN.study.final.ensemble else ()),
    *(rules.estimate_nested.output if PLAN.outer_folds else ()),
    *(rules.run_notebook.output if PLAN.study.report.notebook else ()),
]


rule describe_run:
    input:
        report=rules.report.output.html,
        baselines=BASELINES,
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
