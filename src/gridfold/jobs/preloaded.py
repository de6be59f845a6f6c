"""The fork server imports this module before it forks the first trial."""

from gridfold.jobs.frozen_imports import lasting

with lasting():
    import gridfold.jobs.process_state
    import gridfold.jobs.usage
    import gridfold.training.trial  # noqa: F401
