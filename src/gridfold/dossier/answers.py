"""What the run knows about the items of checklists, each with the files that prove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold.codes import AUDIT_CODES
from gridfold.dossier.facts import RunFacts
from gridfold.tables.trials import all_measures
from gridfold.wording import (
    amount,
    counted,
    first_of,
    listed,
    markdown_text,
    measure_name,
    number,
    percent,
)

_NAMED = 20
# Kinds of findings of the audit.
_LEAKS = ("GF101", "GF102", "GF104", "GF106")
_DEPENDENCES = ("GF101", "GF102", "GF103", "GF104", "GF105", "GF106", "GF107")
_FEATURES = ("GF108", "GF109", "GF110")
_AUDIT = "audit.json"
_REPORT = "report.html"
_CARD = "final/card.json"
_CRATE = "ro-crate-metadata.json"


@dataclass(frozen=True)
class Answer:
    """What a run knows about an item.

    Attributes
    ----------
    text : str
        In Markdown.
    files : tuple of str
        What proves it, relative to the folder of the study.
    """

    text: str
    files: tuple[str, ...] = ()


def _study(facts: RunFacts) -> Mapping[str, Any]:
    return facts.request.study


def _named(names: Any) -> str:
    return first_of(map(markdown_text, names), _NAMED)


# -- reproducibility -------------------------------------------------------------------------------


def data(facts: RunFacts) -> Answer:
    """Identify the data by content."""
    return Answer(
        f"{markdown_text(facts.data.source)}: the prepared samples have the SHA-256 digest "
        f"`{facts.results.manifest.digest}`.",
        ("croissant.json", "data/manifest.json"),
    )


def code(facts: RunFacts) -> Answer:
    """Identify the code."""
    card = facts.results.answer.card
    commit = card.environment.git_commit
    own = [f"{markdown_text(file)} `{digest[:12]}`" for file, digest in card.code.items()]
    text = f"gridfold {card.environment.packages['gridfold']}; working directory: " + (
        f"commit `{commit}`" if commit else "no git repository"
    )
    return Answer(
        f"{text}{f'; own code: {listed(own)}' if own else ''}.",
        (_CARD, _CRATE, "workflow/Snakefile"),
    )


def infrastructure(facts: RunFacts) -> Answer:
    """Say what computed, and for how long."""
    machine, trials = facts.results.answer.card.environment, facts.all_trials
    hosts = [str(host) for host in dict.fromkeys(facts.jobs["host"]) if host]
    devices = [str(d) for d in dict.fromkeys(trials["device"].dropna()) if d and d != "CPU"]
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    parts = [
        f"Machine of the final model: {markdown_text(machine.processor)}, "
        f"{counted(machine.cores or 0, 'core')}, {markdown_text(machine.platform)}; "
        f"python {machine.python}, {packages}",
        f"trainings on {_named(hosts)}" if hosts else "",
        f"GPUs: {_named(devices)}" if devices else "",
    ]
    hours = float(trials["core_hours"].sum())
    if hours > 0:
        parts.append(f"all trials: {amount(hours)} core-hours")
    if float(trials["gpu_hours"].sum()) > 0:
        parts.append(f"{amount(float(trials['gpu_hours'].sum()))} GPU-hours")
    if (nested := facts.results.answer.card.nested) and nested.hours:
        parts.append(f"outer folds: {nested.hours}")
    return Answer(f"{'; '.join(filter(None, parts))}.", (_CARD, "tables/jobs.csv"))


def instructions(facts: RunFacts) -> Answer:
    """Say how the run is repeated."""
    version = facts.results.answer.card.environment.packages["gridfold"]
    return Answer(f"Install gridfold {version}, then `{facts.command}`.", ("run.json",))


def script(facts: RunFacts) -> Answer:
    """Name what runs everything."""
    files = _named(facts.request.files)
    return Answer(
        f"`{facts.command}` does everything from the data to the report; study: {files}.",
        ("run.json", "workflow/Snakefile"),
    )


def reproducibility(facts: RunFacts) -> Answer:
    """Say what is fixed so that numbers come again."""
    study = _study(facts)
    plan = study["resampling"]
    deterministic = facts.results.answer.card.configuration.settings["training"]["deterministic"]
    return Answer(
        f"Command: `{facts.command}`. Seeds: splits {plan.get('seed', 'by time')}, test set "
        f"{study['data']['test_seed']}, training {study['training']['seed']}. Operations are "
        f"{'' if deterministic else 'not '}deterministic. Data, code and versions are recorded by "
        "content.",
        (_CRATE, _CARD, "run.json"),
    )


def access(facts: RunFacts) -> Answer:
    """Name what is ready to be published."""
    return Answer(
        "A crate with metadata lists all files of the run; the data themselves lie in `data/`.",
        (_CRATE, "croissant.json"),
    )


# -- data ------------------------------------------------------------------------------------------


def source(facts: RunFacts) -> Answer:
    """Say where the data were read from."""
    whole = f"{markdown_text(facts.data.source)}, {facts.data.made_of}"
    own = facts.data.samples.own_test if facts.data.samples else 0
    test = (
        f"; {counted(own, 'sample')} of it are the source's own test set"
        if own
        else "; training and test data come from the same source"
    )
    return Answer(f"{whole}{test}.", ("data/description.json",))


def outcome(facts: RunFacts) -> Answer:
    """Describe the targets."""
    if facts.data.classes:
        counts = [f"{c.name}: {c.samples + c.test_samples:,}" for c in facts.data.classes]
        text = f"{counted(len(counts), 'class', 'classes')}, samples of each: {_named(counts)}."
        return Answer(text, ("data/description.json",))
    columns = {c.name: c.summary for c in facts.data.with_role("target")}
    names = [
        f"{name} ({columns[name]})" if name in columns else name
        for name in facts.results.manifest.target_names
    ]
    return Answer(f"Numbers: {_named(names)}.", ("data/description.json",))


def samples(facts: RunFacts) -> Answer:
    """Count the samples."""
    found = facts.data.samples
    text = found.summary if found else counted(facts.results.manifest.samples, "sample")
    groups = facts.data.with_role("groups")
    if groups:
        text += f", in {counted(groups[0].distinct, 'group')} ({markdown_text(groups[0].name)})"
    if facts.data.classes:
        text += "; by class: see 3d"
    return Answer(f"{text}.", ("data/description.json", "data/manifest.json"))


def missing(facts: RunFacts) -> Answer:
    """Tell what share is missing."""
    share = facts.data.samples.missing if facts.data.samples else 0.0
    gaps = [
        f"{column.name} {percent(round(column.missing, 4))}"
        for column in facts.data.columns
        if column.missing
    ]
    if not (share or gaps):
        return Answer("No value is missing in the samples.", ("data/description.json",))
    text = f"Missing: {percent(round(share, 4))} of all features"
    return Answer(f"{text}{f'; {_named(gaps)}' if gaps else ''}.", ("data/description.json",))


def excluded(facts: RunFacts) -> Answer:
    """Tell what was left out."""
    parts = [markdown_text(text) for text in facts.data.left_out]
    subset = _study(facts)["data"].get("subset")
    if subset:
        parts.append(f"all but {counted(subset, 'sample')}, drawn at random (data.subset)")
    text = f"Left out: {'; '.join(parts)}." if parts else "The run has used all that it has read."
    return Answer(text, ("data/description.json",))


def corrupt(facts: RunFacts) -> Answer:
    """Tell what is refused."""
    return Answer(
        "Infinite numbers, texts in columns of numbers and damaged files are refused; missing "
        f"numbers are {_of_missing(facts)}.",
        ("data/description.json",),
    )


def _of_missing(facts: RunFacts) -> str:
    kind = (_study(facts)["data"].get("missing") or {}).get("numbers", "refuse")
    words = {"refuse": "refused, too", "zero": "replaced by 0"}
    return words.get(kind, f"replaced by the {kind.replace('_', ' ')} of the training part")


def transformations(facts: RunFacts) -> Answer:
    """List what is done to samples and targets."""
    settings = facts.results.answer.card.configuration.settings
    prepared, training = settings["preprocessing"], settings["training"]
    parts = [f"Scaling of features: {prepared['normalise']}"]
    if any(column.categories for column in facts.results.manifest.columns or ()):
        rare = prepared.get("min_frequency", 1)
        seldom = f", categories rarer than {rare} together" if rare > 1 else ""
        parts.append(f"categories as features of 0 and 1{seldom}")
    if facts.results.manifest.has_missing:
        parts.append(f"missing numbers {_of_missing(facts)}")
    if prepared["scale_targets"] != "none":
        parts.append(f"scaling of targets: {prepared['scale_targets']}")
    if training.get("augmentation"):
        parts.append("augmentation of training samples")
    if training.get("class_weights", "none") != "none":
        parts.append("class weights")
    return Answer(f"{'; '.join(parts)}.", ("final/preprocessing.json", _CARD))


# -- models ----------------------------------------------------------------------------------------


def models(facts: RunFacts) -> Answer:
    """Describe the models."""
    trials = facts.all_trials
    families = [str(model) for model in dict.fromkeys(trials["model"])]
    problem = facts.results.answer.card.configuration.settings["problem"]
    inputs = " x ".join(map(str, facts.results.manifest.sample_shape))
    return Answer(
        f"Families: {_named(families)}; features: {inputs} numbers a sample; loss: "
        f"{problem['loss']}. All settings of each configuration stand in the table.",
        ("tables/configurations.csv", "tables/layers.csv", _CARD),
    )


def evaluation(facts: RunFacts) -> Answer:
    """Describe splits and test set."""
    trials, plan = facts.results.tables.trials, _study(facts)["resampling"]
    test = facts.results.answer.card.test
    text = (
        f"{counted(trials['split'].nunique(), 'split')} ({plan['method']}): training "
        f"{_range(trials['n_train'])}, validation {_range(trials['n_validation'])} samples. "
    )
    held_out = (
        f"{counted(test.samples, 'sample')} held out for the test, which no selection has seen."
        if test
        else "No test set was held out."
    )
    outer = facts.results.answer.card.nested
    nested = (
        f" In each of {counted(outer.folds + outer.missing, 'outer fold')} the whole search ran "
        "once more, and its winner was scored once on samples that nothing in the fold had seen."
        if outer
        else ""
    )
    return Answer(f"{text}{held_out}{nested}", ("splits.npz", "tables/trials.csv"))


def _range(sizes: pd.Series) -> str:
    known = sorted({int(size) for size in sizes if size > 0})
    return (
        " to ".join(dict.fromkeys(f"{size:,}" for size in (known[0], known[-1]))) if known else "0"
    )


def selection(facts: RunFacts) -> Answer:
    """Describe how the configuration was selected."""
    best = facts.results.answer.best
    tried = best.tried or best.configurations
    name = measure_name(best.measure)
    how = f"The best mean {name}"
    if best.rule is not None:
        how = f"By the rule `{best.rule}` of the study, from the means of {name} and costs"
    within = "" if best.allowed is None else f" ({best.allowed:,} of them within the constraints)"
    return Answer(
        f"{how} over {counted(best.n_splits, 'split')}, among "
        f"{counted(best.configurations, 'configuration')} that were compared{within} and "
        f"{tried:,} that were tried. The best of many is in part the luckiest; the report says by "
        "how much.",
        ("tables/best.json", "tables/comparison.json", _REPORT),
    )


def hyperparameters(facts: RunFacts) -> Answer:
    """Describe the search."""
    search = _study(facts)["search"]
    axes = _named(search["space"]) or "none"
    return Answer(
        f"Strategy: {search['strategy']['type']}; axes: {axes}.",
        ("run.json", "tables/configurations.csv"),
    )


def baselines(facts: RunFacts) -> Answer:
    """Name the baselines."""
    if facts.baselines is None or not len(facts.baselines):
        return Answer("The run has fitted none.")
    return Answer(
        f"On the same splits, with usual settings that were not searched: "
        f"{_named(facts.baselines['name'])}.",
        ("tables/baselines.csv",),
    )


# -- leakage ---------------------------------------------------------------------------------------


def separation(facts: RunFacts) -> Answer:
    """Say what is fitted on what, and what has seen the samples that are scored."""
    training = facts.results.answer.card.configuration.settings["training"]
    stopping = training["early_stopping"]
    text = (
        "All preprocessing is fitted on the training part of each split alone. "
        "Configurations are selected by their scores on validation parts, and the test set takes "
        "part in neither training nor selection."
    )
    if stopping:
        where = "an inner part of the training part"
        if stopping.get("on", "validation") == "validation":
            where = "the validation part that is scored, which makes scores over splits optimistic"
        text += f" Early stopping looks at {where} ({stopping['monitor']})."
    return Answer(
        f"{text} {_audited(facts, _LEAKS)}", ("final/preprocessing.json", "splits.npz", _AUDIT)
    )


def dependencies(facts: RunFacts) -> Answer:
    """Say which samples stay together."""
    method = _study(facts)["resampling"]["method"]
    groups = facts.data.with_role("groups")
    if groups:
        text = (
            f"Samples of one group ({markdown_text(groups[0].name)}) are never on both sides of a "
            "split or of the test set"
        )
    else:
        text = "The study names no groups of samples that depend on each other"
    if method in ("forward", "blocked"):
        text += f"; splits follow the order of time ({method})"
    return Answer(f"{text}. {_audited(facts, _DEPENDENCES)}", ("splits.npz", _AUDIT))


def features(facts: RunFacts) -> Answer:
    """Tell what was found about features that give the target away."""
    return Answer(_audited(facts, _FEATURES), (_AUDIT,))


def _audited(facts: RunFacts, codes: Sequence[str]) -> str:
    """Say what the audit has found of these kinds."""
    checked = [code for code in codes if code in facts.audit.checked]
    found = [finding for finding in facts.audit.findings if finding.code in codes]
    accepted = facts.request.study["audit"]["accept"]
    told = [
        f"{finding.code} ({finding.severity}): {markdown_text(finding.sentence)}"
        + (
            f" Accepted: {markdown_text(accepted[finding.code])}"
            if finding.code in accepted
            else ""
        )
        for finding in found
    ]
    if told:
        return f"The audit has found: {' '.join(told)}"
    if not checked:
        return "None of the checks of the audit applies to these data."
    kinds = "; ".join(AUDIT_CODES[code] for code in checked)
    return f"The audit has found none of: {kinds}."


# -- numbers ---------------------------------------------------------------------------------------


def measures(facts: RunFacts) -> Answer:
    """List the measures."""
    best = facts.results.answer.best
    names = [n for n in all_measures(facts.results.tables.trials) if n != best.measure]
    others = f"; also {_named(map(measure_name, names))}" if names else ""
    return Answer(
        f"Ranked by {measure_name(best.measure)}{others}.",
        ("tables/configurations.csv", _REPORT),
    )


def uncertainty(facts: RunFacts) -> Answer:
    """Give the intervals, and how they are made."""
    best, test = facts.results.answer.best, facts.results.answer.card.test
    level, places = percent(best.confidence), best.decimals
    quoted = best.headline
    corrected = ", corrected for the selection" * quoted.is_corrected
    parts = [
        f"Mean over {counted(best.n_splits, 'split')}{corrected}: {number(quoted.score, places)}"
        + (
            f", {level} interval {number(quoted.low, places)} to {number(quoted.high, places)} "
            "(with the training samples counted that splits share)"
            if quoted.low is not None
            else ", without an interval"
        )
    ]
    if test:
        parts.append(
            f"test set: {number(test.score, places)}"
            + (
                f", {level} interval {number(test.low, places)} to {number(test.high, places)}"
                f"{f' ({test.method.capitalize()})' if test.method else ''}"
                if test.has_interval
                else ", without an interval"
            )
        )
    files = ["tables/configurations.csv", _CARD]
    if nested := facts.results.answer.card.nested:
        places = nested.decimals
        parts.append(
            "search and training together, by nested cross-validation over "
            f"{counted(nested.folds, 'outer fold')}: {number(nested.score, places)}"
            + (
                f", {level} interval {number(nested.low, places)} to {number(nested.high, places)}"
                if nested.low is not None
                else ", without an interval"
            )
        )
        files.append("tables/nested.csv")
    return Answer(f"{'; '.join(parts)}.", tuple(files))


def tests(facts: RunFacts) -> Answer:
    """Name the tests."""
    if facts.results.answer.best.configurations == 1:
        return Answer("One configuration: none is compared with another.", (_REPORT,))
    return Answer(
        "Paired over the splits, with a correction for the training samples that splits share "
        "(Nadeau & Bengio, 2003), variances moderated over all pairs (Smyth, 2004), adjusted for "
        "the number of pairs; what each needs stands beside its numbers.",
        ("tables/comparisons.csv", _REPORT),
    )


def significance(facts: RunFacts) -> Answer:
    """Say which intervals and tests there are, and what they are about."""
    parts = (uncertainty(facts), tests(facts))
    return Answer(
        " ".join(part.text for part in parts)
        + " Splits differ in their samples and in the seed of the training.",
        tuple(dict.fromkeys(file for part in parts for file in part.files)),
    )


def external(facts: RunFacts) -> Answer:
    """Say that the run has none."""
    return Answer("All samples of the run, test set included, come from one source.")


def limitations(facts: RunFacts) -> Answer:
    """Point to the warnings."""
    return Answer("What limits the trust in these numbers: the report's warnings.", (_REPORT,))


def setting(facts: RunFacts) -> Answer:
    """Gather splits, selection and hyperparameters."""
    parts = (evaluation(facts), selection(facts), hyperparameters(facts))
    return Answer(
        " ".join(part.text for part in parts),
        tuple(dict.fromkeys(file for part in parts for file in part.files)),
    )


def licences(facts: RunFacts) -> Answer:
    """Name the software, with versions."""
    packages = facts.results.answer.card.environment.packages
    used = ", ".join(f"{name} {version}" for name, version in packages.items())
    return Answer(f"Software: {used}.", (_CARD,))


def assets(facts: RunFacts) -> Answer:
    """Name what is new."""
    return Answer(
        "The final model, with a model card.", ("final/card.md", "final/model.keras", _CRATE)
    )
