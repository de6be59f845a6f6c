"""Snakemake: a job and a process for each trial."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import task

RULE = """
rule train:
    output: "scores/{number}.txt"
    shell: "%s %s %s {wildcards.number} > {output}"
"""


def main() -> None:
    name, size = sys.argv[1], task.size_asked_for()
    trials = size.trials()
    if len(sys.argv) > 2:
        task.begin()
        print(json.dumps(task.fitted_by_keras(trials[int(sys.argv[2])], size)))
        return
    Path("Snakefile").write_text(RULE % (sys.executable, __file__, name))
    files = [Path(f"scores/{number}.txt") for number in range(len(trials))]
    command = [sys.executable, "-m", "snakemake", "--cores", str(task.WORKERS), "--quiet", "all"]
    subprocess.run([*command, "--", *map(str, files)], check=True)
    task.write_scores(trials, [json.loads(file.read_text()) for file in files])


if __name__ == "__main__":
    main()
