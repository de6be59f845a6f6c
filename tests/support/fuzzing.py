"""Study files and data files of all kinds, most of them wrong: each is read, or refused in words.

A case is made of its number alone, so that it can be made again. `make fuzz` tries thousands; the
tests try some. What is found wrong with a case is a regular test afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import combinations
import combineddata
import numpy as np
import pandas as pd
import yaml
from PIL import Image
from studies import MODEL_FILE

from gridfold.data.dataset import prepare
from gridfold.errors import GridfoldError
from gridfold.plan.loading import load_study
from gridfold.plan.plan import Plan

ROOT = Path(__file__).parents[2]
# Far more than any case needs, also on a busy machine: seconds of processor time, and of memory.
SECONDS, GIGABYTES = 20, 4


@dataclass(frozen=True)
class Finding:
    """A case that was neither read nor refused in words.

    Attributes
    ----------
    case : int
    error : str
        The exception and where it was raised.
    content : str
        What was read, or the name of its file.
    """

    case: int
    error: str
    content: str


class Hang(BaseException):
    """A case took too long; no reader may catch it."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raise :class:`Hang` in a block that computes for too long."""

    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attempt(case: int, content: str, read: Callable[[], object]) -> Finding | None:
    """Read a case; return what is wrong with how that went."""
    try:
        with warnings.catch_warnings(), bounded(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            read()
    except GridfoldError as error:
        text = str(error)
        if text.strip() and "Traceback" not in text:
            return None
        return Finding(case, f"no message: {error!r}", content)
    except (Exception, Hang) as error:
        last = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last))
        return Finding(case, f"{type(error).__name__}: {str(error)[:200]} ({where})", content)
    return None


# -- studies --------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    2**31,
    2**53 + 1,
    "",
    " ",
    "0",
    "1e-3",
    "a\u0000b",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "ａ" * 300,
    "{}",
    "{x[0].__class__}",
    "%s",
    "../..",
    "/dev/null",
    "/proc/self/mem",
    "model.py:build_model",
    "model.py:nothing",
    "table.csv",
    [],
    [[]],
    [0],
    [1, "a"],
    [None],
    [3, 3],
    {},
    {"type": "x"},
    {"": 1},
    {"grid": []},
    {"grid": [1, 2]},
    {"int": {"min": 1, "max": 3}},
    {"float": {"min": 0.1, "max": 0.2, "log": True}},
    {"range": {"start": 0, "stop": 1, "step": 1e-9}},
    {"linspace": {"start": 0, "stop": 1, "num": 3}},
)


class Generator:
    """Makes studies of the JSON schema, and changes valid ones.

    Parameters
    ----------
    valid : list of dict
        Studies to change.
    """

    def __init__(self, valid: list[dict[str, Any]]) -> None:
        self._valid = valid
        self._schema = json.loads((ROOT / "config" / "study.schema.json").read_text())

    def text(self, case: int) -> str | bytes:
        """Return the study file of a case."""
        luck = random.Random(case)
        kind = case % 4
        if kind == 0:
            return self._written(self._of(self._schema, luck, 0))
        if kind == 1:
            # One section of the schema's making in a valid study reaches deeper checks.
            study = copy.deepcopy(luck.choice(self._valid))
            section = luck.choice(list(self._schema["properties"]))
            study[section] = self._of(self._schema["properties"][section], luck, 0)
            return self._written(study)
        if kind == 2:
            return self._written(self._changed(luck))
        return garbled(self._written(luck.choice(self._valid)).encode(), luck)

    @staticmethod
    def _written(study: Any) -> str:
        return yaml.safe_dump(study, sort_keys=False, allow_unicode=True)

    def _changed(self, luck: random.Random) -> dict[str, Any]:
        study = copy.deepcopy(luck.choice(self._valid))
        for _ in range(luck.randint(1, 4)):
            places = list(_places(study))
            node, key = luck.choice(places)
            other, other_key = luck.choice(places)
            action = luck.randrange(4)
            if action == 0:
                node[key] = copy.deepcopy(luck.choice(ODD))
            elif action == 1:
                node[key] = copy.deepcopy(other[other_key])
            elif action == 2:
                del node[key]
            elif isinstance(node, dict):
                node[luck.choice([str(other_key), "mlp.units", "when", "grid"])] = node.pop(key)
            if not study:
                break
        return study

    def _of(self, schema: Mapping[str, Any], luck: random.Random, depth: int) -> Any:
        """Return a value that a part of the schema allows, or, now and then, an odd one."""
        if luck.random() < 0.02 or depth > 12:
            return copy.deepcopy(luck.choice(ODD))
        if "$ref" in schema:
            return self._of(self._schema["$defs"][schema["$ref"].split("/")[-1]], luck, depth)
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._of(luck.choice(schema[several]), luck, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return luck.choice(schema["enum"])
        make = {
            "object": self._object,
            "array": self._array,
            "integer": _integer,
            "number": _number,
            "string": _string,
            "boolean": lambda *_: luck.random() < 0.5,
            "null": lambda *_: None,
        }.get(schema.get("type", ""))
        return make(schema, luck, depth) if make else copy.deepcopy(luck.choice(ODD))

    def _object(self, schema: Mapping[str, Any], luck: random.Random, depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        made = {
            name: self._of(part, luck, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or luck.random() < 0.3
        }
        further = schema.get("additionalProperties")
        if isinstance(further, dict):
            names = ["mlp.units", "mlp.layers", "training.epochs", "training.learning_rate", "x"]
            for name in luck.sample(names, luck.randint(0, 2)):
                made[name] = self._of(further, luck, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], luck: random.Random, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        count = luck.randint(least, min(schema.get("maxItems", 4), least + 3))
        return [self._of(schema.get("items", {}), luck, depth + 1) for _ in range(count)]


def _integer(schema: Mapping[str, Any], luck: random.Random, _: int) -> int:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return int(min(low + luck.choice([0, 1, 2, 5, 30]), schema.get("maximum", 2**31)))


def _number(schema: Mapping[str, Any], luck: random.Random, _: int) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + luck.choice([1, 1e-9, 1e9])))
    return float(low + (high - low) * luck.choice([0, 0.1, 0.5, 0.999, 1]))


def _string(schema: Mapping[str, Any], luck: random.Random, _: int) -> str:
    if ".py:" in schema.get("pattern", ""):
        return "model.py:build_model"
    names = ["a", "accuracy", "table.csv", "arrays.npz", "images", "grade", "é", "2:3", "m.keras"]
    return luck.choice([*names, "mlp.units", "val_loss", "training.epochs"])


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def garbled(content: bytes, luck: random.Random) -> bytes:
    """Return a file's content with some damage: bytes changed, doubled, lost, cut off."""
    changed = bytearray(content)
    for _ in range(luck.choice([1, 1, 2, 5])):
        if not changed:
            break
        start = luck.randrange(len(changed))
        end = min(len(changed), start + luck.choice([1, 1, 4, 40, len(changed)]))
        action = luck.randrange(6)
        if action == 0:
            changed[start] ^= 1 << luck.randrange(8)
        elif action == 1:
            changed[start:end] = luck.randbytes(end - start)
        elif action == 2:
            del changed[start:end]
        elif action == 3:
            changed[start:start] = changed[start:end]
        elif action == 4:
            changed[start:end] = bytes(end - start)
        else:
            changed[start:start] = luck.choice(
                [b"\n", b",", b'"', b"\t", b"\xff", b"\xef\xbb\xbf", b"-", b"nan", b"1e999", b": "]
            )
    return bytes(changed)


def valid_studies() -> list[dict[str, Any]]:
    """Return studies that are valid where :func:`combineddata.write` has written their files."""
    files = sorted((ROOT / "config").glob("*.yaml"))
    studies = [yaml.safe_load(file.read_text()) for file in files]
    chosen = combinations.covering_set().items()
    return studies + [combinations.study(n, c) for n, c in chosen if c["model"] != "saved"]


def fuzz_studies(folder: Path, cases: range) -> list[Finding]:
    """Read and plan the studies of `cases` in `folder`."""
    write_files(folder)
    generator, findings = Generator(valid_studies()), []
    with contextlib.chdir(folder):
        file = Path("study.yaml")
        for case in cases:
            text = generator.text(case)
            file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
            finding = attempt(case, str(text)[:3000], lambda: Plan.load([file], results="results"))
            if finding is not None:
                findings.append(finding)
    return findings


def write_files(folder: Path) -> None:
    """Write all files that the valid studies read, but saved models."""
    chosen = {n: c for n, c in combinations.covering_set().items() if c["model"] != "saved"}
    combineddata.write(folder, chosen)
    (folder / "model.py").write_text(MODEL_FILE)
    for file in (ROOT / "config").glob("*.py"):
        shutil.copy(file, folder)


# -- data -----------------------------------------------------------------------------------------

# Of each kind of file: the `data` section, and the file to damage.
_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "csv": ({"source": "csv", "path": "table.csv", "targets": ["grade"]}, "table.csv"),
    "series": (
        {
            "source": "csv",
            "path": "series.csv",
            "targets": ["level"],
            "features": ["weight", "pressure"],
            "time": "day",
            "groups": "station",
            "sequence": {"length": 3},
        },
        "series.csv",
    ),
    "parquet": ({"source": "parquet", "path": "t.parquet", "targets": ["grade"]}, "t.parquet"),
    "npz": ({"source": "npz", "path": "arrays.npz", "targets": "multiclass"}, "arrays.npz"),
    "npy": ({"source": "npy", "path": "arrays", "targets": "y"}, "arrays/x.npy"),
    "npy targets": ({"source": "npy", "path": "arrays", "targets": "y"}, "arrays/y.npy"),
    **{
        ending: ({"source": "images", "path": "pictures"}, f"pictures/a/1.{ending}")
        for ending in ("png", "jpg", "gif", "bmp", "tiff", "webp")
    },
    "list": ({"source": "images", "path": "images.csv", "targets": ["digit"]}, "images.csv"),
}


def write_data(folder: Path) -> None:
    """Write one valid file of each kind."""
    combineddata.write(folder, {})
    with contextlib.chdir(folder):
        table = pd.read_csv("table.csv")
        table["seen"] = pd.date_range("2024-01-01", periods=len(table))
        table.drop(columns="seen").to_parquet("t.parquet")
        Path("arrays").mkdir(exist_ok=True)
        with np.load("arrays.npz") as arrays:
            np.save("arrays/x.npy", arrays["x"])
            np.save("arrays/y.npy", arrays["multiclass"])
        pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 8, 3), dtype=np.uint8)
        for number, picture in enumerate(pixels):
            place = Path("pictures", "ab"[number % 2])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{number}.png")


def fuzz_data(folder: Path, cases: range) -> list[Finding]:
    """Read the data files of `cases` in `folder`; what is found wrong is kept there."""
    write_data(folder)
    findings = []
    with contextlib.chdir(folder):
        plain = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
        picture = Image.open("pictures/b/1.png").convert("RGB")
        for case in cases:
            luck = random.Random(case)
            kind = list(_DATA)[case % len(_DATA)]
            section, name = _DATA[kind]
            file = Path(name)
            is_new = not file.exists()
            if is_new:
                picture.save(file)
            valid = file.read_bytes()
            file.write_bytes(garbled(valid, luck))
            study = {
                **plain,
                "data": section,
                "model": {"mlp": {"units": 4}},
                "search": {"space": {"mlp.units": [2, 4]}},
                "problem": {"type": "multiclass"},
            }
            Path("study.yaml").write_text(yaml.safe_dump(study))

            def read() -> None:
                data = load_study(["study.yaml"]).study.data.model_dump()
                prepare(data, "multiclass", Path("room"))

            finding = attempt(case, f"{kind}-{case}", read)
            if finding is not None:
                findings.append(finding)
                Path("found").mkdir(exist_ok=True)
                Path("found", finding.content.replace(" ", "-")).write_bytes(file.read_bytes())
            if is_new:
                file.unlink()
            else:
                file.write_bytes(valid)
    return findings


def main() -> None:
    """Try the cases that the command line names, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["studies", "data"])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30,) * 2)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    fuzz = {"studies": fuzz_studies, "data": fuzz_data}[asked.what]
    began, found = time.monotonic(), 0
    for first in range(asked.first, asked.first + asked.cases, 100):
        cases = range(first, min(first + 100, asked.first + asked.cases))
        for finding in fuzz(folder, cases):
            found += 1
            print(f"case {finding.case}: {finding.error}\n{finding.content}\n", flush=True)
        print(f"{cases.stop} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"{asked.cases} cases, {found} of them wrong; files are in {folder}")
    sys.exit(bool(found))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
