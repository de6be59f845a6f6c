"""Well-known image sets: from Keras's cache or the network, or from local files."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.data.sources.arrays import array_of, open_npz
from gridfold.data.sources.raw import Raw
from gridfold.errors import DataError, summary_of

_CLASSES = {
    "mnist": [str(digit) for digit in range(10)],
    "fashion_mnist": [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    "cifar10": [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
}
_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_IDX_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_CIFAR_FILES = ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"])
# What to download where there is a network, and what Keras calls it in its cache.
_DOWNLOADS = {
    "mnist": (f"{_GOOGLE}/mnist.npz", "mnist.npz"),
    "fashion_mnist": (
        ", ".join(f"{_GOOGLE}/{name}.gz" for pair in _IDX_FILES for name in pair),
        "fashion-mnist",
    ),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", ""),
}
_PIXELS_OF_CIFAR = (3, 32, 32)
# The type code of unsigned bytes in an IDX file.
_IDX_BYTES = 8


def read(data: Mapping[str, Any]) -> Raw:
    """Read a well-known image set with its own test set.

    Raises
    ------
    DataError
        When it is neither in the cache nor can it be downloaded, or the files at `path` are of
        another kind; says what to get from where.
    """
    name, path = data["source"], data["path"]
    if path is None:
        parts = _from_keras(name)
    elif os.path.isdir(path):
        parts = _from_cifar_folder(path) if name == "cifar10" else _from_idx_folder(path)
    else:
        parts = _from_npz(path)
    (images, labels), (test_images, test_labels) = map(_checked, parts)
    found = np.unique(np.concatenate([labels, test_labels]))
    if found.max() >= len(_CLASSES[name]):
        raise DataError(f"label {found.max()} in {name}, which has classes 0 to 9")
    return Raw(
        images,
        labels,
        test_features=test_images,
        test_targets=test_labels,
        class_names=[_CLASSES[name][code] for code in found],
    )


def _checked(part: tuple[Any, Any]) -> tuple[Array, Array]:
    images, labels = np.asarray(part[0]), np.asarray(part[1])
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images):
        raise DataError(
            f"images of type {images.dtype} and shape {images.shape}; bytes of shape (samples, "
            "height, width) or (samples, height, width, channels) are needed"
        )
    if labels.dtype.kind not in "iu" or labels.size != len(images) or labels.min() < 0:
        raise DataError(
            f"labels of type {labels.dtype} and shape {labels.shape} for {len(images)} images; a "
            "whole number of at least 0 for each is needed"
        )
    return (
        images if images.ndim == 4 else images[..., np.newaxis],
        labels.reshape(len(images)).astype(np.int64),
    )


def _from_keras(name: str) -> Any:
    import keras

    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:
        # Keras raises plain exceptions for a missing network, whatever that is made of.
        urls, kept_as = _DOWNLOADS[name]
        cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets"
        place = f" or put it at {cache / kept_as}" if kept_as else ""
        raise DataError(
            f"{name} is not in Keras's cache ({cache}) and can't be downloaded "
            f"({summary_of(error)}). On a machine with a network download {urls}; then set "
            f"data.path to the file or the unpacked folder{place}"
        ) from None


def _from_npz(path: str) -> Any:
    with open_npz(path) as archive:
        return tuple(
            tuple(array_of(archive, path, f"{kind}_{part}", "data.path") for kind in "xy")
            for part in ("train", "test")
        )


def _from_idx_folder(path: str) -> Any:
    return tuple(tuple(_read_idx(_file(path, name)) for name in pair) for pair in _IDX_FILES)


def _file(folder: str, name: str) -> Path:
    """Return the file of this name as it is spelt there, compressed or not."""
    spellings = [name, name.replace("-idx", ".idx")]
    candidates = [Path(folder) / f"{s}{suffix}" for s in spellings for suffix in ("", ".gz")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{folder}: no {name} or {name}.gz; of the four IDX files it has "
        f"{', '.join(sorted(entry for entry in os.listdir(folder) if 'ubyte' in entry)) or 'none'}"
    )


def _read_idx(file: Path) -> Array:
    """Read an array of bytes in the IDX format (described on the page of MNIST)."""
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: {error}") from None
    dimensions = content[3] if len(content) > 3 else 0
    header = 4 + 4 * dimensions
    if content[:2] != b"\0\0" or content[2:3] != bytes([_IDX_BYTES]) or len(content) < header:
        raise DataError(f"{file} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    if len(content) != header + np.prod(shape):
        raise DataError(
            f"{file} has {len(content) - header:,} bytes for an array of shape "
            f"{tuple(shape.tolist())}; it is not complete"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _from_cifar_folder(path: str) -> Any:
    parts = []
    for names in _CIFAR_FILES:
        files = [Path(path) / name for name in names]
        absent = [file.name for file in files if not file.is_file()]
        if absent:
            raise DataError(f"{path}: no {', '.join(absent)} of the binary version of CIFAR-10")
        # A label byte, then the pixels of each channel.
        row = 1 + int(np.prod(_PIXELS_OF_CIFAR))
        rows = []
        for file in files:
            content = np.frombuffer(file.read_bytes(), np.uint8)
            if not content.size or content.size % row:
                raise DataError(f"{file} has {content.size:,} bytes, no multiple of {row}")
            rows.append(content.reshape(-1, row))
        whole = np.concatenate(rows)
        pixels = whole[:, 1:].reshape(-1, *_PIXELS_OF_CIFAR).transpose(0, 2, 3, 1)
        parts.append((pixels, whole[:, 0]))
    return tuple(parts)
