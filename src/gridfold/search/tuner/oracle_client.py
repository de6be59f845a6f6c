"""Workers of a distributed search ask the chief's oracle over gRPC."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
from keras_tuner.src import protos

from gridfold.errors import GridfoldError
from gridfold.search.tuner.protocol import (
    BEAT_SECONDS,
    COMPLETED,
    MESSAGE_KEY,
    RUNNING,
    SECRET_KEY,
    STOPPED,
    WORKER_KEY,
    Proposal,
    TrialOutcome,
)

log = logging.getLogger(__name__)

# How long a worker waits for a chief that does not answer, perhaps because it is started again.
_PATIENCE_SECONDS = 300.0
_CALL_SECONDS = 20.0


class ChiefGone(GridfoldError):
    """A worker has no chief any more."""


class OracleClient:
    """Asks the chief, and tells it, as if its oracle were in this process.

    Parameters
    ----------
    file : Path
        Where the chief writes its address and secret; it counts more than the environment, since a
        chief that was started again has another port.
    worker : str
        Name of this worker.
    """

    def __init__(self, file: Path, worker: str) -> None:
        self._file, self._worker = file, worker
        self._channel: grpc.Channel | None = None
        self._stub: Any = None
        self._address = ""
        self._secret = ""  # nosec B105  # not yet known
        self._over = threading.Event()

    def ask(self, asker: str) -> Proposal | str:
        """Return what this worker shall try next."""
        request = protos.get_service().CreateTrialRequest(tuner_id=asker)
        response = self._call("CreateTrial", request)
        if response is None:
            return STOPPED
        trial = keras_tuner.engine.trial.Trial.from_proto(response.trial)
        if trial.status == RUNNING:
            return Proposal(trial.trial_id, dict(trial.hyperparameters.values))
        return str(trial.status)

    def tell(self, trial_id: str, outcome: TrialOutcome) -> None:
        """Say how a trial went."""
        service = protos.get_service()
        if outcome.status == COMPLETED:
            self._call(
                "UpdateTrial",
                service.UpdateTrialRequest(
                    trial_id=trial_id, metrics=outcome.metrics, step=outcome.epochs
                ),
            )
        trial = keras_tuner.engine.trial.Trial(
            keras_tuner.HyperParameters(), trial_id, status=outcome.status
        )
        request = service.EndTrialRequest(trial=trial.to_proto())
        self._call("EndTrial", request, ((MESSAGE_KEY, outcome.message.encode()[:4000]),))

    def beat(self) -> None:
        """Say that this worker is alive."""
        with contextlib.suppress(grpc.RpcError, ChiefGone):
            self._connect()
            self._once("GetSpace", protos.get_service().GetSpaceRequest())

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Say so every few seconds while the block runs."""

        def run() -> None:
            while not self._over.wait(BEAT_SECONDS):
                self.beat()

        thread = threading.Thread(target=run, name="gridfold-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _call(self, name: str, request: Any, more: tuple[tuple[str, Any], ...] = ()) -> Any:
        """Call the chief; None when the search is over."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._connect()
                return self._once(name, request, more)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.PERMISSION_DENIED:
                    raise ChiefGone(f"the chief refuses this worker: {error.details()}") from error
                if self._said_over():
                    return None
                if time.monotonic() > deadline:
                    raise ChiefGone(f"no answer from the chief at {self._address}") from error
                log.info("no answer from the chief at %s; asking again", self._address)
                self._channel = None
                time.sleep(1)

    def _once(self, name: str, request: Any, more: tuple[tuple[str, Any], ...] = ()) -> Any:
        metadata = ((SECRET_KEY, self._secret), (WORKER_KEY, self._worker), *more)
        return getattr(self._stub, name)(request, metadata=metadata, timeout=_CALL_SECONDS)

    def _connect(self) -> None:
        if self._channel is not None:
            return
        # A chief that was started again has another port.
        known = {**os.environ, **self._read()}
        try:
            host, port = known["KERASTUNER_ORACLE_IP"], known["KERASTUNER_ORACLE_PORT"]
            self._secret = known["GRIDFOLD_TUNER_SECRET"]
        except KeyError as error:
            raise ChiefGone(
                f"no chief: {error} is in neither {self._file} nor environment"
            ) from None
        self._address = f"{host}:{port}"
        self._channel = grpc.insecure_channel(self._address)
        self._stub = protos.get_service_grpc().OracleStub(self._channel)

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def _said_over(self) -> bool:
        return bool(self._read().get("over"))
