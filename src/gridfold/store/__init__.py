"""Jobs keep here what they know in `results/<study>`: trials, checkpoints, locks, notes."""
