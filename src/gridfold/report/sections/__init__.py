"""What the sections of the report say: one subject in each module."""
