"""A pytest plugin: what to type to run each failed test once more, alone."""

from __future__ import annotations

import shlex

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a command for each test that failed, in this process or in one of xdist's."""
    reports = [r for kind in ("failed", "error") for r in terminalreporter.stats.get(kind, [])]
    # A test may have failed twice: itself, and when its fixtures were left.
    tests = dict.fromkeys(report.nodeid for report in reports)
    if tests:
        terminalreporter.section("to repeat")
        for test in tests:
            terminalreporter.write_line(f"uv run pytest {shlex.quote(test)}")
