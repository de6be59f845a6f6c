"""One typed section of the study file in each module."""
