"""The model card says what names are, and none of them becomes markup or code."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from ondisk import write_finished

from gridfold.final.card import card_markdown
from gridfold.store.model_card import ModelCard

HOSTILE = (
    "a\nimport os; os.system('id')",
    "```\n\n# heading",
    "`code` *bold* _it_ [link](http://x) ![i](http://x)",
    "<script>alert(1)</script> &lt; {{ 7 * 7 }} $x$",
    "a | b \\| c",
    '\'"""\n\r\u2028print(1)\x1b[31m',
)


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return ModelCard.read(write_finished(tmp_path, "plain").final_model.card)


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def kinds(text: str) -> list[tuple[str, list[str]]]:
    """Return the structure of a Markdown text: all but the words in it."""
    return [
        (token.type, [child.type for child in token.children or () if child.type != "text"])
        for token in tokens(text)
    ]


def named(card: ModelCard, name: str) -> ModelCard:
    settings = json.loads(json.dumps(card.configuration.settings))
    settings["model"] = {"family": "python", "build": f"{name}.py:build", "hp": {}}
    data = replace(card.data, classes=[name, name, name], columns=[name, f"{name} 2"])
    return replace(
        card,
        study=name,
        configuration=replace(card.configuration, label=name, settings=settings),
        cross_validation=replace(card.cross_validation, measure=name),
        data=data,
        answers=f"the probability of the class {name}",
        environment=replace(card.environment, processor=name),
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_markup_or_code(card: ModelCard, name: str) -> None:
    text = card_markdown(named(card, name))
    assert kinds(text) == kinds(card_markdown(named(card, "plain")))
    (code,) = (token.content for token in tokens(text) if token.info == "python")
    statements = [type(statement) for statement in ast.parse(code).body]
    assert statements == [ast.ImportFrom] * 2 + [ast.Assign] * 3 + [ast.Expr]
    (files,) = (
        [argument.value for argument in call.args[1:] if isinstance(argument, ast.Constant)]
        for call in ast.walk(ast.parse(code))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "load_model"
    )
    assert files == [str(Path(f"{name}.py"))]


def test_plain_names_stand_as_they_are(card: ModelCard) -> None:
    text = card_markdown(named(card, "sepal_length (cm) - 2.5 % #1"))
    assert "# Model card: sepal_length (cm) - 2.5 % #1\n" in text
    assert "columns sepal_length (cm) - 2.5 % #1, " in text
