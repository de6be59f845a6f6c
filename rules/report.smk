"""Report: the figures, and one self-contained page."""

FIGURES = {
    "scores": "Scores of the configurations",
    "learning_curves": "Learning curves",
    "hyperparameters": "Scores against hyperparameters",
    "errors": "Errors of the selected configuration",
}


rule draw_figures:
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
        **{
            f"{name}_svg": report(
                PATHS.figures / f"{name}.svg",
                caption=f"../workflow/report/{name}.rst",
                category="Figures",
                labels={"figure": title},
            )
            for name, title in FIGURES.items()
        },
        **{f"{name}_png": PATHS.figures / f"{name}.png" for name in FIGURES},
        captions=PATHS.figures / "captions.json",
    log:
        PATHS.log("draw_figures"),
    benchmark:
        PATHS.benchmark("draw_figures")
    resources:
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures".format(len(FIGURES))
    script:
        "../workflow/scripts/draw_figures.py"


rule report:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        best=rules.select_best.output.best,
        card=rules.fit_final.output.card,
        manifest=rules.prepare_data.output.manifest,
        figures=[
            rules.draw_figures.output[f"{name}_{kind}"]
            for name in FIGURES
            for kind in ("svg", "png")
        ],
        captions=rules.draw_figures.output.captions,
        template=workflow.source_path("../workflow/report/report.html.j2"),
        style=workflow.source_path("../workflow/report/report.css"),
        behaviour=workflow.source_path("../workflow/report/report.js"),
    output:
        html=PATHS.report,
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
