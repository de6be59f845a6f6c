"""The documents stay true: their links lead somewhere and their commands run."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from documents import DOCUMENTS, FOLLOWED
from workbench import ROOT

from gridfold.advice import advice_in_log, recognise
from gridfold.plan.loading import load_study


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
        if not re.match(r"https?:", target):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", ROOT / "docs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    # A document that the index does not lead to would have been a warning.
    for file in (ROOT / "docs").glob("**/*.md"):
        page = tmp_path / file.relative_to(ROOT / "docs").with_suffix(".html")
        title = re.search(r"^# (.+)", file.read_text(), re.M)
        # Sphinx has pages of its own, such as `search.html`, and would write them over ours.
        assert title
        assert f"<h1>{html.escape(title[1])}<a" in page.read_text(), file


def layers(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script that draws the layers, in a copy of the project."""
    return subprocess.run(
        [sys.executable, folder / "docs" / "layers.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_picture_of_the_layers_is_up_to_date() -> None:
    answer = layers(ROOT, "--check")
    assert answer.returncode == 0, answer.stderr


def test_a_picture_of_other_layers_is_refused_and_drawn_anew(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(ROOT / "src", tmp_path / "src")
    module = tmp_path / "src" / "gridfold" / "errors.py"
    module.write_text('"""Names <errors> & more."""\n')
    refused = layers(tmp_path, "--check")
    assert refused.returncode == 1
    assert "docs/images/layers.svg is out of date; run: make schema" in refused.stderr
    assert layers(tmp_path).returncode == 0
    assert layers(tmp_path, "--check").returncode == 0
    svg = ElementTree.parse(tmp_path / "docs" / "images" / "layers.svg")
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    packages = {file.parent.name for file in (ROOT / "src" / "gridfold").glob("*/__init__.py")}
    assert packages <= set(texts)
    assert "Names <errors> & more." in texts


def test_studies_in_documents_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("churn.csv").write_text("age,left\n1,0\n2,1\n")
    blocks = [
        block
        for file in DOCUMENTS
        if file not in FOLLOWED
        for block in re.findall(r"```yaml\n(.*?)```", file.read_text(), re.S)
        if re.search(r"^study:", block, re.M)
    ]
    assert blocks
    for block in blocks:
        Path("study.yaml").write_text(block)
        load_study(["study.yaml"])


def test_the_errors_in_the_readme_are_what_a_user_sees(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    study = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    study["training"] = {"epochs": 0, "learning_rat": 0.1}
    file = tmp_path / "my.yaml"
    file.write_text(yaml.safe_dump(study))
    program = Path(sys.executable).parent / "gridfold"
    answer = subprocess.run(
        [program, "validate", str(file)], capture_output=True, text=True, check=False
    )
    for line in answer.stderr.splitlines()[1:]:
        shown = re.sub(r"line \d+: ", "", line.strip()).split(" allowed: epochs")[0]
        assert shown in re.sub(r"line \d+: ", "", readme), shown


def test_the_errors_in_the_faq_are_known_to_the_advice() -> None:
    text = (ROOT / "docs" / "faq.md").read_text()
    trials, cluster = (
        re.search(rf"^## {title}\n(.*?)^## ", text, re.M | re.S)[1]  # type: ignore[index]
        for title in ("Trials that fail", "On a cluster")
    )
    headings = re.findall(r"^### `([^`]+)`", trials + cluster, re.M)
    assert len(headings) > 8
    for message in headings:
        known = recognise(message, message.partition(":")[0])
        assert known or advice_in_log(message), message


def test_every_module_of_the_training_path_named_in_the_documents_exists() -> None:
    for file in DOCUMENTS:
        for path in re.findall(r"`((?:src|rules|workflow|config)/[\w/.]+\.\w+)`", file.read_text()):
            assert (ROOT / path).exists(), f"{file.name} names {path}"
