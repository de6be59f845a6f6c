"""Simulate studies whose truth is known, to see what the statistics of the report are worth.

Each subcommand prints a Markdown table, as it stands in ``docs/statistics.md``.

Run: ``uv run python benchmarks/statistics_tables.py level``
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

# What is simulated: the module beside this one, and its function. All take the number of studies.
SIMULATIONS = {
    "level": ("statistics_comparisons", "level"),
    "noise": ("statistics_comparisons", "noise"),
    "power": ("statistics_comparisons", "power"),
    "coverage": ("statistics_comparisons", "coverage"),
    "choice": ("statistics_comparisons", "choice"),
    "baselines": ("statistics_baselines", "favour"),
    "chance": ("statistics_baselines", "chance"),
    "ranks": ("statistics_comparisons", "ranks"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("simulation", choices=SIMULATIONS)
    parser.add_argument("--studies", type=int, help="of each row; more take longer")
    options = parser.parse_args()
    # Python finds modules beside a script first, and this one has the name of one of its own.
    sys.path.append(sys.path.pop(0))
    module, function = SIMULATIONS[options.simulation]
    simulate = getattr(importlib.import_module(module), function)
    started = time.monotonic()
    if options.studies is None:
        simulate()
    else:
        simulate(options.studies)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
