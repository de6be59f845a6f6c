"""Draw the layers of the package as the import contract in pyproject.toml has them.

It writes docs/images/layers.svg; with --check, it fails if that file is out of date.
"""

from __future__ import annotations

import argparse
import ast
import textwrap
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "layers.svg"
REPAIR = "make schema"

# All lengths are in pixels of a picture that is as wide as a page of the documentation.
WIDTH = 880
MARGIN = 16
# Room for the arrow at the left.
LEFT = 56
GAP = 8
PADDING = 10
LINE = 15
# Mean width of a letter of the descriptions, in a sans-serif of 12 pixels.
LETTER = 6.6
MOST_IN_A_ROW = 3

STYLE = """\
  .page { fill: #ffffff }
  .layer { fill: #eef2f7 }
  .package { fill: #ffffff; stroke: #9fb0c5 }
  .name { fill: #10243e; font: 600 13px ui-monospace, Menlo, Consolas, monospace }
  .says, .arrow text { fill: #3d4b5c; font: 12px system-ui, Helvetica, Arial, sans-serif }
  .arrow path { fill: none; stroke: #3d4b5c; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #131416 }
    .layer { fill: #1f2630 }
    .package { fill: #131416; stroke: #53657c }
    .name { fill: #e6edf5 }
    .says, .arrow text { fill: #b6c2d0 }
    .arrow path { stroke: #b6c2d0 }
  }"""


def layers() -> list[list[str]]:
    """Return the packages of each layer, the topmost layer first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            return [layer.split(" | ") for layer in contract["layers"]]
    raise ValueError("pyproject.toml has no import contract of type `layers`")


def description(package: str) -> str:
    """Return the first line of the docstring of a package or module."""
    place = ROOT / "src" / "gridfold" / package
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("`", "")


def picture() -> str:
    """Return the picture as SVG."""
    drawn = []
    y = MARGIN
    for packages in layers():
        rows = list(_rows(packages))
        height = sum(_height(row) + GAP for row in rows) + GAP
        drawn.append(_box("layer", LEFT, y, WIDTH - LEFT - MARGIN, height, 8))
        inner = y + GAP
        for row in rows:
            drawn += _drawn(row, inner)
            inner += _height(row) + GAP
        y += height + GAP
    end = y - GAP
    middle = (MARGIN + end) / 2
    names = "; ".join(", ".join(packages) for packages in layers())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + MARGIN}" '
            f'width="{WIDTH}" height="{end + MARGIN}" role="img" aria-labelledby="title names">',
            f"<!-- Drawn by docs/layers.py from pyproject.toml and docstrings; run: {REPAIR} -->",
            '<title id="title">The layers of gridfold: each imports only from those below</title>',
            f'<desc id="names">From top to bottom: {names}</desc>',
            f"<style>\n{STYLE}\n</style>",
            _box("page", 0, 0, WIDTH, end + MARGIN, 0),
            '<g class="arrow">',
            f'<path d="M 36 {MARGIN + 4} V {end - 4} m -5 -9 l 5 9 l 5 -9"/>',
            f'<text text-anchor="middle" transform="translate(24 {middle:g}) rotate(-90)">'
            "imports only from the layers below</text>",
            "</g>",
            *drawn,
            "</svg>",
            "",
        ]
    )


def _rows(packages: list[str]) -> Iterator[list[tuple[str, list[str]]]]:
    """Yield rows of packages with the lines of their descriptions."""
    count = -(-len(packages) // MOST_IN_A_ROW)
    size = -(-len(packages) // count)
    for start in range(0, len(packages), size):
        row = packages[start : start + size]
        letters = int((_box_width(len(row)) - 2 * PADDING) / LETTER)
        yield [(name, textwrap.wrap(description(name), letters)) for name in row]


def _box_width(count: int) -> float:
    return (WIDTH - LEFT - MARGIN - GAP * (count + 1)) / count


def _height(row: list[tuple[str, list[str]]]) -> int:
    return 2 * PADDING + LINE * (1 + max(len(lines) for _, lines in row))


def _drawn(row: list[tuple[str, list[str]]], y: float) -> Iterator[str]:
    width = _box_width(len(row))
    for number, (name, lines) in enumerate(row):
        x = LEFT + GAP + number * (width + GAP)
        yield _box("package", x, y, width, _height(row), 5)
        for line, (kind, text) in enumerate([("name", name), *(("says", text) for text in lines)]):
            baseline = y + PADDING + LINE * line + 12
            yield f'<text class="{kind}" x="{x + PADDING:g}" y="{baseline:g}">{escape(text)}</text>'


def _box(kind: str, x: float, y: float, width: float, height: float, radius: int) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="{radius}"/>'
    )


def main() -> None:
    """Write the picture, or check the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail if the picture is out of date")
    if not parser.parse_args().check:
        PICTURE.write_text(picture(), encoding="utf-8")
    elif not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != picture():
        raise SystemExit(f"{PICTURE.relative_to(ROOT)} is out of date; run: {REPAIR}")


if __name__ == "__main__":
    main()
