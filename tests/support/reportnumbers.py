"""Reckons the numbers of a report anew, from the tables and predictions beside it.

Nothing here asks gridfold: means by pandas, intervals and tests by SciPy and statsmodels, measures
by scikit-learn. Each sentence of the answer must be one of those that are known here, so that none
comes in whose numbers nobody checks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup, Tag
from scipy import stats
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import MinMaxScaler
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

# As the report calls them, and the ranges that they have.
MEASURES = {
    "Accuracy": ("accuracy", 0, 1),
    "Balanced accuracy": ("balanced_accuracy", 0, 1),
    "F1": ("f1", 0, 1),
    "Macro F1": ("f1_macro", 0, 1),
    "ROC AUC": ("roc_auc", 0, 1),
    "ROC AUC (one against rest)": ("roc_auc_ovr", 0, 1),
    "Log loss": ("log_loss", 0, math.inf),
    "MSE": ("mse", 0, math.inf),
    "MAE": ("mae", 0, math.inf),
    "RMSE": ("rmse", 0, math.inf),
    "R²": ("r2", -math.inf, 1),
}
TITLES = {title.capitalize(): title for title in MEASURES}
LOSSES = ("mse", "mae", "rmse", "log_loss", "brier_score")
NUMBER = r"([−+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
NOTHING = ("–", "")


def value(text: str) -> float:
    """Return the number that a text begins with."""
    found = re.match(NUMBER, text.strip())
    assert found, text
    return float(found[1].replace(",", "").replace("−", "-"))


def same(text: str, number: float | None, what: str = "") -> None:
    """Assert that a text is a number, rounded to the digits that it has."""
    if number is None or not math.isfinite(number):
        assert text.strip() in NOTHING, (what, text, number)
        return
    if text.startswith("< "):
        assert number < value(text[2:]), (what, text, number)
        return
    shown = re.match(NUMBER, text.strip())
    assert shown, (what, text, number)
    whole, _, decimals = shown[1].partition(".")
    digits = whole.replace(",", "")
    # Of large numbers, what is not known is shown as zeros.
    places = len(decimals) or len(digits.rstrip("0")) - len(digits)
    assert abs(value(text) - number) <= 0.5 * 10**-places * (1 + 1e-6) + 1e-12, (what, text, number)


def same_percent(text: str, share: float, what: str = "") -> None:
    assert text.endswith("%"), (what, text)
    assert abs(value(text) - 100 * share) <= 0.5 + 1e-9, (what, text, share)


def same_p(text: str, p: float, what: str = "") -> None:
    if text.startswith("<"):
        assert p < value(text[1:]), (what, text, p)
    else:
        same(text, p, what)


class Report:
    """The report of a finished study, with what lies beside it.

    Parameters
    ----------
    folder : Path
        Of its results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = BeautifulSoup((folder / "report.html").read_text("utf-8"), "html.parser")
        self.best = json.loads((folder / "tables" / "best.json").read_text())
        self.card = json.loads((folder / "final" / "card.json").read_text())
        self.measure: str = self.best["measure"]
        self.sign = -1 if self.measure in LOSSES else 1
        self.problem = self.card["configuration"]["settings"]["problem"]["type"]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(
            self.folder / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""]
        )

    @cached_property
    def trials(self) -> pd.DataFrame:
        return self.table("trials")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row for each split, one column for each configuration."""
        return self.trials.pivot(index="split", columns="config_id", values=self.measure)

    @cached_property
    def ratio(self) -> float:
        return float((self.trials["n_validation"] / self.trials["n_train"]).mean())

    @cached_property
    def targets(self) -> Any:
        return np.load(self.folder / "data" / "targets.npy")

    def scaled(self, fitted: Any) -> Any:
        """Return all targets as models see them: of several outputs, scaled as `fitted` asks."""
        if self.problem != "multi_output":
            return self.targets
        return MinMaxScaler().fit(self.targets[fitted]).transform(self.targets)

    def section(self, name: str) -> Tag:
        found = self.page.find(id=name)
        assert isinstance(found, Tag), name
        return found

    def rows(self, heading: str) -> list[dict[str, str]]:
        """Return the rows of a table, by the titles of its columns; the label's id as `id`."""
        table = self.page.find("table", id=heading)
        if table is None:
            around = self.page.find(attrs={"aria-labelledby": heading, "role": "region"})
            assert isinstance(around, Tag), heading
            table = around.find("table")
        assert isinstance(table, Tag), heading
        titles = []
        for cell in table.select("thead th"):
            span = cell.find("span")
            assert isinstance(span, Tag)
            titles.append(span.get_text(strip=True))
        found = []
        for row in table.select("tbody tr"):
            cells = row.find_all(["td", "th"])
            assert len(cells) == len(titles)
            texts: dict[str, str] = {}
            for title, cell in zip(titles, cells, strict=True):
                code = cell.find("code")
                if isinstance(code, Tag):
                    texts["id"] = code.get_text(strip=True)
                    code.extract()
                texts.setdefault(title, cell.get_text(" ", strip=True))
            found.append(texts)
        return found

    def scored(self, targets: Any, prediction: Any) -> float:
        """Score predictions by the ranking measure, with scikit-learn."""
        prediction = np.asarray(prediction, float)
        if self.measure == "accuracy":
            return float(metrics.accuracy_score(targets, self.classes(prediction)))
        if self.measure == "mse":
            return float(metrics.mean_squared_error(targets.reshape(prediction.shape), prediction))
        raise AssertionError(self.measure)

    def classes(self, prediction: Any) -> Any:
        if self.problem == "binary":
            return (prediction[:, 0] >= 0.5).astype(int)
        return prediction.argmax(axis=1)


def check(folder: Path) -> None:
    """Assert that every number of a report's answer and tables is right."""
    report = Report(folder)
    for judge in (
        *(_subtitle, _headline, _answer, _audit, _classes, _configurations, _estimates),
        *(_comparison, _best_at_each_value, _baselines, _data, _cost),
    ):
        judge(report)


def _subtitle(report: Report) -> None:
    said = report.page.select_one(".subtitle")
    assert said is not None
    numbers = [value(n) for n in re.findall(NUMBER + r" (?:conf|split|trial)", said.get_text())]
    trials = report.trials
    expected = [trials["config_id"].nunique(), trials["split"].nunique(), len(trials)]
    assert numbers == expected


def least_variance(name: str, rows: pd.DataFrame) -> float:
    """Return the variance that a score has by its resolution: a twelfth of its squared step."""
    n = rows["n_validation"]
    if name in ("accuracy", "balanced_accuracy", "f1", "f1_macro"):
        steps = 1 / n
    elif name.startswith("roc_auc"):
        steps = 4 / n**2
    else:
        steps = np.finfo(np.float32).eps * rows[name].abs()
    return float((steps**2).mean() / 12)


def interval(
    report: Report, rows: pd.DataFrame, title: str, scores: pd.Series | None = None
) -> tuple[float, float, float]:
    """Return mean and interval by Student's t, with the factor of Nadeau & Bengio."""
    name, lowest, highest = MEASURES[title]
    own = rows[name] if scores is None else scores
    variance = max(own.var(ddof=1), least_variance(name, rows))
    error = math.sqrt((1 / len(own) + report.ratio) * variance)
    low, high = stats.t.interval(0.95, len(own) - 1, own.mean(), error)
    return own.mean(), max(lowest, float(low)), min(highest, float(high))


def _headline(report: Report) -> None:
    boxes = report.page.select("#answer .score")
    values = [box.select_one(".value") for box in boxes]
    bases = [box.select_one(".basis") for box in boxes]
    assert len(boxes) == 2
    first, second = (item.get_text(" ", strip=True) for item in values if item)
    how, test_how = (item.get_text(" ", strip=True) for item in bases if item)
    own = report.scores[report.best["config_id"]]
    means = report.scores.mean() * report.sign
    assert means[report.best["config_id"]] == means.max()
    estimate = report.best["estimate"]
    quoted = estimate["corrected"] if estimate["corrected"] is not None else own.mean()
    same(first, quoted)
    # A correction for luck is never in favour, and the interval holds what it is of.
    assert report.sign * (own.mean() - quoted) >= 0
    found = re.search(rf"95% confidence interval {NUMBER} to {NUMBER} over (\d+) split", how)
    assert found, how
    assert value(found[1]) <= value(first) <= value(found[2])
    assert int(found[3]) == len(own)
    if estimate["corrected"] is not None:
        selected = re.search(rf"best of {NUMBER} configurations.*the mean is {NUMBER}", how)
        assert selected, how
        assert value(selected[1]) == report.scores.shape[1]
        same(selected[2], own.mean())
    predicted = pd.read_parquet(report.folder / "final" / "test_predictions.parquet")
    others = np.setdiff1d(np.arange(len(report.targets)), predicted["sample"])
    held_out = report.scaled(others)[predicted["sample"]]
    score = report.scored(held_out, np.stack(predicted["prediction"].to_list()))
    same(second, score)
    ends = re.search(rf"95% confidence interval {NUMBER} to {NUMBER} \((.+?)\)", test_how)
    assert ends, test_how
    assert f"{len(predicted):,} samples" in test_how
    if ends[3] == "Wilson":
        right = round(score * len(predicted))
        low, high = proportion_confint(right, len(predicted), method="wilson")
        same(ends[1], low)
        same(ends[2], high)
    else:
        assert value(ends[1]) < score < value(ends[2])


def _answer(report: Report) -> None:
    """Each sentence is one of those below, and its numbers are right."""
    said = [item.get_text(" ", strip=True) for item in report.page.select("#answer .sentences li")]
    known: list[tuple[str, Callable[[Report, re.Match[str]], None]]] = [
        (
            rf"The best of the {NUMBER} configurations is this one or "
            rf"(?:another one|one of {NUMBER} others), .*",
            _may_be_best,
        ),
        (rf"Each of the {NUMBER} other configurations may be as good or better, .*", _all_may_be),
        (r"It is the best of the (\d+) configurations, .*", _none_may_be),
        (
            rf"The smallest configuration within one standard error of the selected one is "
            rf"number (\d+), “(.*)”: {NUMBER} instead of {NUMBER} weights, mean {NUMBER}, "
            rf"difference {NUMBER} \(95% interval {NUMBER} to {NUMBER}\)\.",
            _smallest,
        ),
        (rf"The test score is {NUMBER} (better|worse) than the (.*)", _gap),
        (r"The test score equals the (?:.*) to the digits shown.*", lambda *_: None),
        (
            rf"It is (better|worse) than the best baseline, (.*), by {NUMBER}, 95% interval "
            rf"\[{NUMBER}, {NUMBER}\]: (.*)",
            _against,
        ),
        (
            rf"The best baseline, (.*), is better by {NUMBER}, 95% interval "
            rf"\[{NUMBER}, {NUMBER}\]: (.*)",
            _behind,
        ),
        (
            rf"Chance level: trained once with permuted labels, on (\w+), it reaches {NUMBER}, "
            rf"where chance alone gives {NUMBER}(?: to {NUMBER})?\.",
            _chance,
        ),
    ]
    assert said
    for sentence in said:
        found = [(re.fullmatch(pattern, sentence), judge) for pattern, judge in known]
        matches = [(match, judge) for match, judge in found if match]
        assert len(matches) == 1, f"no check for: {sentence}"
        match, judge = matches[0]
        judge(report, match)


def _may_be_best(report: Report, match: re.Match[str]) -> None:
    table = report.table("comparisons")
    assert value(match[1]) == len(table)
    others = 1 if match[2] is None else value(match[2])
    assert others == table["may_be_best"].sum() - 1


def _all_may_be(report: Report, match: re.Match[str]) -> None:
    table = report.table("comparisons")
    assert value(match[1]) == len(table) - 1
    assert table["may_be_best"].all()


def _none_may_be(report: Report, match: re.Match[str]) -> None:
    table = report.table("comparisons")
    assert int(match[1]) == len(table)
    assert table["may_be_best"].sum() == 1


def _smallest(report: Report, match: re.Match[str]) -> None:
    table = report.table("configurations").set_index("rank")
    row, best = table.loc[int(match[1])], table.loc[1]
    assert row["label"] == match[2]
    assert value(match[3]) == row["parameters"] < best["parameters"] == value(match[4])
    difference = report.scores[row["config_id"]] - report.scores[best["config_id"]]
    same(match[5], report.scores[row["config_id"]].mean())
    same(match[6], difference.mean())
    same(match[7], row["difference_low"])
    same(match[8], row["difference_high"])
    smaller = table[table["parameters"] < row["parameters"]]
    assert (-report.sign * smaller["difference"] > smaller["difference_error"]).all()


def _gap(report: Report, match: re.Match[str]) -> None:
    quoted = report.best["estimate"]["corrected"]
    gap = report.card["test"]["score"] - (report.best["mean"] if quoted is None else quoted)
    same(match[1], abs(gap))
    assert (match[2] == "better") == (report.sign * gap > 0)


def _paired(report: Report, name: str) -> tuple[dict[str, Any], float]:
    table = report.table("baselines").set_index("name")
    row = table.loc[name].to_dict()
    fits = report.table("baseline_fits")
    own = fits[(fits["baseline"] == row["baseline"]) & (fits["split"] != "test")]
    scores = own.set_index("split")[report.measure].reindex(report.scores.index)
    difference = float((report.scores[report.best["config_id"]] - scores).mean())
    assert table["rank"].idxmin() == name
    return row, report.sign * difference


def _against(report: Report, match: re.Match[str]) -> None:
    row, ahead = _paired(report, match[2])
    same(match[3], abs(ahead))
    assert (match[1] == "better") == (ahead > 0)
    _ends(report, row, match[4], match[5])
    assert ("not shown" in match[6]) == (row["p_value"] > 0.05)


def _behind(report: Report, match: re.Match[str]) -> None:
    row, ahead = _paired(report, match[1])
    assert ahead < 0
    same(match[2], -ahead)
    _ends(report, row, match[3], match[4])


def _ends(report: Report, row: dict[str, Any], low: str, high: str) -> None:
    ends = sorted(abs(row[name]) for name in ("difference_low", "difference_high"))
    for text, end in zip(sorted((low, high), key=lambda t: abs(value(t))), ends, strict=True):
        same(text.lstrip("−"), end)


def _chance(report: Report, match: re.Match[str]) -> None:
    found = json.loads((report.folder / "tables" / "chance.json").read_text())
    assert match[1] == found["split"]
    for text, name in zip(match.groups()[1:], ("score", "low", "high"), strict=True):
        # Of equal ends there is one.
        same(text or match[3], found[name])


def _configurations(report: Report) -> None:
    trials, rows = report.trials, report.rows("ranking")
    assert len(rows) == report.scores.shape[1]
    means = report.scores.mean()
    order = (means * report.sign).sort_values(ascending=False, kind="stable")
    shown = [means[row["id"]] for row in rows]
    np.testing.assert_allclose(shown, means[order.index])
    pairs = math.comb(len(rows), 2)
    alone = report.table("comparisons").set_index("config_id")["p_value"]
    for row in rows:
        own, scores = trials[trials["config_id"] == row["id"]], report.scores[row["id"]]
        for title in (title for title, text in row.items() if "±" in text):
            shown, half = row[title].split(" ± ")
            mean, low, high = interval(report, own, title)
            same(shown, mean, title)
            same(half, max(mean - low, high - mean), f"half width of {title}")
        same(row["SD"], scores.std(ddof=1), "SD")
        same(row["Difference"], scores.mean() - report.best["mean"], "difference")
        if row["Rank"] != "1":
            same_p(row["p, any pair"], min(1.0, pairs * alone[row["id"]]), "p")
        same(row["Epochs"], own["epochs_trained"].mean(), "epochs")
        assert value(row["Parameters"]) == own["parameters"].max()
        same(row["Core-hours"], own["core_hours"].sum(), "core-hours")
        assert value(row["Memory"]) == pytest.approx(own["memory_mb"].max(), abs=0.51)


def _estimates(report: Report) -> None:
    rows = {row["Estimate"]: row for row in report.rows("comparison-heading")}
    (title,) = (title for title in next(iter(rows.values())) if title in MEASURES)
    own = report.trials[report.trials["config_id"] == report.best["config_id"]]
    estimate, test = report.best["estimate"], report.card["test"]
    expected = {
        "As selected": interval(report, own, title),
        "Held-out test set": (test["score"], test["low"], test["high"]),
    }
    if estimate["corrected"] is None:
        expected["As selected"] = (expected["As selected"][0], estimate["low"], estimate["high"])
    else:
        expected["Corrected for the selection"] = (
            estimate["corrected"],
            estimate["low"],
            estimate["high"],
        )
        count, samples = estimate["candidates"], estimate["samples"]
        assert count == report.scores.shape[1]
        basis = rows["Corrected for the selection"]["Basis"]
        assert f"{count:,} configurations" in basis
        assert re.search(rf"of {samples:,} (samples|groups)", basis), basis
    assert rows.keys() == expected.keys()
    for name, numbers in expected.items():
        ends = rows[name]["95% interval"].split(" to ")
        for text, number in zip((rows[name][title], *ends), numbers, strict=True):
            same(text, number, name)
    assert f"{test['samples']:,} samples" in rows["Held-out test set"]["Basis"]


def _comparison(report: Report) -> None:
    rows = report.rows("comparison-pairs")
    table = report.table("comparisons").set_index("config_id")
    best = report.scores[report.best["config_id"]]
    holm = multipletests(table["p_value"].dropna(), method="holm")[1]
    holm = dict(zip(table["p_value"].dropna().index, holm, strict=True))
    assert len(rows) == min(10, len(table) - 1)
    for row in rows:
        found = table.loc[row["id"]]
        difference = report.scores[row["id"]] - best
        same(row["Difference"], difference.mean())
        low, high = row["95% interval"].split(" to ")
        same(low, found["difference_low"])
        same(high, found["difference_high"])
        # As far on both sides, but for what no difference can be.
        mean = difference.mean()
        most = 1.0 if report.measure in ("accuracy", "f1", "roc_auc") else math.inf
        half = max(found["difference_high"] - mean, mean - found["difference_low"])
        assert math.isclose(found["difference_low"], max(-most, mean - half), abs_tol=1e-9)
        assert math.isclose(found["difference_high"], min(most, mean + half), abs_tol=1e-9)
        # The interval and the test say the same.
        outside = found["difference_low"] > 0 or found["difference_high"] < 0
        assert outside == (found["p_value"] < 0.05)
        ahead = -report.sign * difference
        same_p(row["p"], found["p_value"])
        same_p(row["p, Holm"], holm[row["id"]])
        effect = re.fullmatch(rf"{NUMBER} \({NUMBER} to {NUMBER}\)", row["Effect"])
        assert effect, row["Effect"]
        for text, name in zip(effect.groups(), ("size", "low", "high"), strict=True):
            same(text, found[f"effect_{name}"], name)
        assert np.sign(found["effect_size"]) == np.sign(ahead.mean())
        # Equal shares of samples differ in their last bit.
        ties = np.isclose(ahead, 0, atol=1e-9)
        same_percent(row["Wins"], ((ahead > 0) & ~ties).mean() + ties.mean() / 2)
        if row["Chosen"] not in NOTHING:
            same_percent(row["Chosen"], report.best["estimate"]["chosen"].get(row["id"], 0.0))
    said = [item.get_text(" ", strip=True) for item in report.page.select("#comparison > ul li")]
    counts = [re.match(rf"{NUMBER} of {NUMBER} comparisons", sentence) for sentence in said]
    (strict,) = [match for match in counts if match]
    pairs = math.comb(len(table), 2)
    assert value(strict[1]) == (pairs * table["p_value"] <= 0.05).sum()
    assert value(strict[2]) == len(table) - 1


def _best_at_each_value(report: Report) -> None:
    if report.page.find(attrs={"aria-labelledby": "comparison-values"}) is None:
        return
    table = report.table("configurations")
    for row in report.rows("comparison-values"):
        column = table[row["Axis"]].astype(str)
        mine = table[(column == row["Value"]) | (column == f"{row['Value']}.0")]
        assert value(row["Of"]) == len(mine)
        best = mine.sort_values("rank").iloc[0]
        assert row["id"] == best["config_id"]
        (title,) = (title for title in row if title in MEASURES)
        own = report.trials[report.trials["config_id"] == row["id"]]
        numbers = interval(report, own, title)
        texts = (row[title], *row["95% interval"].split(" to "))
        for text, number in zip(texts, numbers, strict=False):
            same(text, number, row["Axis"])


def _audit(report: Report) -> None:
    found = json.loads((report.folder / "audit.json").read_text())
    assert found["samples"] == len(report.targets)
    text = report.section("audit").get_text(" ", strip=True)
    assert re.findall(r"GF1\d\d(?=,)", text) == found["checked"]
    counts = re.findall(rf"{NUMBER} samples and their splits", text)
    assert all(value(count) == len(report.targets) for count in counts)
    assert all(finding["sentence"][:20] in text for finding in found["findings"])


def _classes(report: Report) -> None:
    if report.problem not in ("binary", "multiclass"):
        assert not (report.folder / "tables" / "classes.csv").exists()
        return
    names = report.card["data"]["classes"]
    held_out = pd.read_parquet(report.folder / "final" / "test_predictions.parquet")
    before = pd.read_parquet(report.folder / "tables" / "best_predictions.parquet")
    # Of repeats, the first counts.
    first = before[before["split"].str.startswith("r0")]
    for number, predicted in enumerate((held_out, first), 1):
        truth = report.targets[predicted["sample"]].reshape(-1)
        chances = np.stack(predicted["prediction"].to_list())
        found = metrics.precision_recall_fscore_support(
            truth, report.classes(chances), labels=range(len(names)), zero_division=np.nan
        )
        if report.problem == "binary":
            chances = np.column_stack([1 - chances[:, 0], chances[:, 0]])
        rows = report.rows(f"errors-{number}")
        assert [row["Class"] for row in rows] == names
        for code, row in enumerate(rows):
            own = truth == code
            assert value(row["n"]) == own.sum()
            for title, values in zip(("Precision", "Recall", "F1"), found, strict=False):
                same(row[title], values[code], title)
            same(row["AP"], metrics.average_precision_score(own, chances[:, code]), "AP")
            same(row["ROC AUC"], metrics.roc_auc_score(own, chances[:, code]), "ROC AUC")


def _baselines(report: Report) -> None:
    rows, table = report.rows("baselines-heading"), report.table("baselines")
    splits = np.load(report.folder / "splits.npz")
    assert [row["Baseline"] for row in rows] == table["name"].tolist()
    best = report.scores[report.best["config_id"]]
    fits = report.table("baseline_fits")
    for row, found in zip(rows, table.to_dict("records"), strict=True):
        own = fits[(fits["baseline"] == found["baseline"]) & (fits["split"] != "test")]
        scores = own.set_index("split")[report.measure].reindex(best.index)
        (title,) = (title for title in row if title.capitalize() in TITLES)
        numbers = interval(report, own, TITLES[title.capitalize()], scores)
        for text, number in zip(re.findall(NUMBER, row[title]), numbers, strict=True):
            same(text, number, title)
        ends = found["difference_low"], found["difference_high"]
        numbers = ((scores - best).mean(), *ends)
        for text, number in zip(re.findall(NUMBER, row["Difference"]), numbers, strict=True):
            same(text, number, "difference")
        same_p(row["p"], found["p_holm"])
        same(row["Test"], found["test_score"])
        if found["baseline"] != "constant":
            continue
        kind = report.problem in ("binary", "multiclass")
        for split, score in scores.items():
            train, validation = (splits[f"{split}/{part}"] for part in ("training", "validation"))
            targets = report.scaled(train)
            dummy = DummyClassifier(strategy="prior") if kind else DummyRegressor()
            dummy.fit(np.zeros((len(train), 1)), targets[train])
            answers = dummy.predict(np.zeros((len(validation), 1)))
            judge = metrics.accuracy_score if kind else metrics.mean_squared_error
            truth = targets[validation]
            expected = judge(truth, answers.reshape(truth.shape))
            assert math.isclose(score, expected, rel_tol=1e-5), (split, score, expected)


def _facts(report: Report, section: str) -> dict[str, str]:
    entries = report.page.select(f"#{section} .facts div")
    found = {}
    for entry in entries:
        title, text = entry.find("dt"), entry.find("dd")
        assert title is not None
        assert text is not None
        found[title.get_text(strip=True)] = text.get_text(" ", strip=True)
    return found


def _cost(report: Report) -> None:
    facts, trials = _facts(report, "cost"), report.trials
    failed = (trials["status"] != "finished").sum()
    assert facts["Trials"] == f"{len(trials):,}, of which {failed:,} failed"
    assert value(facts["Epochs trained"]) == trials["epochs_trained"].sum()
    same(facts["CPU"], trials["core_hours"].sum())
    slowest = trials.loc[trials["fit_seconds"].idxmax()]
    assert f"{slowest['label']}, split {slowest['split']}" in facts["Slowest trial"]
    most, added = re.findall(rf"{NUMBER} MB", facts["Memory of a trial"])
    assert value(most) == pytest.approx(trials["memory_mb"].max(), abs=0.51)
    assert value(added) == pytest.approx(trials["added_memory_mb"].max(), abs=0.51)


def _data(report: Report) -> None:
    facts = _facts(report, "dataset")
    assert value(facts["Samples"]) == len(report.targets)
    test = report.card["test"]["samples"]
    assert facts["Held out"] == f"{test:,} samples for the test"
    parts = np.load(report.folder / "splits.npz")
    assert len(parts["test"]) == test
    if report.page.find(attrs={"aria-labelledby": "dataset-classes"}) is None:
        return
    for code, row in enumerate(report.rows("dataset-classes")):
        count = int((report.targets == code).sum())
        assert row["Class"] == report.card["data"]["classes"][code]
        assert value(row["Samples"]) == count
        assert abs(value(row["Share"]) - 100 * count / len(report.targets)) <= 0.0501
