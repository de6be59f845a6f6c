"""The style that all pages begin with."""

from __future__ import annotations

from pathlib import Path

BASE_STYLE = Path(__file__).with_name("base.css")
