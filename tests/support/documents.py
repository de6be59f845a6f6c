"""What the project's documents say."""

from __future__ import annotations

from workbench import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "config" / "README.md"]


# Those of the tutorials are followed in test_tutorials.py.
FOLLOWED = {file for file in DOCUMENTS if file.parent.name == "tutorials"}
