"""Only this package knows Slurm: it reads its variables, gives its commands, and places jobs."""
