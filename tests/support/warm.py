"""Snakemake's command line in forks of a process that has imported it, a second less each time.

As a program: command lines as lines of JSON on standard input, for each of them, when it has ended,
its exit code.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# In seconds; other tests run at the same time, on few cores.
_PATIENCE = 600


def snakemake(
    folder: Path, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``snakemake WORDS...`` in `folder`, in the environment of this process.

    With other variables besides, such as PYTHONPATH, a Python of its own is started.
    """
    if environment:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *words],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    server = _server()
    assert server.stdin
    assert server.stdout
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        streams = [f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in (out, err)]
        request = [list(words), str(folder), dict(os.environ), *streams]
        server.stdin.write(f"{json.dumps(request)}\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
    return subprocess.CompletedProcess(["snakemake", *words], code, *texts)


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Return the process with Snakemake; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _become(folder: str, environment: dict[str, str], *streams: str) -> None:
    # Whatever hangs fails the test and not all that follow.
    signal.alarm(_PATIENCE)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # As with `python -m snakemake`.
    sys.path[0] = folder
    sys.stdin = open(os.devnull)  # noqa: SIM115
    for number, stream in enumerate(streams, 1):
        file = os.open(stream, os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)


def main() -> None:
    """Answer until standard input ends."""
    # What Snakemake imports while it reads rules.
    import nbformat  # noqa: F401
    import smart_open  # noqa: F401
    from snakemake.cli import get_argument_parser
    from snakemake.cli import main as snakemake_main

    import gridfold.workflow.bridge  # noqa: F401

    # Imports the plugins.
    get_argument_parser()
    for line in sys.stdin:
        words, folder, environment, *streams = json.loads(line)
        child = os.fork()
        if not child:
            _become(folder, environment, *streams)
            sys.argv = ["snakemake", *words]
            snakemake_main()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
