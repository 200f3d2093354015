"""Makes binary batches of CIFAR-10, as they are published, from images that are kept as JPEG.

    python benchmarks/cifar10_from_jpeg.py SOURCE TARGET

SOURCE holds train.npz and test.npz with the arrays `jpeg` (all files one after another, bytes), `offset` (where each begins, and the end)
and `label`. JPEG is lossy, so accuracies on what comes out are not comparable with published ones; TARGET/NOTE.txt says so, and
experiments pass it on. Needs Pillow.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

NOTE = "CIFAR-10 from images re-encoded as JPEG: accuracies are not comparable with published ones, methods with each other are."


def records(path: Path) -> bytes:
    """The images of one file as records of a label and 32 x 32 bytes for red, green and blue."""
    with np.load(path, allow_pickle=False) as arrays:
        jpeg, offset, label = arrays["jpeg"].tobytes(), arrays["offset"].tolist(), arrays["label"]
    rows = np.empty((len(label), 3073), np.uint8)
    rows[:, 0] = label
    for row, begin, end in zip(rows, offset, offset[1:], strict=False):
        pixels = np.asarray(Image.open(io.BytesIO(jpeg[begin:end])).convert("RGB"))
        row[1:] = pixels.transpose(2, 0, 1).reshape(3072)
    return rows.tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    training = records(arguments.source / "train.npz")
    fifth = len(training) // 3073 // 5 * 3073
    for k in range(5):
        (arguments.target / f"data_batch_{k + 1}.bin").write_bytes(training[k * fifth : (k + 1) * fifth])
    (arguments.target / "test_batch.bin").write_bytes(records(arguments.source / "test.npz"))
    (arguments.target / "NOTE.txt").write_text(NOTE + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
