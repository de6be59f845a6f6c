"""Simulations of how configurations are compared: levels, power, the set of the best, ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statistics_learners import LEARNERS, RESAMPLINGS, Resampling, gaussian

from gridfold.statistics.moderated import NO_PRIOR, PairedTest
from gridfold.statistics.ranks import effective_blocks, rank_test

Array = Any
_ALPHA = 0.05


@dataclass(frozen=True)
class Outcome:
    """What the tests find in one study.

    Attributes
    ----------
    own, moderated : bool
        Whether some configuration differs significantly from the best, with the variance of each
        pair alone, and with moderated variances.
    holds : bool
        Whether the set of those that may be the best holds the best one.
    size : float
        The share of the configurations in that set.
    """

    own: bool
    moderated: bool
    holds: bool
    size: float


def _tests(scores: Array, resampling: Resampling, counted: bool) -> tuple[PairedTest, PairedTest]:
    """Return the test with the variance of each pair alone, and the one of the report."""
    least = 2 / 12 / resampling.validated**2 if counted else 0.0
    test = PairedTest.of(scores, resampling.ratio, least)
    return PairedTest(NO_PRIOR, test.ratio, test.least_variance, test.pairs), test


def _outcome(scores: Array, resampling: Resampling, counted: bool, best: int = 0) -> Outcome:
    order = np.argsort(-scores.mean(axis=0), kind="stable")
    scores = scores[:, order]
    tests = _tests(scores, resampling, counted)
    own, moderated = (
        bool((test.of_any_pair(test.differences(scores, scores[:, 0]).p_values) <= _ALPHA).any())
        for test in tests
    )
    possible = tests[1].may_be_best(scores, 1 - _ALPHA)
    holds = bool(possible[order.tolist().index(best)])
    return Outcome(own, moderated, holds, float(possible.mean()))


def _percent(share: Any) -> str:
    return f"{100 * share:.1f}%"


def level(studies: int = 200) -> None:
    """Print how often equally good trained learners seem to differ."""
    print("| resampling | equally good learners | studies | configurations | before | now | set |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for resampling in RESAMPLINGS:
        number = max(1, studies // _FEWER[resampling.splits])
        for name, learn in LEARNERS.items():
            random = np.random.default_rng(0)
            drawn = [learn(resampling, 16, random) for _ in range(number)]
            for count in (4, 16):
                found = [
                    _outcome(scores[:, :count], resampling, "MSE" not in name) for scores in drawn
                ]
                shares = np.mean([(f.own, f.moderated, f.holds) for f in found], axis=0)
                print(
                    f"| {resampling} | {name} | {number} | {count} | "
                    f"{' | '.join(map(_percent, shares))} |",
                    flush=True,
                )


# Studies of many splits take long.
_FEWER = {2: 1, 3: 1, 5: 1, 10: 2, 100: 5}

_NOISE: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "equal": lambda count, random: np.ones(count),
    "1 to 4, log-uniform": lambda count, random: np.exp(random.uniform(0, math.log(4), count)),
    "one of 4, others 1": lambda count, random: np.r_[4.0, np.ones(count - 1)],
    "a sixth of 3, others 1": lambda count, random: np.where(
        np.arange(count) < max(1, count // 6), 3.0, 1.0
    ),
    "two of 0.2, others 1": lambda count, random: np.where(np.arange(count) < 2, 0.2, 1.0),
    "equal, heavy tails": lambda count, random: np.ones(count),
}


def noise(studies: int = 300) -> None:
    """Print how often equally good configurations of unequal noise seem to differ."""
    counts = (3, 6, 16)
    print(f"| resampling | SDs | {' | '.join(map(str, counts))} |")
    print(f"|---|---|{'---:|' * len(counts)}", flush=True)
    for resampling in RESAMPLINGS[:4]:
        for name, sds in _NOISE.items():
            cells = []
            for count in counts:
                random = np.random.default_rng(1)
                found = [
                    _outcome(
                        gaussian(resampling, sds(count, random), random, "heavy" in name),
                        resampling,
                        False,
                    )
                    for _ in range(studies)
                ]
                cells.append(_percent(np.mean([f.moderated for f in found])))
            print(f"| {resampling} | {name} | {' | '.join(cells)} |", flush=True)


def power(studies: int = 200) -> None:
    """Print how often one configuration is found better than each of the others, which are equal.

    By differences in standard deviations of a score over the splits.
    """
    gaps, counts = (1, 2, 3), (4, 16, 40)
    print("| resampling | configurations | " + " | ".join(f"{gap} SD" for gap in gaps) + " | set |")
    print(f"|---|---:|{'---:|' * (len(gaps) + 1)}", flush=True)
    for resampling in RESAMPLINGS:
        for count in counts:
            cells = []
            for gap in gaps:
                random, rows, sizes = np.random.default_rng(2), [], []
                for _ in range(studies):
                    scores = gaussian(resampling, np.ones(count), random)
                    scores[:, 0] += gap
                    tests = _tests(scores, resampling, False)
                    rows.append(
                        [
                            (t.of_any_pair(t.differences(scores, scores[:, 0]).p_values) <= _ALPHA)[
                                1:
                            ].mean()
                            for t in tests
                        ]
                    )
                    sizes.append(tests[1].may_be_best(scores, 1 - _ALPHA).sum())
                old, new = np.mean(rows, axis=0)
                cells.append(f"{old:.2f} → {new:.2f}")
            print(
                f"| {resampling} | {count} | {' | '.join(cells)} | {np.mean(sizes):.1f} |",
                flush=True,
            )


def coverage(studies: int = 500) -> None:
    """Print how often the set of those that may be the best holds a given one of equally good ones.

    No other truth is harder: each of them is the best one.
    """
    cases = [(2, 1.0), (3, 1.0), (4, 1.0), (8, 1.0), (4, 4.0), (8, 4.0)]
    heads = [f"{count}, one of 4 SD" if sd > 1 else f"{count}" for count, sd in cases]
    print(f"| resampling | {' | '.join(heads)} |")
    print(f"|---|{'---:|' * len(cases)}", flush=True)
    for resampling in RESAMPLINGS[:4]:
        cells = []
        for count, sd in cases:
            random, sds = np.random.default_rng(5), np.ones(count)
            # Not that of the one that is looked for.
            sds[1] = sd
            found = [
                _outcome(gaussian(resampling, sds, random), resampling, False).holds
                for _ in range(studies)
            ]
            cells.append(_percent(np.mean(found)))
        print(f"| {resampling} | {' | '.join(cells)} |", flush=True)


def choice(studies: int = 300) -> None:
    """Print how much worse the smallest is that each rule names, and how often the set is right.

    Means of the configurations are drawn from a normal distribution whose standard deviation is
    that of a score over the splits; so is their order by size.
    """
    print(
        "| resampling | configurations | " + " | ".join(_RULES) + " | set holds the best | size |"
    )
    print(f"|---|---:|{'---:|' * (len(_RULES) + 2)}", flush=True)
    for resampling in RESAMPLINGS:
        for count in (4, 16, 40):
            random = np.random.default_rng(3)
            lost: list[list[float]] = []
            holds, sizes = [], []
            for _ in range(studies):
                truth = random.normal(size=count)
                scores = truth + gaussian(resampling, np.ones(count), random)
                lost.append(_lost(scores, truth, resampling))
                outcome = _outcome(scores, resampling, False, int(truth.argmax()))
                holds.append(outcome.holds)
                sizes.append(outcome.size * count)
            cells = [f"{mean:.2f}" for mean in np.mean(lost, axis=0)]
            print(
                f"| {resampling} | {count} | {' | '.join(cells)} | {_percent(np.mean(holds))} | "
                f"{np.mean(sizes):.1f} |",
                flush=True,
            )


_RULES = ("selected", "smallest not distinguishable (before)", "smallest within one SE")


def _lost(scores: Array, truth: Array, resampling: Resampling) -> list[float]:
    """Return how much worse than the best in truth is what each rule names."""
    best = int(scores.mean(axis=0).argmax())
    old, new = (
        test.differences(scores, scores[:, best]) for test in _tests(scores, resampling, False)
    )
    alike = np.minimum(1, old.p_values * math.comb(len(truth), 2)) > _ALPHA
    near = -new.mean <= new.error
    # Their order is by size: the first is the smallest.
    picks = [
        best,
        *(int(np.flatnonzero(kept | (np.arange(len(truth)) == best))[0]) for kept in (alike, near)),
    ]
    return [float(truth.max() - truth[pick]) for pick in picks]


def ranks(studies: int = 300) -> None:
    """Print how often rank tests find differences between equally good configurations."""
    counts = (3, 5, 10)
    print("| resampling | scores | blocks | " + " | ".join(map(str, counts)) + " |")
    print(f"|---|---|---|{'---:|' * len(counts)}", flush=True)
    for resampling in RESAMPLINGS:
        plain = 1 / (1 / resampling.splits + resampling.ratio)
        kinds = {
            "Gaussian": None,
            "own features (naive Bayes)": LEARNERS["own features (naive Bayes)"],
        }
        for kind, learn in kinds.items():
            number = studies if learn is None else max(1, studies // 5)
            random = np.random.default_rng(4)
            drawn = [
                learn(resampling, 10, random)
                if learn
                else gaussian(resampling, np.ones(10), random)
                for _ in range(number)
            ]
            for name, blocks in (
                ("splits", float(resampling.splits)),
                ("before", plain),
                ("now", effective_blocks(resampling.splits, resampling.ratio)),
            ):
                cells = []
                for count in counts:
                    tests = [
                        rank_test(pd.DataFrame(scores[:, :count]), blocks, _ALPHA)
                        for scores in drawn
                    ]
                    found = np.mean([t.p_value <= _ALPHA for t in tests])
                    apart = np.mean(
                        [np.ptp(list(t.ranks.values())) > t.critical_difference for t in tests]
                    )
                    possible = tests[0].can_reject or tests[0].can_separate
                    cells.append(f"{_percent(found)}, {_percent(apart)}" if possible else "never")
                print(
                    f"| {resampling} | {kind} | {name} ({blocks:.1f}) | {' | '.join(cells)} |",
                    flush=True,
                )
