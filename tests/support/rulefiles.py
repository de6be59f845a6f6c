"""The rules of the workflow, as text."""

from __future__ import annotations

import re

from workbench import ROOT

RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))


RULES = {
    match[1]: match[2]
    for file in RULE_FILES
    for match in re.finditer(r"^rule (\w+):\n((?:    .*\n|\n)+)", file.read_text(), re.M)
}
