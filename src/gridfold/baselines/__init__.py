"""Baselines: what the simplest learners reach on the same splits, beside the winner of a study."""
