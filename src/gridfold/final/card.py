"""The model card in words, as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.store.model_card import CrossValidation, ModelCard, ModelData
from gridfold.usercode.functions import own_code
from gridfold.wording import counted, markdown_text, of_classes, threshold_sentence


def write_card(card: ModelCard, json_file: Path, markdown_file: Path) -> None:
    """Write the model card for programs and for people."""
    card.write(json_file)
    write_text(markdown_file, card_markdown(card))


def card_markdown(card: ModelCard) -> str:
    """Return the model card as Markdown; names of users are nothing but text in it."""
    validation, test, machine = card.cross_validation, card.test, card.environment
    lines = [
        f"# Model card: {markdown_text(card.study)}",
        "",
        f"Configuration `{card.configuration.id}`: {markdown_text(card.configuration.label)}",
        "",
        "## Scores",
        "",
        "| estimate | measure | value | interval | n |",
        "|---|---|---|---|---|",
        *_over_splits(validation),
    ]
    if card.nested:
        nested = card.nested
        lines.append(
            f"| search and training together, nested cross-validation | "
            f"{markdown_text(nested.measure)} | {_shown(nested.score)} | "
            f"{_shown(nested.low)} to {_shown(nested.high)} | "
            f"{counted(nested.folds, 'outer fold')} |"
        )
    if test:
        lines.append(
            f"| held-out test set | {markdown_text(test.measure)} | {_shown(test.score)} | "
            f"{_shown(test.low)} to {_shown(test.high)} | {test.samples} samples |"
        )
        lines += [
            f"| held-out test set | {markdown_text(name)} | {_shown(other.score)} | "
            f"{_shown(other.low)} to {_shown(other.high)} | {test.samples} samples |"
            for name, other in test.further.items()
        ]
    if card.tested_ensemble:
        together, score = card.tested_ensemble
        lines.append(
            f"| mean of the models of {len(together.members)} splits, held-out test set | "
            f"{markdown_text(score.measure)} | {_shown(score.score)} | "
            f"{_shown(score.low)} to {_shown(score.high)} | {score.samples} samples |"
        )
    lines += [
        "",
        *_remarks(card),
        "",
        "## How to load it",
        "",
        *_loading_code(card.data, own_code(card.configuration.settings["model"])),
        "",
    ]
    if card.data.classes:
        lines += [f"Classes: {', '.join(map(markdown_text, card.data.classes))}", ""]
    lines += [f"It answers with {markdown_text(card.answers)}.", ""]
    if card.threshold is not None:
        lines += [
            markdown_text(threshold_sentence(card.threshold, card.data.classes or [])),
            "",
        ]
    lines += [
        "## Where it comes from",
        "",
        f"- training: {card.training.samples} samples, {card.training.epochs} epochs",
        f"- data digest: `{card.data.digest}`",
        f"- code: {machine.git_commit or 'not in a git repository'}",
        f"- versions: {', '.join(f'{name} {number}' for name, number in machine.packages.items())}",
        f"- machine: {markdown_text(machine.processor)}, {markdown_text(machine.platform)}",
        "",
        "## Settings",
        "",
        "```json",
        json.dumps(card.configuration.settings, indent=1),
        "```",
        "",
    ]
    return "\n".join(lines)


def _over_splits(validation: CrossValidation) -> list[str]:
    """Return the rows of the scores over the splits: the one that is quoted, and as selected."""
    quoted = validation.quoted
    plain = (
        f"| cross-validation, mean over splits{' as selected' * quoted.is_corrected} | "
        f"{markdown_text(validation.measure)} | {_shown(validation.mean)} | "
        f"{_shown(validation.low if quoted.is_corrected else quoted.low)} to "
        f"{_shown(validation.high if quoted.is_corrected else quoted.high)} | "
        f"{validation.n_splits} splits |"
    )
    if not quoted.is_corrected:
        return [plain]
    return [
        f"| cross-validation, corrected for the selection | {markdown_text(validation.measure)} | "
        f"{_shown(quoted.score)} | {_shown(quoted.low)} to {_shown(quoted.high)} | "
        f"{validation.n_splits} splits |",
        plain,
    ]


def _remarks(card: ModelCard) -> list[str]:
    """Return what the scores are of, and what they don't say."""
    validation, test = card.cross_validation, card.test
    classes = of_classes(validation.measure, card.data.classes)
    lines = [f"{markdown_text(validation.measure)}: {markdown_text(classes)}."] if classes else []
    best = (
        f"the best of {validation.tried:,} configurations"
        if validation.tried > 1
        else "the best of the configurations of its study"
    )
    if validation.rule:
        lines.append(
            f"The configuration was selected by the rule `{validation.rule}` of its study, which "
            "looked at this score, too; it is not corrected for that."
        )
    elif validation.quoted.is_corrected:
        lines.append(
            f"As selected, the score is that of {best} and so too good. The corrected one takes "
            "out the luck of this choice, and nothing that was tried before the study."
        )
    elif validation.tried != 1:
        lines.append(
            f"The cross-validation figure is that of {best} and so too good; it could not be "
            "corrected."
        )
    if card.nested:
        lines.append(
            "Nested cross-validation is about the procedure: each outer fold searched anew, and "
            "its winner was scored once on samples that nothing in the fold had seen. This model "
            "is trained on more samples, and may have another configuration than some folds."
        )
    if test:
        lines.append(f"The test set played no part in the choice{_used(card)}.")
    return [line for text in lines for line in (text, "")][:-1]


def _used(card: ModelCard) -> str:
    """Say how often the test set was scored, if more than once."""
    if not card.tested_ensemble:
        return ""
    return "; it was scored twice, by the final model and by the mean of the models of the splits"


def _loading_code(data: ModelData, own: Sequence[Path]) -> list[str]:
    """Return Python that loads the model and predicts, with remarks on what it reads.

    Parameters
    ----------
    data : ModelData
    own : sequence of Path
        The files with code of the user's, of which the model may be made.
    """
    if own:
        files = ", ".join(_literal(str(file)) for file in own)
        libraries = ["from gridfold import ModelInputs, load_model"]
        loading = [
            "# with your own layers and functions; the path is that of the study",
            f'model = load_model("model.keras", {files})',
        ]
    else:
        libraries = ["import keras", "from gridfold import ModelInputs"]
        loading = ['model = keras.saving.load_model("model.keras")']
    lines = [
        "`model.keras` holds network and scaling, `preprocessing.json` what is done before: plain "
        "numbers and names, no code.",
        "",
        "```python",
        "from pathlib import Path",
        "",
        *libraries,
        "",
        *loading,
        'inputs = ModelInputs.load(Path("preprocessing.json"))',
    ]
    if data.columns:
        columns = ", ".join(map(_remark, data.columns))
        lines += [
            f"# a file, or pandas.DataFrame, with the columns {columns}",
            'table = inputs.read_table("new.csv")',
            "model.predict(inputs.from_table(table))",
        ]
    elif "images" in data.reading:
        lines += ["# files: paths of images", "model.predict(inputs.from_images(files))"]
    else:
        lines += [
            f"# samples: an array of shape (samples, {', '.join(map(str, data.sample_shape))})",
            "model.predict(inputs.from_array(samples))",
        ]
    return [*lines, "```"]


def _remark(text: str) -> str:
    """Return `text` for a comment of Python, on one line; quoted where it is not plain."""
    return text if text.isprintable() and "`" not in text else _literal(text)


def _literal(text: str) -> str:
    """Return `text` as Python and JSON write it, on one line."""
    return json.dumps(text)


def _shown(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.4g}"
