"""Read dlib's identity network from dlib's own file format.

The format, as dlib's `serialize` writes it: integers are a byte with sign and length, then that
many bytes; floats are two such integers, mantissa and exponent of two; strings are a length and
bytes; tensors are a format number, four sizes and plain little-endian float32. A network is a
header for each layer, outermost first, then the layers themselves from the input on.

Nothing in a file is executed, and every size is checked before memory is taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from understudy.errors import WeightsError
from understudy.types import Floats

SIDE = 150
"""Width and height of the input in pixels."""

DIMENSIONS = 128
"""Numbers in the output."""

LEVELS = ((32, False, 3), (64, True, 3), (128, True, 2), (256, True, 2), (256, True, 0))
"""Stages of residual blocks: channels, does it begin with a halving block, plain blocks."""

LONGEST_NAME = 64
LARGEST_TENSOR = 1 << 24


class _Damaged(Exception):
    """The file does not hold what it should; the text says what was met."""


class _Reader:
    """Walks over the bytes of a dlib file; every read is checked against the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise _Damaged("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self) -> int:
        """One byte with the sign (bit 7) and the number of bytes, then those, lowest first."""
        head = self.take(1)[0]
        count = head & 0x0F
        if head & 0x70 or not 1 <= count <= 8:
            raise _Damaged(f"no integer at byte {self.at - 1}")
        value = int.from_bytes(self.take(count), "little")
        return -value if head & 0x80 else value

    def real(self) -> float:
        """Mantissa and exponent of two, two integers."""
        mantissa, exponent = self.integer(), self.integer()
        if not -900 < exponent < 900:  # with eight bytes of mantissa, a float holds it
            raise _Damaged(f"no number at byte {self.at}")
        return float(mantissa) * 2.0**exponent

    def expect(self, *values: int) -> None:
        for value in values:
            if (found := self.integer()) != value:
                raise _Damaged(f"{found} where {value} should be, before byte {self.at}")

    def name(self, wanted: str) -> None:
        length = self.integer()
        if not 0 < length <= LONGEST_NAME or self.take(length) != wanted.encode():
            raise _Damaged(f"no {wanted!r} at byte {self.at - 1}")

    def tensor(self) -> Floats:
        self.expect(2)
        shape = [self.integer() for _ in range(4)]
        if min(shape) < 0 or prod(shape) > LARGEST_TENSOR:
            raise _Damaged(f"a tensor of shape {shape} before byte {self.at}")
        values = np.frombuffer(self.take(4 * prod(shape)), "<f4").reshape(shape)
        if not np.isfinite(values).all():
            raise _Damaged(f"a number that is not finite before byte {self.at}")
        return values.astype(np.float32)

    def alias(self, *shape: int) -> None:
        """How a part of the parameters is to be seen."""
        self.expect(1, *shape)

    def end_of_layer(self) -> None:
        """Three flags, then what training left behind: three tensors, empty."""
        if self.take(3) not in (b"110", b"111"):
            raise _Damaged(f"no end of a layer at byte {self.at - 3}")
        for _ in range(3):
            self.expect(2, 0, 0, 0, 0)

    def layer(self, name: str, *values: int) -> None:
        """A layer without parameters, whose settings must be `values`."""
        self.name(name)
        self.expect(*values)
        self.end_of_layer()

    def convolution(
        self, out: int, channels: int, side: int, stride: int, first: bool = False
    ) -> tuple[Floats, Floats]:
        """A convolution and the affine layer after it, as one.

        Returns:
            Weight (out, channels, side, side) and bias (out,).
        """
        padding = side // 2 if stride == 1 else 0
        self.name("con_4")
        flat = self.tensor().ravel()
        self.expect(out, side, side, stride, stride, padding, padding)
        self.alias(out, channels, side, side)
        self.alias(1, out, 1, 1)
        for _ in range(4):
            self.real()  # learning rates and decays
        self.end_of_layer()
        if first:
            self.expect(1)  # how many samples one picture became
        self.name("affine_")
        affine = self.tensor().ravel()
        self.alias(1, out, 1, 1)
        self.alias(1, out, 1, 1)
        self.expect(0)
        self.end_of_layer()
        if flat.size != out * (channels * side * side + 1) or affine.size != 2 * out:
            raise _Damaged(f"a layer of the wrong size before byte {self.at}")
        gain, shift = affine[:out], affine[out:]
        weight = flat[:-out].reshape(out, channels, side, side) * gain[:, None, None, None]
        return weight, flat[-out:] * gain + shift


@dataclass(frozen=True)
class DlibWeights:
    """Parameters in the order in which they are used.

    Attributes:
        convolutions: 29 of (weight (out, in, k, k), bias (out,)), affine layers and the
            input's normalisation folded in: they take RGB 0..255.
        head: (128, 256), the last layer.
    """

    convolutions: list[tuple[Floats, Floats]]
    head: Floats


def _block(reader: _Reader, out: int, channels: int, halve: bool) -> list[tuple[Floats, Floats]]:
    first = reader.convolution(out, channels, 3, 2 if halve else 1)
    reader.layer("relu_")
    second = reader.convolution(out, out, 3, 1)
    if halve:
        reader.layer("avg_pool_2", 2, 2, 2, 2, 0, 0)
    reader.layer("add_prev_")
    reader.layer("relu_")
    return [first, second]


def _parse(data: bytes) -> DlibWeights:
    reader = _Reader(data)
    reader.expect(1)
    reader.name("loss_metric_2")
    reader.real(), reader.real()
    # Every layer opens with the number of its format, outermost first; the input's is 3.
    while (version := reader.integer()) != 3:
        if version not in (1, 2):
            raise _Damaged(f"format {version} of a layer at byte {reader.at}")
    reader.name("input_rgb_image_sized")
    mean = np.array([reader.real() for _ in range(3)])
    reader.expect(SIDE, SIDE)
    weight, bias = reader.convolution(32, 3, 7, 2, first=True)
    folded = weight.astype(np.float64) / 256
    bias = (bias - (folded.sum(axis=(2, 3)) * mean).sum(axis=1)).astype(np.float32)
    convolutions = [(folded.astype(np.float32), bias)]
    reader.layer("relu_")
    reader.layer("max_pool_2", 3, 3, 2, 2, 0, 0)
    channels = 32
    for out, halve, plain in LEVELS:
        for down in [True] * halve + [False] * plain:
            convolutions += _block(reader, out, channels, down)
            channels = out
    reader.layer("avg_pool_2", 0, 0, 1, 1, 0, 0)
    reader.name("fc_2")
    reader.expect(DIMENSIONS, channels)
    head = reader.tensor()
    if head.shape != (channels, DIMENSIONS, 1, 1):
        raise _Damaged("a last layer of the wrong size")
    return DlibWeights(convolutions, head.reshape(channels, DIMENSIONS).T.copy())


def read_dlib(path: Path) -> DlibWeights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`.

    Nothing in the file is executed; sizes are checked before memory is taken. Raises
    WeightsError when the file is damaged or contains another network.
    """
    remedy = "Delete the file and run the same command again to download it."
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}).", remedy) from error
    except _Damaged as error:
        raise WeightsError(f"{path} is not the identity network: {error}.", remedy) from error
