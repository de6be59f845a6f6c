"""Looks for leaks and faults in the data and the splits of a study, before anything is trained."""
