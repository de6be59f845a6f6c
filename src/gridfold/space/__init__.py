"""Makes the configurations of a study from the axes of its search space."""
