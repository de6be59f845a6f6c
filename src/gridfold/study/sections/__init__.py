"""Each module defines one section of the study file, with its types and defaults."""
