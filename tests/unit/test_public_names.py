"""What notebooks, models and Snakefiles of users import from `gridfold` itself."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import gridfold
from gridfold.final.inputs import ModelInputs
from gridfold.training.custom_loop import Trial
from gridfold.training.loading import load_model
from gridfold.workflow_files import workflow_path


def test_public_names_are_those_of_their_modules() -> None:
    assert gridfold.ModelInputs is ModelInputs
    assert gridfold.Trial is Trial
    assert gridfold.load_model is load_model
    assert gridfold.workflow_path is workflow_path
    assert gridfold.__version__ == version("gridfold")


def test_all_public_names_can_be_listed_and_imported() -> None:
    assert set(gridfold.__all__) <= set(dir(gridfold))
    names: dict[str, object] = {}
    exec("from gridfold import *", names)
    assert set(gridfold.__all__) <= set(names)


def test_another_name_is_no_attribute() -> None:
    assert not hasattr(gridfold, "Intake")


def test_the_package_imports_nothing_before_a_name_is_asked_for() -> None:
    code = "import sys, gridfold; print(*(name for name in sys.modules if 'gridfold.' in name))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_type_checkers_find_each_name_where_it_is_looked_up() -> None:
    tree = ast.parse(Path(gridfold.__file__).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(typed.test) == "TYPE_CHECKING"
    found = {"__version__"}
    for node in typed.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                home = importlib.import_module(node.module or "")
                assert getattr(home, alias.name) is getattr(gridfold, alias.name)
                found.add(alias.name)
    assert found == set(gridfold.__all__)
