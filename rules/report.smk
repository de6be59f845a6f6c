"""Report: the figures, and one self-contained page."""

from gridfold.report.files import page_files

SEARCH_FIGURES = {
    "learning_curves": "Learning curves",
    "hyperparameters": "Scores against hyperparameters",
    "pairs": "Scores over pairs of hyperparameters",
    "parallel": "Parallel coordinates",
}
# Only of a search in stages.
if PLAN.stages:
    SEARCH_FIGURES["search_path"] = "The path of the search"
TEST_FIGURES = {
    "scores": "Scores of the configurations",
    "errors": "Errors of the selected configuration",
}
COMPARISON_FIGURES = {
    "critical_difference": "Critical differences of mean ranks",
    "importance": "Importance of the axes",
}
FIGURES = [
    *SEARCH_FIGURES,
    *TEST_FIGURES,
    *COMPARISON_FIGURES,
    *SCALING_FIGURES,
    *MODEL_FIGURES,
    *(CLASS_FIGURES if PLAN.study.problem.is_classification else ()),
]
COMPARISON_TABLES = ("comparisons", "scientific", "importance")


# The figures are drawn in two jobs: those of the search while the final model is trained, those
# that show the test set after it.
rule draw_search_figures:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        search=rules.collect.output.search if PLAN.stages else [],
    output:
        **figure_files(SEARCH_FIGURES),
    log:
        PATHS.log("draw_search_figures"),
    benchmark:
        PATHS.benchmark("draw_search_figures")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures of the search".format(len(SEARCH_FIGURES))
    script:
        "../workflow/scripts/draw_search_figures.py"


rule draw_test_figures:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        card=rules.fit_final.output.card,
        out_of_fold=rules.select_best.output.predictions,
        test_predictions=rules.fit_final.output.predictions,
        targets=rules.prepare_data.output.targets,
        manifest=rules.prepare_data.output.manifest,
    output:
        **figure_files(TEST_FIGURES),
    log:
        PATHS.log("draw_test_figures"),
    benchmark:
        PATHS.benchmark("draw_test_figures")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures with the test set".format(len(TEST_FIGURES))
    script:
        "../workflow/scripts/draw_test_figures.py"


# Also while the final model is trained: nothing that trains waits for it.
rule compare_configurations:
    input:
        trials=rules.collect.output.trials,
        configurations=rules.summarise.output.configurations,
        predictions=expand(
            rules.train.output.predictions, shard=SEARCH.answering_shards
        ),
        targets=rules.prepare_data.output.targets,
        groups=rules.prepare_data.output.groups,
    output:
        **figure_files(COMPARISON_FIGURES),
        **table_files(COMPARISON_TABLES),
        facts=PATHS.tables / "comparison.json",
    log:
        PATHS.log("compare_configurations"),
    benchmark:
        PATHS.benchmark("compare_configurations")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.comparison_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.comparison_request(),
    message:
        f"Comparing {len(PLAN.configurations)} configurations"
    script:
        "../workflow/scripts/compare_configurations.py"


NOTEBOOK = PLAN.study.report.notebook
if not isinstance(NOTEBOOK, str):
    NOTEBOOK = str(SCRIPTS.parent / "notebooks" / "analysis.ipynb")


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
        notebook=PATHS.notebook / "notebook.ipynb",
        html=report(
            PATHS.notebook / "notebook.html",
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
        request=lambda wildcards: PLAN.notebook_request(NOTEBOOK),
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
        manifest=rules.prepare_data.output.manifest,
        figures=expand(
            PATHS.figures / "{name}.{kind}", name=FIGURES, kind=["svg", "png"]
        ),
        words=expand(PATHS.figures / "{name}.json", name=FIGURES),
        comparisons=rules.compare_configurations.output.comparisons,
        scientific=rules.compare_configurations.output.scientific,
        importance=rules.compare_configurations.output.importance,
        facts=rules.compare_configurations.output.facts,
        scaling=rules.measure_scaling.output.table if SCALING_FIGURES else [],
        search=rules.collect.output.search if PLAN.stages else [],
        search_trials=rules.collect.output.search_trials if PLAN.stages else [],
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
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Writing {output.html}"
    script:
        "../workflow/scripts/report.py"
