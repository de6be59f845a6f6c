"""The final model: what it looks like inside, and how it tells classes apart."""

MODEL_FIGURES = {
    "architecture": "Layers of the final model",
    "filters": "First filters of the final model",
    "activations": "Images on their way through the layers",
}
CLASS_FIGURES = {
    "roc": "ROC and precision-recall curves",
    "calibration": "Calibration",
    "misclassified": "Misclassified samples",
}


# Drawn beside the other figures; TensorFlow has done its part in `fit_final`.
rule draw_model:
    input:
        inside=rules.fit_final.output.inside,
        features=rules.prepare_data.output.features,
        targets=rules.prepare_data.output.targets,
        manifest=rules.prepare_data.output.manifest,
    output:
        **figure_files(MODEL_FIGURES),
        **csv_files(["layers"]),
    log:
        PATHS.log("draw_model"),
    benchmark:
        PATHS.benchmark("draw_model")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.data_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.drawing_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures of the final model".format(len(MODEL_FIGURES))
    script:
        "../workflow/scripts/draw_model.py"


# Only of binary and multiclass problems. The longest of the jobs that draw, so it starts first, and
# the others fill the cores beside it.
rule draw_classes:
    input:
        out_of_fold=rules.select_best.output.predictions,
        test_predictions=rules.fit_final.output.predictions,
        features=rules.prepare_data.output.features,
        targets=rules.prepare_data.output.targets,
        manifest=rules.prepare_data.output.manifest,
    output:
        **figure_files(CLASS_FIGURES),
        **csv_files(["classes", "misclassified"]),
    log:
        PATHS.log("draw_classes"),
    benchmark:
        PATHS.benchmark("draw_classes")
    priority: 1
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.data_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.drawing_minutes(attempt),
    params:
        request=lambda wildcards: PLAN.report_request(),
    message:
        "Drawing {} figures of classes".format(len(CLASS_FIGURES))
    script:
        "../workflow/scripts/draw_classes.py"
