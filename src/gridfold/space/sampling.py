"""Draws points of the unit cube, one number for each axis, for strategies that sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

from gridfold.canonical import derive_seed, uniform
from gridfold.study.sections.search import LatinHypercubeStrategy, RandomStrategy, SobolStrategy

# Tells the quantile, in [0, 1), at which an axis is drawn.
Point = Callable[[str], float]
Sampled = RandomStrategy | SobolStrategy | LatinHypercubeStrategy


def points(strategy: Sampled, axes: Sequence[str]) -> Iterator[Point]:
    """Yield points without end; a strategy takes as many as it needs for different configurations.

    Parameters
    ----------
    strategy : Sampled
    axes : sequence of str
        Names of the axes, in an order that decides which dimension of a sequence each gets.
    """
    if isinstance(strategy, RandomStrategy):
        # Each number depends on seed, draw and axis alone. So a larger `n` keeps the first draws,
        # and a new axis leaves the others' values alone.
        for draw in count():
            yield partial(uniform, strategy.seed, draw)
    # What the rules import must be light, and few studies need it.
    from scipy.stats import qmc

    size = 1 << max(0, strategy.n - 1).bit_length()
    sequence = None
    for block in count():
        if isinstance(strategy, SobolStrategy):
            # Blocks that double what there is, since the sequence is balanced at powers of two.
            sequence = sequence or qmc.Sobol(len(axes), rng=strategy.seed)
            rows = sequence.random_base2(size.bit_length() - 1 + max(0, block - 1))
        else:
            seed = derive_seed(strategy.seed, "latin_hypercube", block)
            rows = qmc.LatinHypercube(len(axes), rng=seed).random(strategy.n)
        for row in rows.tolist():
            yield dict(zip(axes, row, strict=True)).__getitem__
