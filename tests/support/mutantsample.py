"""Draws mutants to try, and counts those that tests have noticed, module by module.

`make mutants` makes mutants of all modules that it is configured for, and takes hours for all. A
sample of each module is tried by ``make mutants MUTANTS="$(python tests/support/mutantsample.py
names --of 60)"``, once the mutants are there.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MUTANTS = Path("mutants/src")
# How the tests of a mutant have ended that nobody has noticed: all passed, or there were none.
_PASSED, _NO_TESTS = 0, 33


@dataclass(frozen=True)
class Module:
    """The mutants of a module.

    Attributes
    ----------
    name : str
        Path of the module, as ``store/locks.py``.
    codes : mapping of str to int or None
        How the tests of each mutant have ended; None where it was not tried.
    """

    name: str
    codes: Mapping[str, int | None]

    @property
    def tried(self) -> int:
        return sum(code is not None for code in self.codes.values())

    @property
    def noticed(self) -> int:
        return self.tried - len(self.survivors)

    @property
    def survivors(self) -> list[str]:
        return [name for name, code in self.codes.items() if code in (_PASSED, _NO_TESTS)]


def modules(folder: Path = MUTANTS) -> Iterator[Module]:
    """Yield all modules that have mutants."""
    for file in sorted(folder.rglob("*.meta")):
        codes = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            name = file.relative_to(folder / "gridfold").as_posix().removesuffix(".meta")
            yield Module(name, codes)


def drawn(found: Module, count: int, seed: int) -> list[str]:
    """Return some mutants of a module, the same ones each time."""
    names = sorted(found.codes)
    return sorted(random.Random(seed).sample(names, min(count, len(names))))


def table(found: list[Module]) -> str:
    """Return what was noticed as a table in Markdown."""
    lines = ["| module | mutants | tried | noticed | share |", "|---|---:|---:|---:|---:|"]
    total = Module("all", {name: code for module in found for name, code in module.codes.items()})
    for module in [*(m for m in found if m.tried), total]:
        name = module.name if module is total else f"`{module.name}`"
        share = f"{module.noticed / module.tried:.0%}" if module.tried else ""
        lines.append(
            f"| {name} | {len(module.codes):,} | {module.tried:,} | {module.noticed:,} | {share} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the names of a sample, the table, or those that nobody has noticed."""
    parser = argparse.ArgumentParser(description="Draw mutants, and count what was noticed.")
    parser.add_argument("what", choices=["names", "table", "survivors"])
    parser.add_argument("--of", type=int, default=60, help="Mutants of each module.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", default="", help="Beginning of the modules' paths.")
    options = parser.parse_args()
    found = [module for module in modules() if module.name.startswith(options.module)]
    if options.what == "names":
        print(*(name for each in found for name in drawn(each, options.of, options.seed)))
    elif options.what == "survivors":
        print(*(name for each in found for name in each.survivors), sep="\n")
    else:
        print(table(found))


if __name__ == "__main__":
    main()
