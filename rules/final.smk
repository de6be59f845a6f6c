"""The final model: trained on all samples but the test set, and scored once."""

FINAL_PLACEMENT = PLAN.final_placement(site(workflow, "train_final"))


# The final model is trained as its configuration was: on several processes or devices, here.
# Which configuration wins is not known yet, so the job asks for as much as any of them needs.
rule train_final:
    input:
        best=rules.select_best.output.best,
        catalogue=rules.collect.output.catalogue,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        record=PATHS.final_model.training,
    log:
        PATHS.log("train_final"),
    benchmark:
        PATHS.benchmark("train_final")
    priority: 2
    retries: RETRIES
    # Whoever starts the ranks is outside of the container, and they are in it.
    container:
        no_image
    threads: PLAN.rank_threads(PLAN.most_processes(), CORES)
    resources:
        turn=1,
        launcher="auto",
        nodes=FINAL_PLACEMENT.nodes,
        tasks=FINAL_PLACEMENT.tasks,
        tasks_per_node=FINAL_PLACEMENT.tasks_per_node,
        tasks_per_gpu=0,
        mpi=FINAL_PLACEMENT.mpi,
        gres=FINAL_PLACEMENT.gres,
        mem_mb=lambda wildcards, attempt: SIZES.final_ranks_memory(
            FINAL_PLACEMENT.processes_on_node, attempt
        ),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.final().text(),
        python=sys.executable,
        container=lambda wildcards: container_command(workflow, IMAGE),
        script=SCRIPTS / "train_final.py",
        study=STUDY_ARGUMENTS,
    message:
        "Training the final model on several processes or devices, if it was selected so"
    shell:
        "{params.python} {params.script} {params.study} --launcher={resources.launcher:q}"
        " --container={params.container:q} --log {log}"
        " --best {input.best} --output {output.record}"


# Only where a configuration can have been trained so.
FINAL_TRAINING = (
    {"trained": rules.train_final.output.record} if PLAN.is_distributed else {}
)


# One more training, on one split and with permuted labels: what there is to reach by chance.
rule train_permuted:
    input:
        best=rules.select_best.output.best,
        catalogue=rules.collect.output.catalogue,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        chance=PATHS.chance,
    log:
        PATHS.log("train_permuted"),
    benchmark:
        PATHS.benchmark("train_permuted")
    threads: PLAN.study.execution.threads_per_worker
    resources:
        turn=1,
        trial_timeout=PLAN.study.execution.trial_timeout or 0,
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.permuted().text(),
    message:
        "Training the selected configuration once with permuted labels"
    script:
        "../workflow/scripts/train_permuted.py"


# The models of the splits come from their checkpoints; run only where the study asks for them.
rule fit_ensemble:
    input:
        catalogue=rules.collect.output.catalogue,
        best=rules.select_best.output.best,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        models=expand(PATHS.final_model.member("{split}"), split=PLAN.answering_splits),
        preprocessing=expand(
            PATHS.final_model.member_preprocessing("{split}"),
            split=PLAN.answering_splits,
        ),
        scores=PATHS.final_model.ensemble,
    log:
        PATHS.log("fit_ensemble"),
    benchmark:
        PATHS.benchmark("fit_ensemble")
    priority: 2
    threads: PLAN.study.execution.threads_per_worker
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.ensemble().text(),
    message:
        f"Bringing the models of {len(PLAN.answering_splits)} splits together"
    script:
        "../workflow/scripts/fit_ensemble.py"


FINAL_ENSEMBLE = (
    {"ensemble": rules.fit_ensemble.output.scores} if PLAN.study.final.ensemble else {}
)

# The card says it, too.
FINAL_NESTED = (
    {"nested": rules.estimate_nested.output.estimate} if PLAN.outer_folds else {}
)


rule fit_final:
    input:
        **FINAL_TRAINING,
        **FINAL_ENSEMBLE,
        **FINAL_NESTED,
        catalogue=rules.collect.output.catalogue,
        best=rules.select_best.output.best,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        model=PATHS.final_model.model,
        preprocessing=PATHS.final_model.preprocessing,
        predictions=PATHS.final_model.test_predictions,
        card=PATHS.final_model.card,
        card_text=report(
            PATHS.final_model.card_text,
            caption="../workflow/report/card.rst",
            category="Model",
            labels={"file": "model card"},
        ),
        inside=PATHS.final_model.inside,
        importance=PATHS.final_model.importance,
    log:
        PATHS.log("fit_final"),
    benchmark:
        PATHS.benchmark("fit_final")
    priority: 2
    threads: PLAN.study.execution.threads_per_worker
    resources:
        turn=1,
        # No parameter: a change of it trains nothing again.
        trial_timeout=PLAN.study.execution.trial_timeout or 0,
        mem_mb=lambda wildcards, attempt: SIZES.final_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.final_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.final().text(),
    message:
        "Training the final model on all samples but the test set, and scoring it once"
    script:
        "../workflow/scripts/fit_final.py"
