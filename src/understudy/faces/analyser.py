"""The face networks behind one object: detect, mesh, embed."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from understudy.faces.blazeface import Detection, overlap
from understudy.faces.detect import FIRM, Detector
from understudy.faces.identity import IdentityNet, face_chips
from understudy.faces.mesh import Mesh
from understudy.faces.pose import reference
from understudy.faces.weights import store
from understudy.settings import ScanSettings
from understudy.types import Face, Floats, Image

MESH_SCORE = 0.5
"""Score from which the mesh counts as lying on a face."""

CONVINCING = 0.8
"""Score of the mesh that confirms a doubtful detection."""

SAME_FACE = 0.4
"""Overlap from which two meshes are on the same face."""


class FaceAnalyser:
    """Finds and measures faces in single pictures; every network runs on one thread.

    Not thread-safe: create one for each thread. Python continues in other
    threads while a network computes.

    Args:
        settings: how small a face may be.

    Raises:
        WeightsError: a network's file cannot be had or is damaged. The identity network is
            loaded when it is first used, the others at once.
    """

    def __init__(self, settings: ScanSettings) -> None:
        self.settings = settings
        self._detector = Detector(
            store.path("face_detection_short_range.tflite"),
            store.path("face_detection_full_range_sparse.tflite"),
            settings.min_face,
        )
        self._mesh = Mesh(store.path("face_landmark.tflite"), reference())

    @cached_property
    def _identity(self) -> IdentityNet:
        return IdentityNet(store.path("dlib_face_recognition_resnet_model_v1.dat"))

    def detect(self, image: Image, thorough: bool = True) -> list[Detection]:
        """Faces in a picture, surest first; not all of them need have a sound mesh.

        What the detector doubts counts when the mesh finds a face there, or many closer looks
        do. Where nothing is found, large faces that are half hidden are looked for.

        Args:
            image: RGB uint8 (height, width, 3).
            thorough: also search overlapping tiles of a picture that is large compared with
                the smallest wanted face, and look closely at doubtful places.
        """
        found = [
            detection
            for detection in self._detector.detect(image, thorough)
            if detection.score >= FIRM
            or self._mesh.from_detection(image, detection).score >= CONVINCING
            or (thorough and self._detector.likely(image, detection))
        ]
        return found if found or not thorough else self._detector.hidden(image)

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        """The mesh of one face, or None when there is no face where `start` says.

        Args:
            image: RGB uint8 (height, width, 3).
            start: a detection in this picture, or the same face a frame earlier.
        """
        if isinstance(start, Face):
            face = self._mesh.from_face(image, start)
        else:
            # The second look starts from the first one's points, as it will in later frames.
            face = self._mesh.from_detection(image, start)
            if face.score >= MESH_SCORE:
                face = self._mesh.from_face(image, face)
        good = face.score >= MESH_SCORE and np.isfinite(face.landmarks).all()
        return face if good else None

    def faces(self, image: Image) -> list[Face]:
        """All faces in a single picture that have a sound mesh, largest first, without track.

        Args:
            image: RGB uint8 (height, width, 3).
        """
        found: list[Face] = []
        for detection in self.detect(image):
            face = self.mesh(image, detection)
            if face is not None and not covered(face, found):
                found.append(face)
        return sorted(found, key=lambda face: face.box[0] - face.box[2])

    def embed(self, image: Image, face: Face) -> Floats:
        """Identity embedding of a face, float32 (128,); see `Face.embedding`.

        Args:
            image: RGB uint8 (height, width, 3), the picture in which the face was measured.
        """
        embedding: Floats = self.identify(face_chips(image, [face.landmarks]))[0]
        return embedding

    def identify(self, chips: Image) -> Floats:
        """Identity embeddings, float32 (N, 128), of faces that `face_chips` cut out of their
        pictures: RGB uint8 (N, 150, 150, 3)."""
        return self._identity.embed(chips)


def covered(face: Face, others: list[Face], limit: float = SAME_FACE) -> bool:
    """Whether one of `others` is on the same face."""
    if not others:
        return False
    boxes = np.array([other.box for other in others])
    return bool((overlap(np.array(face.box), boxes) >= limit).any())
