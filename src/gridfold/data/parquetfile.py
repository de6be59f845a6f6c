"""Rows and columns of a Parquet file, from the metadata at its end, without a library for it.

The metadata are a struct in the compact protocol of Apache Thrift; what is not asked for is passed
over. (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md,
https://parquet.apache.org/docs/file-format/metadata)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MARK = b"PAR1"
_MOST_BYTES = 64 * 2**20
# Fields of FileMetaData, and of each SchemaElement.
_SCHEMA, _ROWS = 2, 3
_CHILDREN = 5
# Kinds of the compact protocol.
_TRUE, _FALSE, _BYTE = 1, 2, 3
_NUMBERS = (4, 5, 6)
_DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 7, 8, 9, 10, 11, 12


def parquet_shape(file: Path) -> tuple[int, int] | None:
    """Return the rows and columns of a Parquet file; None where it does not say so.

    Parameters
    ----------
    file : Path

    Raises
    ------
    OSError
        When it can't be read.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        if size < 12:
            return None
        stream.seek(size - 8)
        tail = stream.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MARK or not 0 < length <= min(size - 8, _MOST_BYTES):
            return None
        stream.seek(size - 8 - length)
        content = stream.read(length)
    try:
        return _Reader(content).shape()
    except (IndexError, ValueError):
        return None


class _Reader:
    """Reads values of the compact protocol one after another.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def shape(self) -> tuple[int, int] | None:
        columns = rows = None
        for field, kind in self._fields():
            if field == _SCHEMA and kind == _LIST:
                columns = self._columns()
            elif field == _ROWS and kind in _NUMBERS:
                rows = self._number()
                break
            else:
                self._pass_over(kind)
        return None if rows is None or columns is None else (rows, columns)

    def _columns(self) -> int:
        """Return the children of the root, the first of all elements of the schema."""
        count, kind = self._list()
        children = 0
        for number in range(count):
            if number or kind != _STRUCT:
                self._pass_over(kind)
                continue
            for field, inner in self._fields():
                if field == _CHILDREN and inner in _NUMBERS:
                    children = self._number()
                else:
                    self._pass_over(inner)
        return children

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and kind of each field of a struct; whoever asks must take its value."""
        field = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            field = field + step if step else self._number()
            yield field, kind

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._plain() if count == 15 else count), head & 15

    def _pass_over(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._skip(1)
        elif kind in _NUMBERS:
            self._plain()
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._plain())
        elif kind in (_LIST, _SET):
            count, inner = self._list()
            for _ in range(count):
                # In lists, a truth value takes a byte.
                self._skip(1) if inner in (_TRUE, _FALSE) else self._pass_over(inner)
        elif kind == _MAP:
            count = self._plain()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._pass_over(kinds >> 4)
                self._pass_over(kinds & 15)
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._pass_over(inner)
        else:
            raise ValueError(f"kind {kind}")

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._content):
            raise IndexError

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self._at - 1]

    def _plain(self) -> int:
        """Return a number without sign, seven bits a byte."""
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    def _number(self) -> int:
        """Return a number with a sign, zigzag."""
        plain = self._plain()
        return (plain >> 1) ^ -(plain & 1)
