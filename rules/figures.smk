"""Figures: those of the search while the final model is trained, the others after it."""

SEARCH_FIGURES = {
    "learning_curves": "Learning curves",
    "hyperparameters": "Scores against hyperparameters",
    "pairs": "Scores over pairs of hyperparameters",
    "parallel": "Parallel coordinates",
}
# Only where something is decided while the search runs.
if PLAN.is_staged:
    SEARCH_FIGURES["search_path"] = "The path of the search"
if PLAN.stopping_files:
    SEARCH_FIGURES["stopping"] = "Where the search stopped"
TEST_FIGURES = {
    "scores": "Scores of the configurations",
    "errors": "Errors of the selected configuration",
}
MODEL_FIGURES = {
    "architecture": "Layers of the final model",
    "filters": "First filters of the final model",
    "activations": "Images on their way through the layers",
    "feature_importance": "Importance of the features",
}
CLASS_FIGURES = {
    "roc": "ROC and precision-recall curves",
    "calibration": "Calibration",
    "misclassified": "Misclassified samples",
}
FIGURES = [
    *SEARCH_FIGURES,
    *TEST_FIGURES,
    *COMPARISON_FIGURES,
    *(FRONT_FIGURES if PLAN.study.search.weighs else ()),
    *(SCALING_FIGURES if PLAN.compares_world_sizes else ()),
    *MODEL_FIGURES,
    *(CLASS_FIGURES if PLAN.study.problem.is_classification else ()),
]


rule draw_search_figures:
    input:
        trials=rules.collect.output.trials,
        epochs=rules.collect.output.epochs,
        configurations=rules.summarise.output.configurations,
        search=rules.collect.output.search,
        search_trials=rules.collect.output.search_trials,
        stopping=PLAN.stopping_files,
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
        request=lambda wildcards: REQUESTS.report().text(),
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
        request=lambda wildcards: REQUESTS.report().text(),
    message:
        "Drawing {} figures with the test set".format(len(TEST_FIGURES))
    script:
        "../workflow/scripts/draw_test_figures.py"


# Drawn beside the other figures; TensorFlow has done its part in `fit_final`.
rule draw_model:
    input:
        inside=rules.fit_final.output.inside,
        importance=rules.fit_final.output.importance,
        card=rules.fit_final.output.card,
        features=rules.prepare_data.output.features,
        starts=rules.prepare_data.output.starts,
        targets=rules.prepare_data.output.targets,
        manifest=rules.prepare_data.output.manifest,
    output:
        **figure_files(MODEL_FIGURES),
        **csv_files(["layers", "feature_importance"]),
    log:
        PATHS.log("draw_model"),
    benchmark:
        PATHS.benchmark("draw_model")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.data_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.drawing_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.report().text(),
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
        starts=rules.prepare_data.output.starts,
        targets=rules.prepare_data.output.targets,
        ids=rules.prepare_data.output.ids,
        manifest=rules.prepare_data.output.manifest,
    output:
        **figure_files(CLASS_FIGURES),
        **table_files(["classes"]),
        **csv_files(["misclassified"]),
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
        request=lambda wildcards: REQUESTS.report().text(),
    message:
        "Drawing {} figures of classes".format(len(CLASS_FIGURES))
    script:
        "../workflow/scripts/draw_classes.py"
