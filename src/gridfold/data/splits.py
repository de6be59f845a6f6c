"""Splits: drawn once, checked, written once, shared by all configurations."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.atomic import replacing
from gridfold.canonical import derive_seed
from gridfold.data import group_splits, time_splits
from gridfold.data.dataset import Dataset
from gridfold.data.inner import draw_inner
from gridfold.data.inner import share_of as inner_share_of
from gridfold.errors import TOLD, DataError
from gridfold.requests import SplitsRequest
from gridfold.store.records import intact
from gridfold.study.sections.outer import Outer, inner_split, outer_fold_of, outer_folds
from gridfold.study.sections.resampling import (
    GROUPED_METHODS,
    ORDERED_METHODS,
    UNGROUPED_METHODS,
    reduced,
    share_of,
)
from gridfold.wording import counted, first_of

log = logging.getLogger(__name__)

# The split on which the final model is trained: everything but the test set.
FINAL = "final"
# Classes that a message names.
_NAMED = 5


@dataclass(frozen=True)
class Split:
    """Sample indices of one split, ascending, int64.

    Attributes
    ----------
    training, validation : array of int64
    inner : mapping of str to (array, array)
        What the training part is trained on, and what early stopping looks at, by the share of the
        latter; only the shares that configurations ask for.
    is_outer : bool
        Whether it is that of an outer fold: trained on as the final model is, and scored once.
    """

    training: Array
    validation: Array
    inner: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    is_outer: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the lists of training and validation part."""
        return _digest(self.training, self.validation)

    def watched_digest(self, stopping: Mapping[str, Any] | None) -> str:
        """Return the SHA-256 of the lists of :meth:`parts`; empty without an inner part.

        Parameters
        ----------
        stopping : mapping or None
            As for :meth:`parts`.
        """
        if inner_share_of(stopping) is None or self._follows_nothing:
            return ""
        return _digest(*self.parts(stopping))

    def parts(self, stopping: Mapping[str, Any] | None) -> tuple[Array, Array]:
        """Return what is trained on, and what early stopping looks at.

        Parameters
        ----------
        stopping : mapping or None
            The settings ``training.early_stopping`` of a configuration. By default it looks at the
            validation part. The final model, which has none, is trained on everything, and so is
            that of an outer fold, whose validation part nothing may look at before the end.

        Raises
        ------
        DataError
            When the splits were drawn without such an inner part.
        """
        if self._follows_nothing:
            return self.training, self.validation[:0]
        share = inner_share_of(stopping)
        if share is None:
            return self.training, self.validation
        try:
            return self.inner[f"{share:g}"]
        except KeyError:
            raise DataError(
                f"the splits have no inner part of a share of {share:g} for early stopping; run "
                "the study again, which draws it"
            ) from None

    @property
    def _follows_nothing(self) -> bool:
        """Whether no samples are followed while it is trained on."""
        return self.is_outer or not self.validation.size


def _digest(*parts: Array) -> str:
    result = hashlib.sha256()
    for part in parts:
        result.update(np.int64(len(part)).tobytes() + np.asarray(part, np.int64).tobytes())
    return result.hexdigest()


@dataclass(frozen=True)
class Splits:
    """All splits of a study and its held-out test set.

    Attributes
    ----------
    test : array of int64
        Indices of the test samples; empty when nothing is held out.
    by_name : dict of str to Split
        ``r<repeat>f<fold>`` and ``final``; of an outer fold ``o<repeat>f<fold>``, and those of the
        search in it, ``o<repeat>f<fold>.<name>``.
    """

    test: Array
    by_name: dict[str, Split]

    def save(self, file: Path) -> None:
        """Write all index lists to one ``.npz`` file."""
        arrays = {"test": self.test}
        for name, split in self.by_name.items():
            arrays[f"{name}/training"] = split.training
            arrays[f"{name}/validation"] = split.validation
            for share, (fitted, inner) in split.inner.items():
                arrays[f"{name}/inner/{share}/training"] = fitted
                arrays[f"{name}/inner/{share}/validation"] = inner
        with replacing(file) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)

    def inside(self, fold: str) -> Splits:
        """Return the splits of the search in an outer fold, as those of a study of its own.

        Its test samples are what the search must not see: those of the study, and the validation
        part of the fold.

        Parameters
        ----------
        fold : str
            Name of the outer fold.
        """
        outer = self.by_name[fold]
        own = {
            name.removeprefix(f"{fold}."): split
            for name, split in self.by_name.items()
            if name != fold and outer_fold_of(name) == fold
        }
        final = {FINAL: Split(outer.training, outer.validation[:0])}
        return Splits(np.union1d(self.test, outer.validation), own | final)

    @classmethod
    def load(cls, file: Path, only: str | None = None) -> Splits:
        """Read the splits, or one of them.

        Raises
        ------
        FileNotFoundError
            When they are not drawn yet.
        DamagedRecord
            When the file can't be read.
        """
        with intact(file), np.load(file, allow_pickle=False) as archive:
            names = {key.partition("/")[0] for key in archive.files if "/" in key}
            return cls(
                archive["test"],
                {
                    name: Split(
                        archive[f"{name}/training"],
                        archive[f"{name}/validation"],
                        {
                            share: (archive[f"{start}/training"], archive[f"{start}/validation"])
                            for share, start in _inner_parts(archive.files, name)
                        },
                        is_outer=outer_fold_of(name) == name,
                    )
                    for name in sorted(names)
                    if only in (None, name)
                },
            )


def _inner_parts(keys: Sequence[str], split: str) -> Iterator[tuple[str, str]]:
    """Yield the share of each inner part of a split, and how the names of its arrays begin."""
    for key in keys:
        start, _, part = key.rpartition("/")
        if part == "training" and start.startswith(f"{split}/inner/"):
            yield start.rpartition("/")[2], start


def make_splits(dataset: Dataset, request: SplitsRequest) -> Splits:
    """Draw the test set and the splits.

    Parameters
    ----------
    dataset : Dataset
    request : SplitsRequest

    Raises
    ------
    DataError
        When the data has too few samples, groups or members of a class, or has groups that the
        method would separate.
    """
    classes = dataset.targets if request.classification else None
    everything = np.arange(len(dataset.features))
    method = request.resampling["method"]
    if method in UNGROUPED_METHODS and _has_groups(dataset):
        # Of a function of the user: what a study file names is refused when it is read.
        groups = len(np.unique(dataset.groups))
        raise DataError(
            f"the data have {groups:,} groups, which resampling.method: {method} would "
            "separate; allowed: group, stratified_group or holdout, blocked or forward, or data "
            "without groups"
        )
    try:
        development, test = _held_out(dataset, everything, classes, request)
        by_name, held_back = _of_search(dataset, development, classes, request)
        nested, held_back_inside = _of_outer_folds(dataset, development, classes, request)
    except ValueError as error:
        raise DataError(
            f"{counted(len(everything), 'sample')} can't be split as data.test_fraction and "
            f"resampling ask: {error}"
        ) from None
    by_name |= nested | {FINAL: Split(development, everything[:0])}
    splits = Splits(test, by_name)
    check(splits, dataset, method, held_back)
    for fold, own in held_back_inside.items():
        check(splits.inside(fold), dataset, method, own)
    if request.measure is not None:
        _check_measure(splits, dataset, request.measure)
    return splits


def _of_search(
    dataset: Dataset, development: Array, classes: Array | None, request: SplitsRequest
) -> tuple[dict[str, Split], Array]:
    """Return all splits of a search on some samples, and what its confirmation alone is scored on.

    Parameters
    ----------
    dataset : Dataset
    development : array of int64
        The samples that the search may see.
    classes : array of int64 or None
        Class codes of all samples.
    request : SplitsRequest
    """
    plan = request.resampling
    searched, held_back = _held_back(dataset, development, classes, request)
    by_name = dict(_draw(dataset, searched, classes, plan))
    for share in request.training_fractions:
        by_name |= _reduced(dataset, by_name, classes, _seed(plan), share)
    if request.confirm is not None:
        by_name |= _draw_confirming(dataset, searched, held_back, classes, request.confirm)
    return {
        name: replace(split, inner=_inner(dataset, name, split.training, classes, request))
        for name, split in by_name.items()
    }, held_back


def _of_outer_folds(
    dataset: Dataset, development: Array, classes: Array | None, request: SplitsRequest
) -> tuple[dict[str, Split], dict[str, Array]]:
    """Return the splits of all outer folds, and what each holds back for its confirmation.

    In each fold the search gets the training part of the fold as if there were no other samples.
    """
    by_name: dict[str, Split] = {}
    held_back: dict[str, Array] = {}
    if request.outer is None:
        return by_name, held_back
    seed = derive_seed(_seed(request.resampling), "outer", request.outer["seed"])
    plan = _as_folds({**request.resampling, **request.outer, "seed": seed}, dataset, classes)
    names = outer_folds(Outer(**request.outer))
    for fold, split in zip(
        names, dict(_draw(dataset, development, classes, plan)).values(), strict=True
    ):
        own_seed = {"seed": derive_seed(seed, fold)}
        own = replace(
            request,
            resampling={**request.resampling, **own_seed},
            confirm=None if request.confirm is None else {**request.confirm, **own_seed},
        )
        by_name[fold] = replace(split, is_outer=True)
        try:
            inside, held_back[fold] = _of_search(dataset, split.training, classes, own)
        except (DataError, ValueError) as error:
            where = (
                f"resampling.outer: the search in outer fold {fold}, which has "
                f"{counted(len(split.training), 'sample')}"
            )
            if isinstance(error, DataError):
                raise DataError(f"{where}: {error}") from None
            # What scikit-learn refuses to draw comes without a remedy.
            raise DataError(
                f"{where}: {str(error).rstrip('.')}; allowed: fewer folds in `resampling`, or more "
                "outer folds, which leave each search more samples"
            ) from None
        by_name |= {inner_split(fold, name): each for name, each in inside.items()}
    return by_name, held_back


def _as_folds(
    plan: Mapping[str, Any], dataset: Dataset, classes: Array | None
) -> Mapping[str, Any]:
    """Return a plan of folds in the place of a hold-out, with groups or classes as the data has."""
    if plan["method"] not in ("holdout", "folds"):
        return plan
    stratified = "kfold" if classes is None else "stratified"
    return {**plan, "method": "group" if _has_groups(dataset) else stratified}


def _check_measure(splits: Splits, dataset: Dataset, measure: str) -> None:
    """Tell of validation parts on which the ranking measure is not defined.

    Raises
    ------
    DataError
        When that is all of them, and nothing could be ranked.
    """
    scored = {name: split for name, split in splits.by_name.items() if name != FINAL}
    lacking = [n for n, s in scored.items() if _is_constant(dataset.targets[s.validation])]
    of_classes = dataset.class_names is not None
    only = "one class only" if of_classes else "one value only"
    stratified = "stratified_group" if _has_groups(dataset) else "stratified"
    method = f"resampling.method {stratified}, " if of_classes else ""
    remedy = f"{method}fewer folds, or another problem.measure"
    if len(lacking) == len(scored):
        raise DataError(
            f"{measure} is not defined on any split: the validation parts have {only} "
            f"({', '.join(lacking)}); use {remedy}"
        )
    if lacking:
        log.warning(
            "%s is not defined on %s, whose validation parts have %s: means are over the other "
            "splits. This would mend it: %s.",
            measure,
            ", ".join(lacking),
            only,
            remedy,
            extra=TOLD,
        )
    if len(splits.test) and _is_constant(dataset.targets[splits.test]):
        log.warning("%s is not defined on the test set, which has %s", measure, only, extra=TOLD)


def _is_constant(targets: Array) -> bool:
    return bool((targets == targets[:1]).all())


def _held_out(
    dataset: Dataset, everything: Array, classes: Array | None, request: SplitsRequest
) -> tuple[Array, Array]:
    if dataset.test_start is not None:
        return everything[: dataset.test_start], everything[dataset.test_start :]
    from sklearn import model_selection

    fraction, plan = request.test_fraction, request.resampling
    if not fraction:
        return everything, everything[:0]
    if plan["method"] in ORDERED_METHODS:
        return time_splits.held_out(time_splits.spans_of(dataset), fraction, plan["gap"])
    seed = derive_seed(request.test_seed, "test")
    splitter: Any
    if _has_groups(dataset):
        strata = classes if plan["method"] == "stratified_group" else None
        test = group_splits.held_out(dataset.groups, fraction, seed, strata)
        return np.setdiff1d(everything, test), test
    if classes is not None:
        _require_strata(dataset, classes, fraction, "data.test_fraction")
        splitter = model_selection.StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    else:
        splitter = model_selection.ShuffleSplit(1, test_size=fraction, random_state=seed)
    development, test = next(splitter.split(everything, classes))
    return np.sort(development), np.sort(test)


def _draw(
    dataset: Dataset, development: Array, classes: Array | None, plan: Mapping[str, Any]
) -> Iterator[tuple[str, Split]]:
    if plan["method"] in ORDERED_METHODS:
        spans = time_splits.spans_of(dataset)
        for fold, parts in enumerate(time_splits.draw(spans, development, plan)):
            yield f"r0f{fold}", Split(*parts)
        return
    labels = None if classes is None else classes[development]
    grouped = _keeps_groups(dataset, plan["method"])
    if plan["method"] == "stratified" and labels is not None:
        _require_members(dataset, labels, plan["folds"])
    if plan["method"] == "holdout" and labels is not None and not grouped:
        share = plan["validation_fraction"]
        _require_strata(dataset, labels, share, "resampling.validation_fraction")
    for repeat in range(plan["repeats"]):
        seed = derive_seed(_seed(plan), "repeat", repeat)
        if grouped:
            held = _grouped_parts(plan, seed, dataset.groups[development], labels)
        else:
            splitter = _splitter(plan, seed, stratify=labels is not None)
            held = (validation for _, validation in splitter.split(development, labels))
        for fold, validation in enumerate(held):
            # Both are ascending.
            yield (
                f"r{repeat}f{fold}",
                Split(np.delete(development, validation), development[np.sort(validation)]),
            )


def _grouped_parts(
    plan: Mapping[str, Any], seed: int, groups: Array, labels: Array | None
) -> Iterator[Array]:
    """Return the validation part of each fold, which has whole groups."""
    if plan["method"] == "holdout":
        return iter([group_splits.held_out(groups, plan["validation_fraction"], seed)])
    strata = labels if plan["method"] == "stratified_group" else None
    return group_splits.folds(groups, plan["folds"], seed, strata)


def _keeps_groups(dataset: Dataset, method: str) -> bool:
    """Tell whether the parts of a method have whole groups."""
    return method in GROUPED_METHODS or (method == "holdout" and _has_groups(dataset))


def _seed(plan: Mapping[str, Any]) -> int:
    """Return the seed of a plan; by time, splits are not drawn and the plan has none."""
    return int(plan.get("seed", 0))


def _reduced(
    dataset: Dataset,
    by_name: Mapping[str, Split],
    classes: Array | None,
    seed: int,
    share: float,
) -> dict[str, Split]:
    """Return the splits with a share of their training parts, classes in proportion."""
    from sklearn.model_selection import train_test_split

    if classes is not None:
        for name, split in by_name.items():
            if share_of(name) == 1:
                wanted = f"a training fraction of {share:g}"
                _require_strata(dataset, classes[split.training], 1 - share, wanted)
    return {
        reduced(name, share): Split(
            np.sort(
                train_test_split(
                    split.training,
                    train_size=share,
                    random_state=derive_seed(seed, name, "share", share),
                    stratify=None if classes is None else classes[split.training],
                )[0]
            ),
            split.validation,
        )
        for name, split in by_name.items()
        if share_of(name) == 1
    }


def _held_back(
    dataset: Dataset, development: Array, classes: Array | None, request: SplitsRequest
) -> tuple[Array, Array]:
    """Return what a search sees, and what only its confirmation is scored on, if anything."""
    from sklearn import model_selection

    confirm = request.confirm or {}
    share = confirm.get("held_back")
    if share is None:
        return development, development[:0]
    seed = derive_seed(_seed(request.resampling), "held back", confirm["confirm_seed"])
    if _has_groups(dataset):
        grouped = request.resampling["method"] == "stratified_group"
        strata = classes[development] if classes is not None and grouped else None
        found = group_splits.held_out(dataset.groups[development], share, seed, strata)
        return np.delete(development, found), development[found]
    labels = None if classes is None else classes[development]
    splitter: Any = model_selection.ShuffleSplit(1, test_size=share, random_state=seed)
    if labels is not None:
        _require_strata(dataset, labels, share, "search.confirm.fraction")
        splitter = model_selection.StratifiedShuffleSplit(1, test_size=share, random_state=seed)
    searched, held_back = next(splitter.split(development, labels))
    return np.sort(development[searched]), np.sort(development[held_back])


def _draw_confirming(
    dataset: Dataset,
    searched: Array,
    held_back: Array,
    classes: Array | None,
    plan: Mapping[str, Any],
) -> dict[str, Split]:
    """Return the splits of the confirming stage, drawn apart from those of the search.

    Of samples that are held back, if there are any: then what the search has seen is trained on in
    each split.
    """
    if plan["method"] == "folds":
        plan = _as_folds(plan, dataset, classes)
    plan = {**plan, "seed": derive_seed(_seed(plan), "confirm", plan["confirm_seed"])}
    drawn = _draw(dataset, held_back if len(held_back) else searched, classes, plan)
    also = searched if len(held_back) else searched[:0]
    return {
        f"c{name.removeprefix('r')}": Split(np.union1d(split.training, also), split.validation)
        for name, split in drawn
    }


def _inner(
    dataset: Dataset,
    name: str,
    training: Array,
    classes: Array | None,
    request: SplitsRequest,
) -> dict[str, tuple[Array, Array]]:
    """Return the inner parts of a split's training part, drawn as the splits are."""
    plan = request.resampling
    ordered = plan["method"] in ORDERED_METHODS
    return {
        f"{share:g}": draw_inner(
            dataset,
            training,
            share,
            derive_seed(_seed(plan), name, "inner", share),
            classes=classes,
            grouped=not ordered and _has_groups(dataset),
            gap=plan["gap"] if ordered else None,
        )
        for share in request.inner_fractions or ()
    }


def _require_strata(dataset: Dataset, labels: Array, share: float, key: str) -> None:
    """Refuse classes that can't all be in both parts of a draw by classes.

    Parameters
    ----------
    dataset : Dataset
    labels : array of int64
        Class codes of the samples that are drawn from.
    share : float
        Of the samples, what is drawn.
    key : str
        What asks for it.
    """
    codes, counts = np.unique(labels, return_counts=True)
    names = dataset.class_names or []
    alone = [names[code] for code in codes[counts == 1]]
    if alone:
        raise DataError(
            f"{counted(len(alone), 'class', 'classes')} with a single sample, which can't be in "
            f"both parts that {key} makes: {first_of(alone, _NAMED)}; give more samples of them, "
            "join them with other classes, or leave them out"
        )
    drawn = math.ceil(share * len(labels))
    smallest = min(drawn, len(labels) - drawn)
    if smallest < len(codes):
        raise DataError(
            f"{len(codes)} classes can't all be among {counted(smallest, 'sample')}, the smaller "
            f"part that {key} makes of {len(labels):,}; choose a share nearer to 0.5, join "
            "classes, or give more samples"
        )


def _require_members(dataset: Dataset, labels: Array, folds: int) -> None:
    """Refuse strata that can't be in every fold; scikit-learn only warns."""
    codes, counts = np.unique(labels, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] < folds:
        names = dataset.class_names or []
        name = names[codes[rarest]] if names else codes[rarest]
        raise DataError(
            f"class {name} has {counts[rarest]} members outside the test set, too few for "
            f"{folds} stratified folds; use fewer folds, or resampling.method: kfold"
        )


def _splitter(plan: Mapping[str, Any], seed: int, *, stratify: bool) -> Any:
    # Imported here: jobs that only read splits need not wait a second for scikit-learn.
    from sklearn import model_selection

    if plan["method"] == "holdout":
        kind = model_selection.ShuffleSplit
        if stratify:
            kind = model_selection.StratifiedShuffleSplit
        return kind(1, test_size=plan["validation_fraction"], random_state=seed)
    kind = {
        "kfold": model_selection.KFold,
        "stratified": model_selection.StratifiedKFold,
    }[plan["method"]]
    return kind(plan["folds"], shuffle=True, random_state=seed)


def _has_groups(dataset: Dataset) -> bool:
    return bool(len(np.unique(dataset.groups)) < len(dataset.groups))


def check(splits: Splits, dataset: Dataset, method: str, held_back: Array | None = None) -> None:
    """Verify what every comparison rests on.

    Parameters
    ----------
    splits : Splits
    dataset : Dataset
    method : str
        ``resampling.method``.
    held_back : array of int64, optional
        What only the confirmation of a search is scored on.

    Raises
    ------
    DataError
        When training, validation and test overlap, when k-fold does not validate every sample
        once in each repeat, or when a group straddles; with splits by time, when samples of two
        parts know the same point in time.
    """
    development = splits.by_name[FINAL].training
    _require(not np.intersect1d(development, splits.test).size, "test samples are trained on")
    if method in ORDERED_METHODS:
        _check_times(splits, dataset)
    else:
        shared = np.intersect1d(dataset.groups[development], dataset.groups[splits.test])
        _require(not shared.size, "groups stand in the test set and outside it")
    validated: dict[str, list[Array]] = {}
    for name, split in splits.by_name.items():
        if name == FINAL or outer_fold_of(name) not in (None, name):
            continue
        for rows, use in ((split.training, "train"), (split.validation, "validate")):
            _require(
                rows.size > 0,
                f"{name} has no samples to {use} on; use fewer folds or more samples, and with "
                "splits by time a smaller `gap` or shorter windows",
            )
        _require(
            not np.intersect1d(split.training, split.validation).size,
            f"{name}: training and validation overlap",
        )
        used = np.union1d(split.training, split.validation)
        _require(not np.intersect1d(used, splits.test).size, f"{name}: test samples are used")
        if held_back is not None and name.startswith("r"):
            seen = np.intersect1d(used, held_back)
            _require(not seen.size, f"{name}: samples are used that are held back")
        if _keeps_groups(dataset, method):
            shared = np.intersect1d(
                dataset.groups[split.training], dataset.groups[split.validation]
            )
            _require(not shared.size, f"{name}: groups stand in both parts")
        for fitted, inner in split.inner.values():
            _require(
                not np.intersect1d(fitted, inner).size
                and not np.setdiff1d(np.union1d(fitted, inner), split.training).size,
                f"{name}: the inner part for early stopping is no part of the training part",
            )
        if share_of(name) == 1:
            validated.setdefault(name.partition("f")[0], []).append(split.validation)
    for repeat, parts in validated.items():
        # Outer folds of a hold-out are folds.
        if method != "forward" and (method != "holdout" or repeat.startswith("o")):
            expected = development
            if held_back is not None and held_back.size and not repeat.startswith("o"):
                is_confirming = repeat.startswith("c")
                expected = held_back if is_confirming else np.setdiff1d(development, held_back)
            _require(
                np.array_equal(np.sort(np.concatenate(parts)), expected),
                f"{repeat}: not every sample is validated exactly once",
            )


def _check_times(splits: Splits, dataset: Dataset) -> None:
    spans = time_splits.spans_of(dataset)
    for name, split in splits.by_name.items():
        other = splits.test if name == FINAL else split.validation
        if name == FINAL and dataset.test_start is not None:
            # The source's own test set has no place in the order of the others.
            continue
        _require(
            not time_splits.share_time(spans, split.training, other),
            f"{name}: samples of both parts know the same point in time",
        )


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise DataError(f"bad splits: {complaint}")
