"""Runs the verb that the command line names: what Snakemake has no command for.

The verbs import what they need when they run, so that `--help` and the completion of a shell answer
at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from gridfold.cli import after_study, auditing, before_study, during_study, project, unattended
from gridfold.cli.verbs import Verbs
from gridfold.errors import GridfoldError

_DESCRIPTION = """\
Hyperparameter experiments with Keras: one study file in, one report out.

Studies are run by Snakemake:

\b
  snakemake --configfile my.yaml             run what is missing
  snakemake --configfile my.yaml --dry-run   show what would run

The verbs here begin a study, and look at it before, while and after it runs."""

_gridfold = click.version_option(package_name="gridfold", message="%(prog)s %(version)s")(
    Verbs(
        {
            "Begin a study": [
                before_study.new,
                before_study.validate,
                before_study.plan,
                auditing.audit,
            ],
            "Run a study unattended": [unattended.submit, unattended.attach, unattended.stop],
            "Look at a study": [during_study.status, during_study.show, during_study.profile],
            "Use a finished study": [
                after_study.predict,
                after_study.export,
                after_study.paper,
                after_study.tensorboard,
                after_study.optuna,
                after_study.starts,
                after_study.pack,
                after_study.unpack,
            ],
            "Several studies": [after_study.compare, after_study.index],
            "This machine and this project": [project.doctor, project.schema],
        },
        help=_DESCRIPTION,
        epilog="Every verb has its own --help. Start with: gridfold new my-study",
        subcommand_metavar="VERB ...",
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "show_default": True,
        },
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands after ``gridfold``; by default what this process was started with.

    Returns
    -------
    int
        0, 1 after an error that was explained, 2 for arguments that no verb takes, 3 after findings
        of an audit, or 130 after an interruption.
    """
    try:
        # What click returns is the exit code of `--help` and its like, and None after a verb.
        code = _gridfold.main(arguments, "gridfold", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except GridfoldError as error:
        _tell(error, str(error))
        return 1
    except OSError as error:
        # What is opened has a name; the standard output has none.
        place = error.filename or "the output can't be written"
        _tell(error, f"gridfold: {place}: {error.strerror or error}")
        _forget_output()
        return 1
    except click.Abort as abort:
        _tell(abort.__cause__)
        return 130
    except click.UsageError as error:
        _with_allowed(error).show()
        return error.exit_code


def _tell(error: BaseException | None, message: str = "") -> None:
    """Print a message, and what the error says besides, as what is kept in spite of it."""
    for line in [*filter(None, [message]), *getattr(error, "__notes__", ())]:
        print(line, file=sys.stderr)


def _forget_output() -> None:
    """Write what the standard output has not taken to nowhere, where Python would complain."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def _with_allowed(error: click.UsageError) -> click.UsageError:
    """Return the error with the verbs or options that could stand where an unknown one stands."""
    if isinstance(error, click.NoSuchCommand):
        allowed = list(_gridfold.commands)
    elif isinstance(error, click.NoSuchOption) and error.ctx:
        parameters = error.ctx.command.get_params(error.ctx)
        allowed = [name for p in parameters if isinstance(p, click.Option) for name in p.opts]
    else:
        return error
    return click.UsageError(f"{error.format_message()} Allowed: {', '.join(allowed)}", error.ctx)
