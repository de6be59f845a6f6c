"""The report's section on the comparison: how sure the choice is, and what matters."""

from __future__ import annotations

import math
from typing import Any

from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import (
    Cell,
    Heading,
    Table,
    TableColumn,
    configuration_cell,
    count_column,
    share_text,
    table_of,
    text_column,
)
from gridfold.statistics.result import Comparison, ComparisonFacts
from gridfold.store.model_card import ModelCard
from gridfold.store.nested import NestedEstimate
from gridfold.store.selection import Selection
from gridfold.wording import (
    MISSING,
    counted,
    decimals,
    measure_name,
    number,
    p_value,
    percent,
)

_MOST_ROWS = 10
# Of fewer configurations, shares of variance say more about these few than about the axes.
_FEWEST_FOR_IMPORTANCE = 10


def comparison(study: ReportInput) -> ReportSection | None:
    """Return how sure the choice is and what matters; None where nothing was compared.

    Parameters
    ----------
    study : ReportInput
    """
    found = study.comparison
    if found is None:
        return None
    compared = len(found.comparisons) > 1
    search = study.explored
    judged = len(found.comparisons if search is None else search.configurations)
    content = {
        "estimates": _estimates(found.facts, study.best, study.card, study.nested),
        "sentences": [
            *_selection(found, study.best),
            *_significance(found),
            *_ranks(found),
        ],
        "comparisons": _comparisons(found) if compared else None,
        # Where each value has one configuration, the table above has said it all.
        "scientific": (
            _scientific(found) if (found.scientific["n_configurations"] > 1).any() else None
        ),
        "ranks_differ": any(test.separates for test in found.facts.ranks),
        "ranked": bool(found.facts.ranks),
        "effort": found.facts.explored,
        "matters": len(found.importance) > 0 and judged >= _FEWEST_FOR_IMPORTANCE,
        "notes": _notes(found) if compared else [],
        "files": [
            (name, BESIDE.table_csv(name)) for name in ("comparisons", "scientific", "importance")
        ],
    }
    return ReportSection("comparison", "Comparison", "How sure is the choice?", content)


def _estimates(
    facts: ComparisonFacts, best: Selection, card: ModelCard, nested: NestedEstimate | None
) -> Table:
    """Return the winner's score with and without the luck of the selection, and on the test set.

    Beside them that of search and training together, where the study has outer folds.
    """
    places, selection, test = best.decimals, facts.selection, card.test
    name = measure_name(best.measure)

    def row(how: str, score: float | None, low: Any, high: Any, basis: str) -> list[Cell]:
        return [
            Cell(how),
            Cell(number(score, places)),
            Cell(_between(low, high, places)),
            Cell(basis),
        ]

    over = counted(best.n_splits, "split")
    quoted = best.headline
    # The one that is quoted has the interval that is quoted.
    low, high = (best.low, best.high) if quoted.is_corrected else (quoted.low, quoted.high)
    rows = [row("As selected", best.mean, low, high, f"mean over {over}")]
    if selection.corrected is not None:
        rows.append(
            row(
                "Corrected for the selection",
                selection.corrected,
                selection.low,
                selection.high,
                f"{counted(best.corrected_for, 'configuration')}, "
                f"{counted(selection.resamples, 'bootstrap sample')} of "
                f"{counted(selection.samples, 'sample')}",
            )
        )
    if nested is not None and nested.score is not None:
        basis = f"the whole search and its winner in each of {counted(nested.folds, 'outer fold')}"
        rows.append(
            row("Search and training, nested", nested.score, nested.low, nested.high, basis)
        )
    if test:
        basis = f"{counted(test.samples, 'sample')}, scored once"
        rows.append(row("Held-out test set", test.score, test.low, test.high, basis))
    level = percent(best.confidence)
    headings = [
        Heading("Estimate", numeric=False),
        Heading(f"{name[0].upper()}{name[1:]}"),
        Heading(f"{level} interval", numeric=False),
        Heading("Basis", numeric=False),
    ]
    return Table(headings, rows, len(rows))


def _between(low: float | None, high: float | None, places: int) -> str:
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"{number(low, places)} to {number(high, places)}"


def _selection(comparison: Comparison, best: Selection) -> list[str]:
    selection = comparison.facts.selection
    if selection.corrected is None or selection.optimism is None:
        return [selection.obstacle]
    share = float(comparison.comparisons["chosen"].iloc[0])
    return [
        f"Being the best of {counted(best.corrected_for, 'configuration')} flatters the "
        f"selected one by about {number(max(0.0, selection.optimism), best.decimals)} "
        f"{measure_name(best.measure)}. It would have been selected on "
        f"{percent(round(share, 2))} of the bootstrap samples."
    ]


def _significance(comparison: Comparison) -> list[str]:
    table, facts = comparison.comparisons, comparison.facts
    others = table.iloc[1:]
    if not len(others):
        return []
    if not others["p_value"].notna().any():
        return ["No test can tell the configurations apart: that takes two splits at least."]
    alpha = 1 - facts.confidence
    holm, strict = (int((others[name] <= alpha).sum()) for name in ("p_holm", "p_any_pair"))
    found = (
        f"{strict:,} of {counted(len(others), 'comparison')} with the selected configuration "
        f"{'is' if strict == 1 else 'are'} significant at {percent(facts.confidence)} confidence"
        " when it counts that the selected one was picked by these very scores"
    )
    if holm != strict:
        found += f"; {holm:,} if that is ignored (Holm)"
    lines = [f"{found}."]
    if facts.wilcoxon:
        lines.append(facts.wilcoxon)
    else:
        agreeing = int((others["wilcoxon_p"] <= alpha).sum())
        lines.append(
            f"Wilcoxon’s signed-rank test, Holm-adjusted, finds {agreeing:,} of "
            f"{len(others):,}; it takes the splits for independent and so finds too many."
        )
    return lines


def _ranks(comparison: Comparison) -> list[str]:
    lines = []
    for title, test in comparison.rank_tests().items():
        if not test.can_reject:
            lines.append(
                f"{title}: Friedman’s test can’t find differences here, however large: splits that "
                f"share training samples count as {test.blocks:.2g} independent ones, and ranks "
                f"that agree on all of them have p {_p_text(test.least_p_value)}."
            )
            continue
        verdict = "finds" if test.p_value <= test.alpha else "finds no"
        text = f"{title}: Friedman’s test {verdict} differences (p {_p_text(test.p_value)})"
        if not test.can_separate:
            text += (
                f". Nemenyi’s test can’t tell any two apart: the critical difference, "
                f"{test.critical_difference:.2f}, is more than ranks can differ, "
                f"{len(test.ranks) - 1}. Only more splits change that"
            )
        lines.append(f"{text}.")
    return lines


def _p_text(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _comparisons(comparison: Comparison) -> Table:
    table, facts = comparison.comparisons, comparison.facts
    shown = table.iloc[1 : _MOST_ROWS + 1]
    places = decimals(shown["difference_high"] - shown["difference"], shown["difference"])
    level = percent(facts.confidence)
    columns: list[TableColumn] = [
        (Heading("Rank"), lambda row: Cell(str(row["rank"]))),
        (Heading("Configuration", numeric=False), configuration_cell),
        (
            Heading("Difference", "mean minus that of the selected configuration"),
            lambda row: Cell(number(row["difference"], places, signed=True)),
        ),
        (
            Heading(f"{level} interval", "of the difference, corrected", numeric=False),
            lambda row: Cell(_between(row["difference_low"], row["difference_high"], places)),
        ),
        (Heading("p", "alone"), lambda row: Cell(p_value(row["p_value"]))),
        (Heading("p, Holm"), lambda row: Cell(p_value(row["p_holm"]))),
        (
            Heading("p, any pair", "against the selected one, for all pairs of the study"),
            lambda row: Cell(p_value(row["p_any_pair"])),
        ),
        (
            Heading("May be best", f"the best one is among those that may, at {level} confidence"),
            lambda row: Cell("yes" if row["may_be_best"] else "no"),
        ),
        (
            Heading("Effect", "Cohen’s d of the paired differences, with its interval"),
            lambda row: Cell(_effect(row)),
        ),
        (
            Heading("Wins", "share of splits on which the selected one is better"),
            lambda row: Cell(share_text(row["superiority"])),
        ),
        (
            Heading("Chosen", "share of bootstrap samples that would have selected it"),
            lambda row: Cell(share_text(row["chosen"])),
        ),
    ]
    return table_of(columns, shown, len(table) - 1)


def _effect(row: Any) -> str:
    if not math.isfinite(row["effect_size"]):
        return MISSING
    return f"{number(row['effect_size'], 2)} ({_between(row['effect_low'], row['effect_high'], 2)})"


def _scientific(comparison: Comparison) -> Table:
    table = comparison.scientific
    places = decimals(table["high"] - table["mean"], table["mean"])
    name, level = measure_name(comparison.facts.measure), percent(comparison.facts.confidence)
    columns: list[TableColumn] = [
        text_column("axis", "Axis"),
        text_column("value", "Value"),
        count_column("n_configurations", "Of", "configurations with this value"),
        (Heading("Best configuration", numeric=False), configuration_cell),
        (Heading(f"{name[0].upper()}{name[1:]}"), lambda row: Cell(number(row["mean"], places))),
        (
            Heading(f"{level} interval", "of the mean", numeric=False),
            lambda row: Cell(_between(row["low"], row["high"], places)),
        ),
        (
            Heading("Difference", "mean minus that at the best value of the axis"),
            lambda row: Cell(number(row["difference"], places, signed=True)),
        ),
        (
            Heading(f"{level} interval", "of the difference, corrected", numeric=False),
            lambda row: Cell(_between(row["difference_low"], row["difference_high"], places)),
        ),
        (
            Heading("p, any pair", "against the best value, for all pairs of the study"),
            lambda row: Cell(p_value(row["p_any_pair"])),
        ),
    ]
    return table_of(columns, table.head(5 * _MOST_ROWS), len(table))


def _notes(comparison: Comparison) -> list[str]:
    lines = [
        "All p-values are two-sided, of tests that are paired by split and take into account that "
        "splits share training samples (Nadeau & Bengio, 2003; Bouckaert & Frank, 2004 for "
        "repeats). How much a difference varies is learnt from all pairs together (moderated "
        "variances; Smyth, 2004).",
        "“p, Holm” corrects for the number of comparisons, but not for picking the reference: the "
        "best of many is better than it deserves. “p, any pair” is corrected for all pairs "
        "of the study (Bonferroni), whichever is picked; claim significance by this one.",
        "“May be best” is no for a configuration that another one beats, by one-sided tests that "
        "are corrected for as many as there are others (Hsu, 1984). It asks less than “p, any "
        "pair”, and so can be no where that is not significant.",
        "The effect is the mean over the standard deviation of the differences by split, positive "
        "where the selected configuration is better. It says how regular an advantage is, not how "
        "large.",
    ]
    if comparison.facts.selection.corrected is not None:
        lines.append(
            "“Corrected for the selection”: the selection is repeated on bootstrap samples and "
            "judged on the samples they leave out (BBC-CV; Tsamardinos et al., 2018). It corrects "
            "for this search, not for what was tried before it."
        )
    if len(comparison.scientific):
        lines.append(
            "At each value of an axis stands the best configuration over all values of the other "
            "axes. The best of more configurations has had more luck, so compare values that have "
            "equally many."
        )
    return lines
