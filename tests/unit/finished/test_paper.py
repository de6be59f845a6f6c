"""Export for papers: a table that LaTeX takes, figures with their fonts, nothing overstated."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from comparing import compared
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from ondisk import write_finished

from gridfold.cli.main import main
from gridfold.figures.comparison import draw_comparison
from gridfold.figures.model import FIGURES as MODEL_FIGURES
from gridfold.figures.study import FIGURES
from gridfold.finished.journal import COLUMNS, JournalColumn, fit, save
from gridfold.finished.latex import escape, ranking_table, stars
from gridfold.finished.paper import export
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.statistics.comparison import compare
from gridfold.store.selection import SelectionFacts

EVIL = [
    r"50% & $x_1$ #2 {a} ~ ^ \input{/etc/passwd}",
    "<script> | \"quoted\" 'single'",
    "emoji 😀 naïve ± −1",
    "line\nbreak\x1b[31m",
]
# What LaTeX gives a meaning to, unless a backslash stands before it.
SPECIAL = re.compile(r"(?<!\\)[%#]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the finished study `paper` and its comparison."""
    folder = tmp_path_factory.mktemp("export")
    paths = write_finished(folder, "paper")
    plan = Plan.load([folder / "paper.yaml"], results=folder / "results")
    compare(
        JobRequests(plan).comparison(),
        pd.read_parquet(paths.tables / "trials.parquet"),
        pd.read_parquet(paths.tables / "configurations.parquet"),
        SelectionFacts(0.8, 0.01, 0.7, 0.9, 60, 2, 500, "", 0.01, chosen={}),
    ).write(paths)
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    plan = Plan.load([folder / "paper.yaml"], results=folder / "results")
    export(plan, COLUMNS["single"], 2, folder / "single")
    return folder / "single"


def arguments(folder: Path, *more: str) -> list[str]:
    return ["paper", str(folder / "paper.yaml"), "--results", str(folder / "results"), *more]


# -- figures --------------------------------------------------------------------------------------


def test_every_figure_is_there_as_pdf_and_svg(exported: Path) -> None:
    names = {*FIGURES, "critical_difference", "importance"}
    names |= {*MODEL_FIGURES, "roc", "calibration", "misclassified"}
    assert {file.stem for file in exported.glob("*.pdf")} == names
    assert {file.stem for file in exported.glob("*.svg")} == names


def objects(pdf: bytes) -> str:
    """Return a PDF's objects as text, compressed streams opened."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S)
    opened = []
    for stream in streams:
        try:
            opened.append(zlib.decompress(stream.rstrip(b"\r\n")))
        except zlib.error:
            continue
    return b"\n".join([pdf, *opened]).decode("latin-1")


def test_fonts_are_truetype_and_embedded(exported: Path) -> None:
    for file in exported.glob("*.pdf"):
        text = objects(file.read_bytes())
        descriptors = re.findall(r"/Type /FontDescriptor\b", text)
        assert descriptors, f"{file.name} has no letters"
        assert len(re.findall(r"/FontFile2 \d+ 0 R", text)) == len(descriptors)
        assert "/Subtype /Type3" not in text
        assert "/Subtype /CIDFontType2" in text


def test_svgs_need_no_fonts(exported: Path) -> None:
    for file in exported.glob("*.svg"):
        text = file.read_text()
        assert "<text" not in text
        assert "font-family" not in text


@pytest.mark.parametrize("name", ["scores", "importance", "learning_curves"])
def test_figures_are_as_wide_as_the_column(name: str, exported: Path) -> None:
    box = re.search(
        r"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", objects((exported / f"{name}.pdf").read_bytes())
    )
    assert box
    assert float(box[1]) == pytest.approx(3.5 * 72, abs=0.5)
    assert float(box[2]) <= 9 * 72


def test_letters_have_the_size_of_the_column_and_lie_inside(tmp_path: Path) -> None:
    _, comparison = compared(tmp_path, folds=10)
    for name, drawing in draw_comparison(comparison).items():
        column = JournalColumn(3.5, 7)
        fit(drawing.figure, column)
        FigureCanvasAgg(drawing.figure).draw()
        drawn = drawing.figure.get_tightbbox()
        width, height = drawing.figure.get_size_inches()
        assert drawn.x0 > -0.03, name
        assert drawn.y0 > -0.03, name
        assert drawn.x1 < width + 0.03, name
        assert drawn.y1 < height + 0.03, name
        for text in drawing.figure.findobj(Text):
            if text.get_visible() and text.get_text():
                assert 5.5 <= float(text.get_fontsize()) <= 7.5, (name, text.get_text())


def test_the_same_study_gives_the_same_files(tmp_path: Path) -> None:
    _, comparison = compared(tmp_path, folds=10)
    contents = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        files = save(draw_comparison(comparison), COLUMNS["jmlr"], tmp_path / place)
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


# -- table ----------------------------------------------------------------------------------------


def table_of(folder: Path, **options: Any) -> str:
    study, comparison = compared(folder, **options)
    return ranking_table("x", study.configurations, comparison, study.best, study.card, 3)


def body(table: str) -> list[list[str]]:
    """Return the cells of a table's rows."""
    rows = table.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    return [re.split(r" (?<!\\)& ", row.removesuffix(r" \\")) for row in rows]


def test_the_table_holds_the_best_with_intervals(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, folds=10)
    table = ranking_table("x", study.configurations, comparison, study.best, study.card, 3)
    rows = body(table)
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert {len(row) for row in rows} == {7}
    assert all(r"$\pm$" in row[2] for row in rows)
    assert r"\begin{tabular}{rlrrrrr}" in table
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert table.count(rule) == 1
    assert "The best 3 of 4 configurations by accuracy (higher is better)" in table
    assert r"n = 10 splits" in table
    assert r"95\% confidence interval" in table
    assert "held-out test set (n = 12)" in table


def test_stars_stand_only_where_all_pairs_are_allowed_for(tmp_path: Path) -> None:
    study, comparison = compared(tmp_path, folds=10, space={"mlp.units": [4, 8, 16]}, fade=2.0)
    table = ranking_table("x", study.configurations, comparison, study.best, study.card, 3)
    expected = [stars(p) for p in comparison.comparisons["p_any_pair"]]
    assert any(expected)
    found = [re.search(r"\^\{(\*+)\}", row[3]) for row in body(table)]
    assert [match[1] if match else "" for match in found] == expected
    assert "p up to 0.0" in table


def test_without_significance_there_is_no_star_and_the_caption_says_so(tmp_path: Path) -> None:
    table = table_of(tmp_path, folds=5, fade=0.01)
    assert "^{*" not in table
    assert "No difference in this table is significant at 0.05" in table


def test_one_split_has_neither_interval_nor_test(tmp_path: Path) -> None:
    table = table_of(tmp_path, folds=1)
    assert "on one split, so that there are neither intervals nor tests" in table
    assert {len(row) for row in body(table)} == {4}
    assert r"\pm" not in table


def test_everything_that_latex_would_read_is_escaped(tmp_path: Path) -> None:
    table = table_of(tmp_path, labels=EVIL, space={"mlp.units": [4, 8, 16, 32]}, folds=10)
    content = table.split("\n", 1)[1]
    assert not SPECIAL.search(content)
    assert r"\input" not in content
    assert r"\textbackslash{}input" in content
    assert all(character.isprintable() or character == "\n" for character in content)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5%", r"a\_b \& 5\%"),
        (r"\x{}", r"\textbackslash{}x\{\}"),
        ("~^$#", r"\textasciitilde{}\textasciicircum{}\$\#"),
        ("😀é", "[U+1F600]é"),
        ("a\nb", "a b"),
    ],
)
def test_escaping(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0005, "***"), (0.01, "**"), (0.05, "*"), (0.051, ""), (1.0, ""), (np.nan, "")],
)
def test_stars(p: float, expected: str) -> None:
    assert stars(p) == expected


def balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_latex_takes_the_table(tmp_path: Path) -> None:
    """With a LaTeX engine it is compiled, without one its structure is checked."""
    table = table_of(tmp_path, labels=EVIL, space={"mlp.units": [4, 8, 16, 32]}, folds=10)
    assert balanced(table)
    assert table.count(r"\begin{") == table.count(r"\end{") == 2
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", table)
    assert columns
    assert {len(row) for row in body(table)} == {len(columns[1])}
    engine = shutil.which("pdflatex") or shutil.which("xelatex") or shutil.which("tectonic")
    if engine:
        document = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}"
        text = f"{document}\\begin{{document}}\n{table}\\end{{document}}"
        (tmp_path / "paper.tex").write_text(text)
        subprocess.run([engine, "paper.tex"], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)


# -- command --------------------------------------------------------------------------------------


def test_one_command_exports_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--column", "nature-double", "--rows", "2")) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert {file.suffix for file in written} == {".tex", ".pdf", ".svg"}
    place = folder / "results" / "paper" / "paper" / "nature-double"
    assert {file.parent for file in written} == {place}
    assert len(body((place / "table.tex").read_text())) == 2


@pytest.mark.parametrize(
    ("option", "value", "allowed", "code"),
    [("--column", "huge", "allowed: single, double", 1), ("--rows", "0", "allowed: 1 or more", 2)],
)
def test_wrong_options_are_refused_with_what_is_allowed(
    option: str,
    value: str,
    allowed: str,
    code: int,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments(folder, option, value)) == code
    said = capsys.readouterr().err
    assert option in said
    assert allowed in said


def test_columns_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", "--columns"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COLUMNS)
    assert "7.20 in  6.5 pt" in said


def test_a_study_that_is_not_finished_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_finished(tmp_path, "paper")
    assert main(arguments(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "is not finished: there is no comparisons.parquet" in said
    assert "run: snakemake --configfile" in said
    assert not (paths.root / "paper").exists()
