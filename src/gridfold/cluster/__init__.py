"""All that knows Slurm: what a job was given, where its processes run, what Slurm answers."""
