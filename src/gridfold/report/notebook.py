"""Run a notebook on the results of a study, with the Python of this process."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import write_kernel_spec
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from gridfold.atomic import write_text
from gridfold.errors import NotebookError
from gridfold.usercode import sources

_KERNEL = "gridfold"
# The page asks nothing of a network. So there is no MathJax: formulas stay as they were written.
_PAGE = """{% extends 'index.html.j2' %}
{% block html_head_js %}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:;
 media-src data:; font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
"""
_NOT_THE_AUTHORS = {"injected-parameters", "papermill-error-cell-tag"}


def run(source: Path, parameters: Mapping[str, Any], notebook: Path, html: Path) -> None:
    """Execute a notebook and write it with its outputs, as notebook and as one HTML page.

    Parameters
    ----------
    source : Path
    parameters : mapping
        Put into a cell after the one tagged ``parameters``, or before all others.
    notebook, html : Path
        What is written. While cells run, and when one fails, what there is of the notebook lies
        beside them as ``unfinished.ipynb``, which Snakemake does not delete.

    Raises
    ------
    NotebookError
        When a cell fails: with its number, its source and the traceback.
    """
    unfinished = notebook.with_name("unfinished.ipynb")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    content = nbformat.read(sources.readable(source), as_version=4)
    # Cells of older notebooks have no ids, and each reading would give them others.
    content = nbformat.validator.normalize(content)[1]
    try:
        with _own_kernel() as configuration:
            executed = papermill.execute_notebook(
                content,
                # Papermill formats it.
                str(unfinished).replace("{", "{{").replace("}", "}}"),
                dict(parameters),
                kernel_name=_KERNEL,
                language="python",
                progress_bar=False,
                config=configuration,
            )
    except (PapermillExecutionError, CellExecutionError, DeadKernelError) as error:
        raise NotebookError(_explained(source, unfinished, error)) from None
    page, _ = HTMLExporter(raw_template=_PAGE).from_notebook_node(
        executed, {"metadata": {"name": source.stem}}
    )
    write_text(html, page)
    unfinished.replace(notebook)


@contextlib.contextmanager
def _own_kernel() -> Iterator[Config]:
    """Offer a kernel that is this interpreter, whatever kernels the user has installed, or none.

    What Jupyter and IPython want to write goes into a folder that is removed again, so that a home
    directory that is full or can't be written does no harm. There also are the sockets to the
    kernel: to a port, everybody on the machine could listen.
    """
    with tempfile.TemporaryDirectory(prefix="gridfold-") as name:
        folder = Path(name)
        write_kernel_spec(str(folder / "kernels" / _KERNEL))
        places = dict.fromkeys(
            ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"), name
        )
        places["IPYTHONDIR"] = str(folder / "ipython")
        before = {variable: os.environ.get(variable) for variable in places}
        os.environ.update(places)
        # The path of a socket holds a hundred characters, of which its name takes half.
        transport = "ipc" if len(name) < 50 else "tcp"
        try:
            yield Config({"KernelManager": {"transport": transport}})
        finally:
            for variable, value in before.items():
                if value is None:
                    del os.environ[variable]
                else:
                    os.environ[variable] = value


def _explained(source: Path, unfinished: Path, error: Exception) -> str:
    """Return what a reader needs in order to mend the cell that failed."""
    executed = nbformat.read(unfinished, as_version=4)
    own = [c for c in executed.cells if not _NOT_THE_AUTHORS & set(c.metadata.get("tags", []))]
    # None is begun after one that fails; one whose kernel ends is called completed.
    begun = [c for c in own if c.metadata.get("papermill", {}).get("start_time")]
    number, cell = len(begun), begun[-1]
    if isinstance(error, PapermillExecutionError):
        reason = f"{error.ename}: {error.evalue}"
        detail = "\n".join(error.traceback)
    else:
        reason, detail = "its kernel ended without a word; was there enough memory?", ""
    parts = [
        f"{source}: cell {number} of {len(own)} failed: {reason}",
        textwrap.indent(cell.source, "    "),
        re.sub(r"\x1b\[[0-9;]*m", "", detail),
        f"What ran before it: {unfinished}",
    ]
    return "\n\n".join(filter(None, parts))
