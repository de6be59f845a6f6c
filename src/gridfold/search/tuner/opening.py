"""Open the oracle of a search: a tuner of Keras Tuner, or a sampler of Optuna."""

from __future__ import annotations

from gridfold.search.tuner.protocol import OpenedOracle
from gridfold.search.tuner.search import TuningStudy
from gridfold.study.sections.optuna_sampler import OptunaStrategy


def open_any(study: TuningStudy) -> OpenedOracle:
    """Bring the oracle of a search to where it was, or to its beginning.

    Raises
    ------
    TuningFailed
        When the search can't be begun.
    """
    # Each imports its library, which the other one does not need.
    if isinstance(study.strategy, OptunaStrategy):
        from gridfold.search.tuner.sampled import open_sampled

        return open_sampled(study)
    from gridfold.search.tuner.local_oracle import open_oracle

    return open_oracle(study)
