"""The chief of a distributed search gives trials to workers, over Keras Tuner's gRPC protocol.

Keras Tuner's chief waits for ever for a worker that has died, since it counts its trial as under
way; its workers ask without pause while there is nothing to do, and for an hour after the chief has
ended; and an exception in the oracle leaves its lock taken. So messages, service and stubs are
those of Keras Tuner; chief and client (:mod:`gridfold.search.tuner.oracle_client`) are ours. Each
call also says from which worker it comes, and a secret, for the port is open to everybody on the
network.
"""

from __future__ import annotations

import json
import logging
import platform
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.trial import TrialStatus

from gridfold.atomic import replacing
from gridfold.errors import GridfoldError
from gridfold.search.tuner.protocol import (
    BEAT_SECONDS,
    IDLE,
    LOST_SECONDS,
    MESSAGE_KEY,
    RUNNING,
    SECRET_KEY,
    STOPPED,
    WORKER_KEY,
    OpenedOracle,
    Proposal,
    TrialOutcome,
)

log = logging.getLogger(__name__)


class _Service(OracleServicer):
    """Answers the workers."""

    def __init__(self, oracle: OpenedOracle, secret: str) -> None:
        super().__init__(oracle)
        self._oracle, self._secret = oracle, secret
        self._guard = threading.Lock()
        self._metrics: dict[str, tuple[dict[str, float], int]] = {}
        self.heard: dict[str, float] = {}
        self.failure: GridfoldError | None = None

    def _admit(self, context: grpc.ServicerContext) -> dict[str, Any]:
        said = dict(context.invocation_metadata())
        if not secrets.compare_digest(str(said.get(SECRET_KEY, "")), self._secret):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "another search's worker")
        self.heard[str(said.get(WORKER_KEY, ""))] = time.monotonic()
        return said

    def GetSpace(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return an empty space: the question is a sign of life."""
        self._admit(context)
        space = keras_tuner.HyperParameters().to_proto()
        return protos.get_service().GetSpaceResponse(hyperparameters=space)

    def CreateTrial(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Return what a worker shall try next."""
        self._admit(context)
        with self._guard:
            stopped = self.failure is not None
            answer = STOPPED if stopped else self._oracle.ask(request.tuner_id)
            if answer == STOPPED and not stopped and self._oracle.askers:
                # Another worker may die, and its trial must find somebody.
                answer = IDLE
        hp = keras_tuner.HyperParameters()
        trial = keras_tuner.engine.trial.Trial(hp, trial_id="", status=answer)
        if isinstance(answer, Proposal):
            hp.values = answer.values
            trial.trial_id, trial.status = answer.trial_id, RUNNING
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    def UpdateTrial(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Keep the scores of a trial until it ends."""
        self._admit(context)
        self._metrics[request.trial_id] = (dict(request.metrics), int(request.step))
        trial = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters(), request.trial_id)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    def EndTrial(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Tell the oracle how a trial went."""
        said = self._admit(context)
        status = TrialStatus.from_proto(request.trial.status)
        metrics, epochs = self._metrics.pop(request.trial.trial_id, ({}, 0))
        message = said.get(MESSAGE_KEY, b"")
        text = message.decode() if isinstance(message, bytes) else str(message)
        with self._guard:
            try:
                self._oracle.tell(
                    request.trial.trial_id, TrialOutcome(status, metrics, epochs, text)
                )
            except GridfoldError as error:
                self.failure = error
        return protos.get_service().EndTrialResponse()

    def miss(self, lost_after: float) -> None:
        """Give the trials of workers that are gone out again."""
        now = time.monotonic()
        for worker in [w for w, heard in self.heard.items() if now - heard > lost_after]:
            del self.heard[worker]
            with self._guard:
                for asker in self._oracle.askers:
                    if asker.rpartition("-")[0] == worker:
                        self._oracle.give_back(asker)
            log.warning("%s has been silent for %.0f s: it counts as gone", worker, lost_after)

    def is_over(self) -> bool:
        """Tell whether the search is over, for whatever reason."""
        if self.failure is not None:
            return True
        with self._guard:
            return self._oracle.is_finished()


class Chief:
    """Serves an oracle to workers.

    Parameters
    ----------
    oracle : OpenedOracle
    file : Path
        Where workers find the chief.
    lost_after : float
        Seconds of silence after which a worker counts as gone.
    """

    def __init__(self, oracle: OpenedOracle, file: Path, lost_after: float = LOST_SECONDS) -> None:
        self._file, self._lost_after = file, lost_after
        self._secret = secrets.token_hex(16)
        self._service = _Service(oracle, self._secret)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        protos.get_service_grpc().add_OracleServicer_to_server(self._service, self._server)
        self._port = self._server.add_insecure_port("[::]:0")
        self._host = _reachable_name()

    def __enter__(self) -> Chief:
        self._server.start()
        self._tell(over=False)
        log.info("chief at %s:%d", self._host, self._port)
        return self

    def __exit__(self, *_: object) -> None:
        # Workers that ask later, or start later, read this.
        self._tell(over=True)
        self._server.stop(grace=2 * BEAT_SECONDS).wait()

    def environment(self) -> dict[str, str]:
        """Return what a worker's environment needs: Keras Tuner's variables, and the secret."""
        return {
            "KERASTUNER_ORACLE_IP": self._host,
            "KERASTUNER_ORACLE_PORT": str(self._port),
            "GRIDFOLD_TUNER_SECRET": self._secret,
        }

    def _tell(self, *, over: bool) -> None:
        with replacing(self._file) as temporary:
            # Never readable by others, not even for a moment.
            temporary.touch(0o600)
            temporary.write_text(json.dumps({**self.environment(), "over": over}) + "\n")

    def wait(self, workers_live: Callable[[], bool], must_stop: Callable[[], bool]) -> bool:
        """Serve until the search is over; tell whether it is.

        Parameters
        ----------
        workers_live, must_stop : callable
            Say whether there is a worker left, and whether to end early.

        Raises
        ------
        GridfoldError
            When the search can't go on.
        """
        while not self._service.is_over():
            if must_stop() or not workers_live():
                return False
            time.sleep(0.2)
            self._service.miss(self._lost_after)
        if self._service.failure is not None:
            raise self._service.failure
        return True


def _reachable_name() -> str:
    """Return a name under which other nodes reach this one."""
    name = platform.node()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "127.0.0.1"
    return name
