"""What the fork server imports before it forks the first trial."""

from gridfold.lasting import lasting

with lasting():
    import gridfold.training
    import gridfold.usage  # noqa: F401
