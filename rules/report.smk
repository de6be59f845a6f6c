"""Report: the figures, and one self-contained page."""

SEARCH_FIGURES = {
    "learning_curves": "Learning curves",
    "hyperparameters": "Scores against hyperparameters",
    "pairs": "Scores over pairs of hyperparameters",
    "parallel": "Parallel coordinates",
}
TEST_FIGURES = {
    "scores": "Scores of the configurations",
    "errors": "Errors of the selected configuration",
}
# Template, style and script of the report, with those of its sections.
PAGE = SCRIPTS.parent / "report"
FIGURES = [*SEARCH_FIGURES, *TEST_FIGURES, *SCALING_FIGURES, *MODEL_FIGURES]


# The figures are drawn in two jobs: those of the search while the final model is trained, those
# that show the test set after it.
rule draw_search_figures:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
    output:
        **figure_files(SEARCH_FIGURES),
    log:
        PATHS.log("draw_search_figures"),
    benchmark:
        PATHS.benchmark("draw_search_figures")
    resources:
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
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures with the test set".format(len(TEST_FIGURES))
    script:
        "../workflow/scripts/draw_test_figures.py"


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
        scaling=rules.measure_scaling.output.table if SCALING_FIGURES else [],
        notebook=rules.run_notebook.output.html if PLAN.study.report.notebook else [],
        page=PAGE / "report.html.j2",
        parts=sorted(
            file for kind in ("j2", "css", "js") for file in PAGE.rglob(f"*.{kind}")
        ),
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
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Writing {output.html}"
    script:
        "../workflow/scripts/report.py"
