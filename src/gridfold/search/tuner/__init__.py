"""Keras Tuner chooses the configurations of such a search."""
