"""The tutorials, followed word by word: their files written, their commands run in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from workbench import ROOT, shared_forks

from gridfold.jobs.fork_server import TABLES, TRAINING

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
# A file, announced by its name, or commands.
STEPS = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```|^```sh\n(.*?)^```", re.M | re.S)
# What each must have led to, below the folder in which it was followed.
REPORTS = {
    "from-a-table": "tumours/results/tumours",
    "from-images": "pictures/results/pictures",
    "from-a-keras-script": "wine/results/wine",
    "from-a-public-notebook": "notebook/results/loop",
    "from-keras-tuner": "tuned/results/tuned",
}


def follow(tutorial: Path, folder: Path) -> str:
    """Do what a tutorial says and return what the commands said."""
    script = ["set -euo pipefail"]
    for name, content, commands in STEPS.findall(tutorial.read_text(encoding="utf-8")):
        if commands:
            script.append(commands)
            continue
        # A reader has the file made by an editor, wherever the shell is.
        here = "." if "/" not in name else str(folder)
        script.append(f"cat > {here}/{name} <<'END_OF_FILE'\n{content}END_OF_FILE\n")
    with shared_forks(TRAINING, TABLES):
        answer = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.daily("tutorials", 2)
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda file: file.stem)
def test_a_tutorial_leads_where_it_says(tutorial: Path, tmp_path: Path) -> None:
    said = follow(tutorial, tmp_path)
    if tutorial.stem in REPORTS:
        results = tmp_path / REPORTS[tutorial.stem]
        assert (results / "report.html").stat().st_size > 10_000
        assert (results / "final" / "model.keras").exists()
    if tutorial.stem == "from-a-public-notebook":
        shapes = pd.read_csv(tmp_path / "notebook/results/notebook/tables/configurations.csv")
        assert set(shapes["python.shape"]) == {"sequential", "one_hot", "logits", "subclass"}
        assert (shapes["n_failed"] == 0).all()
        # Scores of logits that were taken for probabilities would be above any chance.
        assert shapes["log_loss_mean"].between(0, 1.5).all()
    if tutorial.stem == "from-a-table":
        # Nine new rows with their patients, the classes and a probability for each of them.
        row = r"\np\d{3},[01],[\d.e-]+,[\d.e-]+"
        assert re.search(rf"^patient,prediction,p\(0\),p\(1\)({row}){{9}}$", said, re.M)
