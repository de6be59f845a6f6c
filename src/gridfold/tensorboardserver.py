"""TensorBoard for its user alone, on a machine that others share.

What listens on 127.0.0.1 can be reached by everybody who is logged in on the same machine, and
TensorBoard asks for no password. So every address begins with a token that only the user is told;
to all others TensorBoard answers that there is nothing.
"""

from __future__ import annotations

import getpass
import logging
import secrets
import socket
import urllib.parse
from pathlib import Path

from gridfold.errors import GridfoldError

HOST = "127.0.0.1"


def serve(folder: Path, port: int) -> str:
    """Start TensorBoard in a thread of this process and return its address.

    The token is in neither the command line, which everybody may list, nor in a file: TensorBoard's
    own command would write it into ``/tmp/.tensorboard-info``, and start a second server for its
    data (``load_fast``) whose port has no token.

    Parameters
    ----------
    folder : Path
        What :func:`gridfold.tensorboardlog.write` wrote.
    port : int
        0 for any that is free.

    Raises
    ------
    GridfoldError
        When the port is taken.
    """
    from tensorboard import program

    # It names the address of every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = program.TensorBoard()
    server.configure(
        argv=("tensorboard",),
        logdir=str(folder),
        host=HOST,
        port=port,
        path_prefix=f"/{secrets.token_urlsafe(24)}",
        load_fast="false",
    )
    try:
        return str(server.launch())
    except program.TensorBoardServerException as error:
        raise GridfoldError(f"TensorBoard can't start: {error.msg}; leave --port out") from None


def directions(address: str) -> str:
    """Return how to open TensorBoard here and from another machine."""
    parts = urllib.parse.urlparse(address)
    here = f"{getpass.getuser()}@{socket.gethostname()}"
    return "\n".join(
        (
            f"TensorBoard: {address}",
            "From another machine, with this running there in a second terminal:",
            f"  ssh -N -L {parts.port}:{HOST}:{parts.port} {here}",
            "open the same address. Whoever knows it can read the study's curves and scores until",
            "this command ends (Ctrl-C).",
        )
    )
