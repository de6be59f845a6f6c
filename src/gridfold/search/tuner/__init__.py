"""Searches in which Keras Tuner chooses the configurations."""
