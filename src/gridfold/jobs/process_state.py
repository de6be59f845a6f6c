"""What users' code may change of a whole process is put back before the next trial.

A trial of a pool has a process of its own; ranks train several trials, one after another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from gridfold.jobs.fork_server import STOP_SIGNALS


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Put back, when the block ends, what code in it has changed of the process.

    That are working folder, environment, import path, signal handlers, recursion limit, filters of
    logs and warnings, NumPy's errors and random numbers, and the settings of Keras and TensorFlow
    that outlast a model. Seeds, precision and determinism each trial sets itself; modules of users
    are imported anew (:func:`gridfold.usercode.functions.forget`).
    """
    folder, environment, path = os.getcwd(), dict(os.environ), [*sys.path]
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    limit, level = sys.getrecursionlimit(), logging.root.manager.disable
    filters = [*warnings.filters]
    errors, randoms = np.geterr(), (random.getstate(), np.random.get_state())
    epsilon, data_format = keras.config.epsilon(), keras.config.image_data_format()
    is_eager = tf.config.functions_run_eagerly()
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.setrecursionlimit(limit)
        logging.disable(level)
        warnings.filters[:] = filters  # type: ignore[index]
        np.seterr(**errors)
        random.setstate(randoms[0])
        np.random.set_state(randoms[1])
        keras.config.set_epsilon(epsilon)
        keras.config.set_image_data_format(data_format)
        tf.config.run_functions_eagerly(is_eager)
