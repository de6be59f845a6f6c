"""Checks what must hold between the sections of a study, and between the study and its data."""
