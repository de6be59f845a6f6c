"""Digest a user's file together with the modules that lie beside it.

Modules are found as Python would find them with the file's folder in front of `sys.path`, from the
syntax tree alone. Installed packages, and what is imported by a computed name, are not followed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from importlib.util import decode_source
from pathlib import Path

from gridfold.canonical import digest
from gridfold.usercode import sources


def code_digest(file: Path) -> str:
    """Return a digest of what a file and the local modules that it imports do.

    Comments, docstrings and layout don't count. Without local modules it is that of the file.
    """
    root = file.resolve().parent
    others = local_modules(file)
    if not others:
        return source_digest(file)
    files = {"": source_digest(file)}
    return digest(
        files | {other.relative_to(root).as_posix(): source_digest(other) for other in others}
    )


def local_modules(file: Path) -> list[Path]:
    """Return the files beside `file` that it imports, directly or through each other, sorted.

    Raises
    ------
    SyntaxError
        When one of them is not valid Python; its `filename` says which.
    """
    start = file.resolve()
    root, seen, waiting = start.parent, {start}, [start]
    while waiting:
        current = waiting.pop()
        for module in _imported(current, root):
            for found in _files_of(module, root):
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)
    return sorted(seen - {start})


def _imported(file: Path, root: Path) -> Iterator[list[str]]:
    """Yield the parts of every module name that `file` may import, as seen from `root`."""
    package = list(file.parent.relative_to(root).parts)
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = [*start, *(node.module.split(".") if node.module else [])]
            yield base
            for alias in node.names:
                # `from package import x`: an attribute of the package, or a module in it.
                yield [*base, alias.name]


def _files_of(module: list[str], root: Path) -> Iterator[Path]:
    """Yield the files that importing a module runs: those of its packages, and its own."""
    for length in range(1, len(module) + 1):
        path = root.joinpath(*module[:length])
        for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if sources.is_file(candidate):
                yield candidate
                break


def source_digest(file: Path) -> str:
    """Return a digest of what a Python file does: comments, docstrings and layout don't count."""
    return digest_of_source(sources.content(file), str(file))


@functools.cache
def digest_of_source(content: bytes, filename: str = "<text>") -> str:
    """Return the digest of Python code as :func:`source_digest` has it."""
    tree = _parsed(content, filename)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def syntax_tree(file: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return _parsed(sources.content(file), str(file))


def _parsed(content: bytes, filename: str) -> ast.Module:
    # The parser itself would pass over wrong bytes in remarks, which an import refuses.
    return ast.parse(decode_source(content), filename=filename)
