"""What some tests need of the machine: said loudly where it is missing, demanded in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from gridfold.environment.horovod_build import installed_version
from gridfold.environment.horovod_recipe import Recipe


def lacking(missing: str) -> NoReturn:
    """Skip the test with a reason, or fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def need_horovod() -> Recipe:
    """Go on only when this environment has the Horovod that `make horovod` installs."""
    recipe = Recipe.of_this_environment()
    if installed_version() != recipe.version:
        lacking("Horovod is not installed, so it was NOT tested: run `make horovod`")
    return recipe
