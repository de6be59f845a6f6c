"""Well-known image sets, from files of the same formats that hold upscaled real digits."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from studies import tiny_study

from gridfold.data.dataset import Dataset, prepare
from gridfold.errors import DataError
from gridfold.study import Study

DIGITS = datasets.load_digits()
TRAIN, TEST = 50, 20
LABELS = DIGITS.target[: TRAIN + TEST].astype(np.uint8)


def upscaled(size: int) -> np.ndarray[Any, Any]:
    """Return real digits, pixels repeated and padded to `size`."""
    large = np.kron(DIGITS.images[: TRAIN + TEST] * 15, np.ones((3, 3))).astype(np.uint8)
    room = size - large.shape[1]
    return np.pad(large, ((0, 0), (room // 2, room - room // 2), (room // 2, room - room // 2)))


def idx(array: np.ndarray[Any, Any]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


IDX_FILES = {
    "train-images-idx3-ubyte": upscaled(28)[:TRAIN],
    "train-labels-idx1-ubyte": LABELS[:TRAIN],
    "t10k-images-idx3-ubyte": upscaled(28)[TRAIN:],
    "t10k-labels-idx1-ubyte": LABELS[TRAIN:],
}


def write_idx(folder: Path, *, compressed: bool = False, spelling: str = "-idx") -> Path:
    folder.mkdir()
    for name, array in IDX_FILES.items():
        content = idx(array)
        name = name.replace("-idx", spelling) + ".gz" * compressed
        (folder / name).write_bytes(gzip.compress(content) if compressed else content)
    return folder


def write_npz(file: Path, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Path:
    np.savez(
        file,
        x_train=images[:TRAIN],
        y_train=labels[:TRAIN],
        x_test=images[TRAIN:],
        y_test=labels[TRAIN:],
    )
    return file


def load(source: str, path: Path | None, **options: Any) -> Dataset:
    data = {"source": source, "path": path and str(path), **options}
    study = Study.model_validate(tiny_study(data=data))
    return prepare(study.data.model_dump(), "multiclass")


def check_digits(dataset: Dataset) -> None:
    np.testing.assert_array_equal(dataset.features[..., 0], upscaled(28))
    np.testing.assert_array_equal(dataset.targets, LABELS)
    assert dataset.features.dtype == np.uint8
    assert dataset.test_start == TRAIN


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("spelling", ["-idx", ".idx"])
def test_the_original_files_are_read_however_they_were_unpacked(
    tmp_path: Path, compressed: bool, spelling: str
) -> None:
    folder = write_idx(tmp_path / "idx", compressed=compressed, spelling=spelling)
    check_digits(load("mnist", folder))


def test_the_file_of_keras_is_read(tmp_path: Path) -> None:
    dataset = load("mnist", write_npz(tmp_path / "file.npz", upscaled(28), LABELS))
    check_digits(dataset)
    assert dataset.class_names == list("0123456789")


def test_the_source_s_own_test_set_stays_whole_in_a_subset(tmp_path: Path) -> None:
    dataset = load("mnist", write_npz(tmp_path / "f.npz", upscaled(28), LABELS), subset=30)
    assert dataset.test_start == 30
    assert len(dataset.features) == 30 + TEST


def test_classes_have_their_names_also_when_some_are_absent(tmp_path: Path) -> None:
    labels = np.where(LABELS > 4, 9, LABELS)
    file = write_npz(tmp_path / "file.npz", upscaled(28), labels)
    dataset = load("fashion_mnist", file)
    assert dataset.class_names == [
        *["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"],
        "Ankle boot",
    ]


def colourful() -> np.ndarray[Any, Any]:
    plain = upscaled(32)
    return np.stack([plain, plain // 2, 255 - plain], axis=-1)


def test_the_binary_version_of_cifar10_is_read(tmp_path: Path) -> None:
    rows = np.hstack([LABELS[:, None], colourful().transpose(0, 3, 1, 2).reshape(len(LABELS), -1)])
    for number, part in enumerate(np.split(rows[:TRAIN], 5), start=1):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(part.astype(np.uint8).tobytes())
    (tmp_path / "test_batch.bin").write_bytes(rows[TRAIN:].astype(np.uint8).tobytes())
    dataset = load("cifar10", tmp_path)
    np.testing.assert_array_equal(dataset.features, colourful())
    np.testing.assert_array_equal(dataset.targets, LABELS)
    assert dataset.class_names is not None
    assert dataset.class_names[:2] == ["airplane", "automobile"]


def cut(folder: Path) -> None:
    file = folder / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])


def swap(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(upscaled(28)))


def garble(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(b"<html>404</html>")


def break_gzip(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(gzip.compress(file.read_bytes())[:-9])


def remove(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").unlink()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (cut, "t10k-images-idx3-ubyte has 15,675 bytes for an array of shape .20, 28, 28.*compl"),
        (swap, r"labels of type uint8 and shape \(70, 28, 28\) for 50 images"),
        (garble, "train-labels-idx1-ubyte is not an IDX file of bytes"),
        (break_gzip, "train-images-idx3-ubyte: "),
        (remove, "no train-images-idx3-ubyte or .*it has t10k-images-idx3-ubyte, t10k-labels"),
    ],
)
def test_files_that_are_not_whole_are_named(tmp_path: Path, change: Any, complaint: str) -> None:
    folder = write_idx(tmp_path / "idx")
    change(folder)
    with pytest.raises(DataError, match=complaint):
        load("mnist", folder)


def test_a_file_of_other_arrays_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", x=upscaled(28))
    with pytest.raises(DataError, match=r"no array `x_train` \(data\.path\); it has x"):
        load("mnist", tmp_path / "file.npz")


def test_a_folder_without_cifar10_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data_batch_1\.bin, .* of the binary version"):
        load("cifar10", tmp_path)


def test_without_a_network_it_is_said_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    """A process of its own, whose network is a proxy that nobody is."""
    code = f"""
from gridfold.data.dataset import prepare
from gridfold.errors import DataError
from gridfold.study import Study
study = Study.model_validate({tiny_study(data={"source": "mnist"})!r})
for source in ("mnist", "fashion_mnist", "cifar10"):
    try:
        prepare(study.data.model_dump() | {{"source": source}}, "multiclass")
    except DataError as error:
        print("REFUSED", error)
"""
    nobody = "http://127.0.0.1:9"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            "KERAS_HOME": str(tmp_path),
            "http_proxy": nobody,
            "https_proxy": nobody,
            "PATH": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    ).stdout
    refusals = [line for line in answer.splitlines() if line.startswith("REFUSED")]
    for source, line in zip(("mnist", "fashion_mnist", "cifar10"), refusals, strict=True):
        assert line.startswith(f"REFUSED {source} is not in Keras's cache ({tmp_path}/datasets)")
        assert "On a machine with a network download https://" in line
        assert "set data.path to" in line
