"""Folders with the first part of a data set, in the format of the whole."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

RECORD = 3073
"""Bytes of an example of CIFAR-10."""


def subset(data: str, source: Path, target: Path, examples: int) -> Path:
    """The folder ``target`` with the first ``examples`` training examples of ``source``, and a fifth as many test examples.

    Raises OSError, and ValueError for files that are none of the data set.
    """
    target.mkdir(parents=True, exist_ok=True)
    if data == "mnist":
        for part, count in (("train", examples), ("t10k", examples // 5)):
            for kind, rank in (("images-idx3", 3), ("labels-idx1", 1)):
                name = f"{part}-{kind}-ubyte"
                _write(target / name, _first_of_idx(source, name, rank, count))
    else:
        for name, count in (*((f"data_batch_{k}", examples // 5) for k in range(1, 6)), ("test_batch", examples // 5)):
            with (source / f"{name}.bin").open("rb") as file:
                _write(target / f"{name}.bin", file.read(count * RECORD))
    return target


def _first_of_idx(folder: Path, name: str, rank: int, count: int) -> bytes:
    path = folder / name if (folder / name).is_file() else folder / f"{name}.gz"
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    start = 4 + 4 * rank
    try:
        magic, there, *shape = struct.unpack(f">{1 + rank}I", content[:start])
    except struct.error:
        raise ValueError(f"{path} is not an IDX file") from None
    count = min(count, there)
    return struct.pack(f">{1 + rank}I", magic, count, *shape) + content[start : start + count * math.prod(shape)]


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)
