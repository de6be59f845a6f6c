"""What jobs keep in `results/<study>` while they run: trials, checkpoints, locks, notes."""
