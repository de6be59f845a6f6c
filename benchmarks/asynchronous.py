"""Compare asynchronous Hyperband with the synchronous one, on learning curves of real trainings.

A pool of networks of scikit-learn is trained once on the digits; the validation log loss and the
processor time of each epoch are kept. Both searches are then simulated with a virtual clock on
configurations drawn from the pool, with 1, 2, 4 and 16 workers. The asynchronous one asks the very
code that gridfold's jobs ask (:class:`gridfold.space.promotions.Promotions`), the synchronous one
promotes as the rule `choose` does. Each worker takes the next trial as soon as it is free, whatever
bracket it is of, and starting a trial costs a second; neither pays for imports or queues.

Run: ``uv run python benchmarks/asynchronous.py --curves /tmp/curves.npz``
"""

from __future__ import annotations

import argparse
import heapq
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.space.hyperband import Rung, drawn, schedule
from gridfold.space.promotions import Promotions
from gridfold.store.decision_log import Decision

EPOCHS, FACTOR = 27, 3
WORKERS = (1, 2, 4, 16)
# Seconds of a trial beside its epochs.
START = 1.0


@dataclass(frozen=True)
class Curves:
    """Learning curves of a pool of configurations.

    Attributes
    ----------
    losses : array of shape (configurations, epochs)
        Validation log loss after each epoch.
    seconds : array of shape (configurations,)
        Of an epoch.
    """

    losses: np.ndarray[Any, Any]
    seconds: np.ndarray[Any, Any]

    @classmethod
    def read_or_train(cls, file: Path, size: int) -> Curves:
        """Read the curves from a file, which is made where it is missing."""
        if not file.exists():
            trained = cls.train(size)
            np.savez(file, losses=trained.losses, seconds=trained.seconds)
        with np.load(file) as content:
            return cls(content["losses"], content["seconds"])

    @classmethod
    def train(cls, size: int) -> Curves:
        """Train a pool of networks, drawn at random."""
        from sklearn.datasets import load_digits
        from sklearn.metrics import log_loss
        from sklearn.model_selection import train_test_split
        from sklearn.neural_network import MLPClassifier
        from sklearn.preprocessing import StandardScaler

        warnings.simplefilter("ignore")
        features, targets = load_digits(return_X_y=True)
        inside, outside, known, unknown = train_test_split(
            StandardScaler().fit_transform(features),
            targets,
            test_size=0.5,
            random_state=0,
            stratify=targets,
        )
        generator = np.random.default_rng(0)
        losses, seconds = np.empty((size, EPOCHS)), np.empty(size)
        for index in range(size):
            network = MLPClassifier(
                [int(2 ** generator.uniform(2, 7))] * int(generator.integers(1, 4)),
                learning_rate_init=10 ** generator.uniform(-4, -1),
                batch_size=int(2 ** generator.integers(4, 9)),
                alpha=10 ** generator.uniform(-6, 0),
                random_state=index,
            )
            took = []
            for epoch in range(EPOCHS):
                began = time.process_time()
                network.partial_fit(inside, known, classes=np.unique(targets))
                took.append(time.process_time() - began)
                losses[index, epoch] = log_loss(unknown, network.predict_proba(outside))
            seconds[index] = np.median(took)
        # As for networks whose epochs take ten seconds on average.
        return cls(losses, 10 * seconds / seconds.mean())


@dataclass
class Outcome:
    """What a simulated search has come to.

    Attributes
    ----------
    wall : float
        Seconds until the last trial has ended.
    busy : float
        Share of the time of all workers in which they trained.
    best : float
        Least validation log loss of what was trained in full.
    epochs : int
        Epochs that were trained.
    full : list of (float, float)
        When which validation log loss was reached by a full training.
    """

    wall: float
    busy: float
    best: float
    epochs: int
    full: list[tuple[float, float]]

    def found(self, loss: float) -> float:
        """Return when something as good as `loss` was trained in full; infinity for never."""
        return next((moment for moment, reached in self.full if reached <= loss), float("inf"))


@dataclass(frozen=True)
class Trial:
    """A configuration that a worker brings to the end of a rung."""

    decision: Decision
    epochs: int
    before: int


# Says what a free worker trains next, None where it must wait; hears of scores.
Next = Callable[[], Trial | None]
End = Callable[[Trial, float], None]


def simulated(curves: Curves, workers: int, following: Next, end: End) -> Outcome:
    """Let workers train until nothing is left, by a virtual clock."""
    now, busy, epochs, order = 0.0, 0.0, 0, 0
    running: list[tuple[float, int, Trial]] = []
    full: list[tuple[float, float]] = []
    while True:
        while len(running) < workers and (trial := following()) is not None:
            new = trial.epochs - trial.before
            took = START + new * curves.seconds[int(trial.decision.config_id)]
            busy, epochs, order = busy + took, epochs + new, order + 1
            heapq.heappush(running, (now + took, order, trial))
        if not running:
            break
        now, _, ended = heapq.heappop(running)
        loss = float(curves.losses[int(ended.decision.config_id), ended.epochs - 1])
        if ended.epochs == EPOCHS:
            full.append((now, loss))
        end(ended, loss)
    best = min(loss for _, loss in full)
    return Outcome(now, busy / (now * workers), best, epochs, full)


def asynchronous(
    curves: Curves, workers: int, rungs: Sequence[Rung], begun: dict[int, list[str]]
) -> Outcome:
    """Simulate the asynchronous search."""
    promotions = Promotions(rungs, begun, FACTOR, sign=-1)
    before = {(rung.bracket, rung.rung): rung.before for rung in rungs}

    def following() -> Trial | None:
        decision = promotions.next()
        if decision is None:
            return None
        promotions.take(decision)
        return Trial(
            decision,
            promotions.epochs(decision),
            before[decision.bracket, decision.rung],
        )

    return simulated(
        curves, workers, following, lambda trial, loss: promotions.end(trial.decision, loss)
    )


def synchronous(
    curves: Curves, workers: int, rungs: Sequence[Rung], begun: dict[int, list[str]]
) -> Outcome:
    """Simulate the synchronous search, whose rungs each wait for all of the one before."""
    by_name = {(rung.bracket, rung.rung): rung for rung in rungs}
    waiting: list[Trial] = []
    scores: dict[tuple[int, int], dict[str, float]] = {}

    def begin(rung: Rung, ids: Sequence[str]) -> None:
        scores[rung.bracket, rung.rung] = {}
        waiting.extend(
            Trial(Decision(rung.bracket, rung.rung, config_id), rung.epochs, rung.before)
            for config_id in ids
        )

    for rung in rungs:
        if rung.rung == 0:
            begin(rung, begun[rung.bracket])

    def end(trial: Trial, loss: float) -> None:
        bracket, number = trial.decision.bracket, trial.decision.rung
        found = scores[bracket, number]
        found[trial.decision.config_id] = loss
        following = by_name.get((bracket, number + 1))
        if following is not None and len(found) == by_name[bracket, number].configurations:
            best = sorted(found, key=lambda config_id: found[config_id])
            begin(following, best[: following.configurations])

    return simulated(curves, workers, lambda: waiting.pop(0) if waiting else None, end)


def draws(size: int, count: int, seeds: int) -> Iterator[list[str]]:
    """Yield the configurations of each seed."""
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        yield [str(index) for index in generator.permutation(size)[:count]]


def main() -> None:
    """Print a row for each kind and number of workers: means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", type=Path, required=True, help="file of the learning curves")
    parser.add_argument("--pool", type=int, default=200, help="networks that are trained for it")
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    curves = Curves.read_or_train(options.curves, options.pool)
    seconds = curves.seconds
    print(f"seconds of an epoch: {seconds.min():.2f} to {seconds.max():.1f}, mean 10")
    for brackets in (None, 1):
        rungs = schedule(EPOCHS, FACTOR, brackets)
        print(f"\n{drawn(rungs)} configurations, {len({r.bracket for r in rungs})} brackets")
        print(
            "| workers | | wall | found after | busy | epochs | in full | best log loss "
            "| better, equal, worse |"
        )
        for workers in WORKERS:
            found: dict[str, list[Outcome]] = {"synchronous": [], "asynchronous": []}
            for ids in draws(len(seconds), drawn(rungs), options.seeds):
                begun, left = {}, ids
                for rung in rungs:
                    if rung.rung == 0:
                        begun[rung.bracket] = left[: rung.configurations]
                        left = left[rung.configurations :]
                found["synchronous"].append(synchronous(curves, workers, rungs, begun))
                found["asynchronous"].append(asynchronous(curves, workers, rungs, begun))
            for kind, outcomes in found.items():
                print(_row(workers, kind, outcomes, found["synchronous"]))


def _row(workers: int, kind: str, outcomes: Sequence[Outcome], others: Sequence[Outcome]) -> str:
    best = np.array([o.best for o in outcomes])
    gain = np.array([o.best for o in others]) - best
    # As good as the best of the synchronous search; where that was missed, the whole time.
    found = [
        min(mine.found(other.best), mine.wall) for mine, other in zip(outcomes, others, strict=True)
    ]
    cells = [
        str(workers),
        kind,
        f"{np.mean([o.wall for o in outcomes]):,.0f} s",
        f"{np.mean(found):,.0f} s",
        f"{100 * np.mean([o.busy for o in outcomes]):.0f} %",
        f"{np.mean([o.epochs for o in outcomes]):.0f}",
        f"{np.mean([len(o.full) for o in outcomes]):.1f}",
        f"{best.mean():.4f} ± {best.std():.4f}",
        f"{(gain > 0).sum()}, {(gain == 0).sum()}, {(gain < 0).sum()}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
