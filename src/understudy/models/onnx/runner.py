"""An exported model, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.errors import MediaError
from understudy.faces.align import core_alignment
from understudy.models.onnx import whole_face
from understudy.models.onnx.libraries import library, runtime_errors
from understudy.models.onnx.safety import DFM_CHANNELS, MORPH, Contract, check
from understudy.models.onnx.writer import INPUTS
from understudy.runtime.devices import cores
from understudy.types import Floats, Image

MORPHED = 0.75
"""The default value of DeepFaceLive for models with a `morph_value`."""


class Graph:
    """The bytes of an ONNX file, ready to run. Raises MediaError when it cannot be run."""

    def __init__(self, data: bytes, contract: Contract, name: str) -> None:
        runtime = library("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = cores()
        # A spinning thread would take its core from the decoder and the encoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.contract, self.name = contract, name
        try:
            self._session = runtime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except runtime_errors() as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception | str) -> MediaError:
        return MediaError(
            f"ONNX Runtime cannot run {self.name} ({str(error).splitlines()[0][:200]}).",
            "Export it again, or use another file.",
        )

    def __call__(self, pictures: Floats) -> list[Floats]:
        """The outputs, in the file's order.

        Args:
            pictures: float32, shaped as the file takes them, any number.
        """
        step = self.contract.batch or len(pictures)
        parts = [
            self._run(pictures[first : first + step]) for first in range(0, len(pictures), step)
        ]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def _run(self, pictures: Floats) -> list[Floats]:
        count = len(pictures)
        if self.contract.batch and count < self.contract.batch:
            rest = np.repeat(pictures[-1:], self.contract.batch - count, 0)
            pictures = np.concatenate([pictures, rest])
        feed = {INPUTS[self.contract.kind]: pictures}
        if self.contract.morph:
            feed[MORPH] = np.array([MORPHED], np.float32)
        try:
            outputs = self._session.run(None, feed)
        except runtime_errors() as error:
            raise self._broken(error) from error
        return [np.asarray(one[:count], np.float32) for one in outputs]


class Exported:
    """An exported model that may be run.

    Attributes:
        path: of the file; sha256: of its bytes.
        contract: what it takes and gives, and what it says of itself.

    Raises:
        MediaError: it cannot be read, may not be run, or does not give what it promises.
        SettingsError: a library is missing.
    """

    def __init__(self, path: Path) -> None:
        data, self.contract = check(path)
        self.path = path
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.graph = Graph(data, self.contract, path.name)
        self._try()

    @property
    def side(self) -> int:
        """Of its crops, in pixels."""
        return self.contract.side

    def _try(self) -> None:
        """Have it draw something, since a graph need not give what it promises."""
        grey = np.full((self.side, self.side, 3), 128, np.uint8)
        side, dfm = self.side, self.contract.kind == "dfm"
        planes = DFM_CHANNELS if dfm else (3, 1, 1)
        due = [(2, side, side, one) if dfm else (2, one, side, side) for one in planes]
        outputs = self.graph(self._pictures([grey, grey]))
        if [one.shape for one in outputs] != due or not all(np.isfinite(o).all() for o in outputs):
            given, wanted = (
                ", ".join("x".join(map(str, shape)) for shape in shapes)
                for shapes in ([one.shape for one in outputs], due)
            )
            raise MediaError(
                f"{self.path.name} was rejected: it outputs {given} instead of {wanted} in this "
                "order, or values that are not numbers.",
                "Use another file; the outputs of a DFM are the face's mask, the drawn face "
                "and its mask.",
            )

    def _pictures(self, crops: Sequence[Image]) -> Floats:
        pixels = np.stack(crops).astype(np.float32) / 255
        if self.contract.kind == "dfm":
            return np.ascontiguousarray(pixels[..., ::-1])
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def alignment(self, landmarks: Floats) -> Floats:
        """The matrix from the frame to the crop that the model takes; see `faces.align`.

        Our own files are given exactly the crop that they were trained on.
        """
        card = self.contract.card
        if self.contract.kind == "onnx":
            return core_alignment(landmarks, self.side)
        if card is not None:
            return whole_face.from_core(landmarks, whole_face.window(card.size))
        return whole_face.alignment(landmarks, self.side)

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats, Floats]:
        """The person with the expression of each crop.

        Args:
            crops: N of RGB uint8 (side, side, 3), at least one.

        Returns:
            float32 (N, side, side, 3) RGB; float32 (N, side, side) masks of the drawn face and
            of the face below. All 0..1.
        """
        outputs = self.graph(self._pictures(crops))
        image: NDArray[np.float32]
        if self.contract.kind == "dfm":
            below, image, mask = outputs
            image = image[..., ::-1]
            planes = mask[..., 0], below[..., 0]
        else:
            image, mask, below = outputs
            image = image.transpose(0, 2, 3, 1)
            planes = mask[:, 0], below[:, 0]
        result = [np.ascontiguousarray(np.clip(one, 0, 1)) for one in (image, *planes)]
        return result[0], result[1], result[2]
