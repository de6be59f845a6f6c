"""Sphinx' settings for the documentation: `make docs`."""

from importlib.metadata import version as version_of

project = "gridfold"
author = "The gridfold authors"
version = release = version_of(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"gridfold {version}"
exclude_patterns = ["_build"]

# Headings are link targets, as on the pages of a git server.
myst_heading_anchors = 3
# Links of documents to files of the project that are no documents stay as they are there.
suppress_warnings = ["myst.xref_missing"]
