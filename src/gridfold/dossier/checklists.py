"""The checklists of REFORMS and NeurIPS, filled in as far as the run knows the answers.

REFORMS: Kapoor et al. (2024), REFORMS: Consensus-based recommendations for machine-learning-based
science, Science Advances 10 (18), eadk3452, table 1. NeurIPS: the paper checklist of the conference
as of 2025. The items are named in short words of ours; the numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridfold.dossier import answers
from gridfold.dossier.answers import Answer
from gridfold.dossier.facts import RunFacts
from gridfold.wording import markdown_text

_Answers = Callable[[RunFacts], Answer]


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes
    ----------
    number : str
    text : str
        What is asked for, in short words.
    answer : callable or None
        Returns what the run knows; None for what only the authors know.
    authors : str
        What is left for the authors to say, after the answer; empty where nothing is.
    """

    number: str
    text: str
    answer: _Answers | None = None
    authors: str = ""


@dataclass(frozen=True)
class Checklist:
    """A checklist.

    Attributes
    ----------
    title, source : str
    sections : dict of str to list of Item
        By their headings.
    """

    title: str
    source: str
    sections: dict[str, tuple[Item, ...]]

    def markdown(self, facts: RunFacts) -> str:
        """Return the checklist as Markdown, filled in for a run."""
        items = [item for section in self.sections.values() for item in section]
        answered = {item.number: item.answer(facts) for item in items if item.answer}
        lines = [
            f"# {self.title}: {markdown_text(facts.name)}",
            "",
            f"{self.source} Items are named in short words of ours; their own text counts.",
            "",
            f"{len(answered)} of {len(items)} items are answered, wholly or in part, by what the "
            "run knows, with the files that prove it; all others are left to the authors.",
        ]
        for heading, section in self.sections.items():
            lines += ["", f"## {heading}", ""]
            lines += [_line(item, answered.get(item.number)) for item in section]
        return "\n".join(lines) + "\n"


def _line(item: Item, answer: Answer | None) -> str:
    parts = [f"- **{item.number} {item.text}.**"]
    if answer is not None:
        parts.append(answer.text)
        # They lie in a folder of their own.
        links = ", ".join(f"[{file}](../{file})" for file in answer.files)
        parts.append(f"({links})" if links else "")
    if answer is None:
        parts.append("*To be stated by the authors.*")
    elif item.authors:
        parts.append(f"*To be stated by the authors: {item.authors}.*")
    return " ".join(filter(None, parts))


REFORMS = Checklist(
    "REFORMS checklist",
    "Kapoor et al. (2024), Science Advances 10 (18), eadk3452, doi:10.1126/sciadv.adk3452.",
    {
        "1 Study goals": (
            Item("1a", "Population or distribution that the claim is about"),
            Item("1b", "Why this population"),
            Item("1c", "Why machine learning"),
        ),
        "2 Computational reproducibility": (
            Item("2a", "The data, identified", answers.data, "a link or DOI of the data"),
            Item("2b", "The code, identified", answers.code, "a link or DOI of the code"),
            Item("2c", "Computing infrastructure", answers.infrastructure),
            Item("2d", "Instructions", answers.instructions, "how the data are obtained"),
            Item("2e", "Reproduction script", answers.script),
        ),
        "3 Data quality": (
            Item(
                "3a",
                "Sources of the data",
                answers.source,
                "when and how they were collected and annotated",
            ),
            Item("3b", "Sampling frame"),
            Item("3c", "Why the data suit the task"),
            Item("3d", "Outcome variable", answers.outcome, "what it means"),
            Item("3e", "Number of samples", answers.samples),
            Item("3f", "Missing data", answers.missing, "missing data by class"),
            Item("3g", "Why the data represent the population"),
        ),
        "4 Data preprocessing": (
            Item("4a", "Excluded samples", answers.excluded, "what was excluded before"),
            Item(
                "4b",
                "Impossible or corrupt samples",
                answers.corrupt,
                "values that can be read and can't be true",
            ),
            Item("4c", "Transformations", answers.transformations, "what was done before"),
        ),
        "5 Modeling": (
            Item("5a", "Models, features, loss", answers.models),
            Item("5b", "Why these models"),
            Item("5c", "Evaluation", answers.evaluation),
            Item("5d", "Model selection", answers.selection),
            Item("5e", "Hyperparameters", answers.hyperparameters, "why these values"),
            Item("5f", "Baselines", answers.baselines, "whether these are the appropriate ones"),
        ),
        "6 Data leakage": (
            Item("6a", "Training and test data kept apart", answers.separation),
            Item(
                "6b",
                "Dependencies and duplicates",
                answers.dependencies,
                "whether samples depend on each other in any other way",
            ),
            Item("6c", "Why each feature is legitimate", answers.features, "the reasons"),
        ),
        "7 Metrics and uncertainty": (
            Item("7a", "Metrics", answers.measures, "why the ranking measure suits the task"),
            Item("7b", "Uncertainty", answers.uncertainty),
            Item("7c", "Statistical tests", answers.tests),
        ),
        "8 Generalizability and limitations": (
            Item("8a", "External validity", answers.external, "evidence from other data"),
            Item("8b", "Where the findings are not expected to hold"),
        ),
    },
)

NEURIPS = Checklist(
    "NeurIPS paper checklist",
    "The checklist of 2025, <https://neurips.cc/public/guides/PaperChecklist>.",
    {
        "Items": (
            Item("1", "Claims match the results"),
            Item("2", "Limitations", answers.limitations, "all others"),
            Item("3", "Theory: assumptions and proofs"),
            Item("4", "Reproducibility of the results", answers.reproducibility),
            Item("5", "Open access to data and code", answers.access, "where both are published"),
            Item("6", "Experimental setting", answers.setting),
            Item("7", "Statistical significance", answers.significance),
            Item("8", "Compute resources", answers.infrastructure, "runs that led to this one"),
            Item("9", "Code of ethics"),
            Item("10", "Broader impacts"),
            Item("11", "Safeguards"),
            Item("12", "Licences of existing assets", answers.licences, "the licence of the data"),
            Item("13", "New assets", answers.assets, "their licence"),
            Item("14", "Crowdsourcing and human subjects"),
            Item("15", "Approval by a review board"),
            Item("16", "Use of language models"),
        ),
    },
)
