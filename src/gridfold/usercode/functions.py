"""Find, inspect without import, digest and load the user's functions (`file.py:function`).

Inspection reads the syntax tree only, so that a study can be refused before any job starts and
without importing TensorFlow.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gridfold.errors import DataError
from gridfold.usercode import sources
from gridfold.usercode.digests import local_modules, syntax_tree

_MODULE_PREFIX = "gridfold_user_"
# The keys of a model's settings that name code of the user's.
_OWN_CODE = ("build", "train", "objects")
_HP_METHODS = frozenset({"Int", "Float", "Choice", "Boolean", "Fixed"})


def split_reference(reference: str) -> tuple[Path, str]:
    """Return file and function name of ``file.py:function``."""
    file, _, function = reference.rpartition(":")
    return Path(file), function


def problem_with(reference: str) -> tuple[str, str] | None:
    """Return (found, allowed) when `reference` leads to no function, else None."""
    file, function = split_reference(reference)
    problem = problem_with_file(file)
    if problem:
        return problem
    names = [node.name for node in syntax_tree(file).body if isinstance(node, ast.FunctionDef)]
    if function not in names:
        return f"no function `{function}` in {file}", ", ".join(names) or "a file with functions"
    return None


def problem_with_file(file: Path | str) -> tuple[str, str] | None:
    """Return (found, allowed) when `file`, or a local module of it, is not valid Python."""
    if not sources.is_file(Path(file)):
        return f"no such file: {file}", "a Python file, relative to the working directory"
    try:
        syntax_tree(Path(file))
        local_modules(Path(file))
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        return f"{error.filename or file}{where}: {error.msg}", "a file with valid Python"
    except (OSError, ValueError, RecursionError) as error:
        # Unreadable, not UTF-8, with NUL characters, or nested beyond Python's parser.
        return f"{file}: {error}", "a file with valid Python"
    return None


def hyperparameter_names(reference: str) -> set[str] | None:
    """Return the names that a model function asks `hp` for, or None if they can't be read.

    A name that is computed (``hp.Int(f"units_{i}", ...)``) can't be read from the source, nor
    can those that a function of another module asks for when `hp` is handed on to it.
    """
    file, function = split_reference(reference)
    tree = syntax_tree(file)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    arguments = functions[function].args
    given = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    hp = given[0] if given else "hp"
    names: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        handed_on = [*node.args, *(keyword.value for keyword in node.keywords)]
        if any(_is_hp(a, hp) for a in handed_on) and not (
            isinstance(node.func, ast.Name) and node.func.id in functions
        ):
            return None
        if isinstance(node.func, ast.Attribute) and node.func.attr in _HP_METHODS:
            keywords = {k.arg: k.value for k in node.keywords}
            name = node.args[0] if node.args else keywords.get("name")
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                return None
            names.add(name.value)
    return names


def _is_hp(argument: ast.expr, hp: str) -> bool:
    """Tell whether an argument is the first one of the user's function, or its attribute `hp`."""
    return (isinstance(argument, ast.Name) and argument.id == hp) or (
        isinstance(argument, ast.Attribute) and argument.attr == "hp"
    )


def load(reference: str) -> Callable[..., Any]:
    """Import the file and return the function.

    Raises
    ------
    DataError
        When there is no such function, or its file fails on import.
    """
    problem = problem_with(reference)
    if problem:
        raise DataError(f"{reference}: {problem[0]}; allowed: {problem[1]}")
    file, function = split_reference(reference)
    return _staying_here(getattr(load_file(file), function))


def _staying_here(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that leaves the working folder as it was, whatever `function` does.

    Paths of studies and results are relative to it.
    """

    @functools.wraps(function)
    def staying(*args: Any, **kwargs: Any) -> Any:
        with contextlib.chdir(os.getcwd()):
            return function(*args, **kwargs)

    return staying


def load_file(file: Path) -> ModuleType:
    """Import a file of the user's, once in a process.

    Raises
    ------
    DataError
        When it fails on import, or would be given other modules than those that lie beside it.
    """
    name = f"{_MODULE_PREFIX}{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        for beside, path in _modules_by_name(file).items():
            if beside in sys.modules:
                clash = _clash(beside, path, getattr(sys.modules[beside], "__file__", None))
                if clash:
                    raise DataError("; allowed: ".join(clash))
        spec = sources.import_as(name, file)
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        sys.path.insert(0, str(file.resolve().parent))
        try:
            with contextlib.chdir(os.getcwd()):
                spec.loader.exec_module(module)
        except Exception as error:
            # Else a second call would find half a module.
            del sys.modules[name]
            raise DataError(f"{file} fails on import: {type(error).__name__}: {error}") from error
    return sys.modules[name]


def clash_of(files: Iterable[Path]) -> tuple[str, str] | None:
    """Return (found, allowed) when files of one process import different modules of one name."""
    known: dict[str, Path] = {}
    for file in files:
        for name, path in {} if problem_with_file(file) else _modules_by_name(file).items():
            clash = _clash(name, path, str(known.setdefault(name, path)))
            if clash:
                return clash
    return None


def _modules_by_name(file: Path) -> dict[str, Path]:
    """Return the local modules of a file by the names under which it imports them."""
    root, found = file.resolve().parent, {}
    for path in local_modules(file):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _clash(name: str, path: Path, other: str | None) -> tuple[str, str] | None:
    if other is not None and Path(other).resolve() == path:
        return None
    found = (
        f"`import {name}` means {path}, but also {other or 'a part of Python'}: Python loads one "
        "module of a name"
    )
    return found, "another name for one of them"


def own_code(model: Mapping[str, Any]) -> list[Path]:
    """Return the files that the settings of a model name."""
    named = {key: model[key] for key in _OWN_CODE if model.get(key)}
    return [Path(n) if key == "objects" else split_reference(n)[0] for key, n in named.items()]


def own_objects(files: Iterable[Path]) -> list[type | FunctionType]:
    """Import files, and return the classes and functions that they define at their top level.

    Those of local modules that they import come first. Files that are missing, or are no Python,
    are passed over.

    Raises
    ------
    DataError
        When a file fails on import.
    """
    found: list[type | FunctionType] = []
    for file in files:
        if problem_with_file(file):
            continue
        own = load_file(file)
        others = _modules_beside(file)
        found += [
            value
            for module in (*others, own)
            for value in vars(module).values()
            if isinstance(value, type | FunctionType) and value.__module__ == module.__name__
        ]
    return found


def _modules_beside(file: Path) -> list[ModuleType]:
    """Return the local modules of a file that are imported."""
    try:
        beside = {str(path) for path in local_modules(file)}
    except (OSError, SyntaxError, ValueError):
        # Somebody has edited it since.
        return []
    return [m for m in [*sys.modules.values()] if getattr(m, "__file__", None) in beside]


def forget() -> None:
    """Let the next :func:`load` import users' files anew, as a fresh process would."""
    for name in [name for name in sys.modules if name.startswith(_MODULE_PREFIX)]:
        beside = _modules_beside(Path(str(sys.modules.pop(name).__file__)))
        for other in [key for key, module in sys.modules.items() if module in beside]:
            del sys.modules[other]
