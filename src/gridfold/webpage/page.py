"""One page in one file: templates that escape everything, and a policy that forbids requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

import jinja2


def templates(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder; they escape what they are given and miss nothing."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def joined(files: Iterable[Path]) -> str:
    """Return the texts of files, one after the other."""
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def content_policy(style: str, script: str = "") -> str:
    """Return the content security policy of a page.

    Only this style and this script may run: whatever a label smuggles in is dead text.

    Parameters
    ----------
    style : str
    script : str
        Empty: no script may run.
    """
    allowed = ["default-src 'none'", f"style-src {_digest(style)}"]
    if script:
        allowed.append(f"script-src {_digest(script)}")
    return "; ".join((*allowed, "img-src data:", "base-uri 'none'", "form-action 'none'"))


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
