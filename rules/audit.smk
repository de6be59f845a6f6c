"""The audit: leaks and faults of data and splits, found before anything is trained."""


rule audit_data:
    input:
        manifest=rules.prepare_data.output.manifest,
        description=rules.prepare_data.output.description,
        data=PREPARED,
        splits=rules.make_splits.output.splits,
    output:
        audit=PATHS.audit,
    log:
        PATHS.log("audit_data"),
    benchmark:
        PATHS.benchmark("audit_data")
    # What it tells is wanted before the first training.
    priority: 3
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.audit_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.drawing_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.audit().text(),
    message:
        "Looking for leaks in data and splits"
    script:
        "../workflow/scripts/audit_data.py"


# Only where the study asks for it (`audit.fail_on`); then nothing trains before.
rule require_audit:
    input:
        audit=rules.audit_data.output.audit,
    output:
        passed=PATHS.audit_passed,
    log:
        PATHS.log("require_audit"),
    benchmark:
        PATHS.benchmark("require_audit")
    resources:
        turn=1,
        mem_mb=lambda wildcards, attempt: SIZES.table_memory(attempt),
        runtime=lambda wildcards, attempt: SIZES.table_minutes(attempt),
    params:
        request=lambda wildcards: REQUESTS.gate().text(),
    message:
        "Asking whether the audit lets this study train"
    script:
        "../workflow/scripts/require_audit.py"
