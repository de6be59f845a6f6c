"""Versions that a trial depends on, here and in a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.environment.versions import numeric_versions, package_version, versions_in_container
from gridfold.errors import GridfoldError


def container(folder: Path, answer: str) -> tuple[str, ...]:
    """Return a command in whose container `python` does what a shell is told."""
    program = folder / "exec"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    return (str(program), "image.sif")


def test_a_container_is_asked_for_its_own_versions(tmp_path: Path) -> None:
    # It may say other things first.
    engine = container(tmp_path, 'echo "INFO: squashfuse not found"; shift; exec "$@"')
    assert versions_in_container(engine) == numeric_versions()


def test_an_image_of_another_gridfold_is_refused(tmp_path: Path) -> None:
    engine = container(tmp_path, """echo '{"gridfold": "0.0.7", "keras": "3"}'""")
    ours = package_version("gridfold")
    said = f"the container has gridfold 0.0.7, and this run is planned by {ours}; build the image"
    with pytest.raises(GridfoldError, match=said):
        versions_in_container(engine)


def test_a_container_that_does_not_start_says_why(tmp_path: Path) -> None:
    engine = container(tmp_path, "echo 'FATAL: no image' >&2; exit 255")
    with pytest.raises(GridfoldError, match=r"does not start: .* -m gridfold\S+\nFATAL: no image"):
        versions_in_container(engine)
    with pytest.raises(GridfoldError, match=r"does not start: .*no-such-engine"):
        versions_in_container(("/no-such-engine",))


def test_a_container_that_answers_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(GridfoldError, match="does not say its versions"):
        versions_in_container(container(tmp_path, "echo hello"))
