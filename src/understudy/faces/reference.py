"""Make `reference.json`, the mean head that pose and alignment are measured against.

    python -m understudy.faces.reference crowd.json FOLDER reference.json

where FOLDER holds one film per synthetic person and crowd.json the true pose of every frame
(`identities[i].id` names the film, `identities[i].frames[k][:3]` are yaw, pitch and roll in
degrees, roll the other way round than in `Pose`). The shape is the generalised Procrustes mean
(Gower, 1975) of the measured meshes; the true poses only say what straight ahead is. It is then
made symmetric.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from understudy.faces.detect import Detector
from understudy.faces.mesh import Mesh
from understudy.faces.pose import STABLE, Reference, rotation, similarity
from understudy.faces.weights import store
from understudy.media.address import open_input
from understudy.runtime.files import write_bytes
from understudy.types import Float64s, Floats, Image, Pose


def normal(points: Float64s) -> Float64s:
    """Move the centre of the stable points to 0 and scale their spread to 1."""
    moved = points - points[STABLE].mean(axis=0)
    spread = np.sqrt((moved[STABLE] ** 2).sum(axis=1).mean())
    result: Float64s = moved / spread
    return result


def mirror_pairs(points: Float64s) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """For each point the one that is its mirror image, found by nearness: (n,) indices."""
    mirrored = points * [-1, 1, 1]
    distances = np.linalg.norm(mirrored[:, None] - points[None], axis=2)
    pairs: np.ndarray[tuple[int], np.dtype[np.intp]] = distances.argmin(axis=1)
    return pairs


def mean_head(meshes: Sequence[Floats], poses: Sequence[Pose], rounds: int = 5) -> Float64s:
    """The mean shape, facing the camera, symmetric.

    Args:
        meshes: float (468, 3) each.
        poses: the true pose of each.
    """
    turned = [
        normal(mesh.astype(np.float64) @ rotation(pose))
        for mesh, pose in zip(meshes, poses, strict=True)
    ]
    start: Float64s = normal(np.mean(turned, axis=0))
    mean = start
    for _ in range(rounds):
        total = np.zeros_like(mean)
        for mesh in turned:
            fit = similarity(mesh[STABLE], mean[STABLE])
            total += fit.scale * mesh @ fit.rotation.T + fit.shift
        mean = normal(total / len(turned))
    # Procrustes leaves the common turn free: take the one the true poses say.
    back = similarity(mean[STABLE], start[STABLE])
    mean = normal(mean @ back.rotation.T)
    mirrored = mean[mirror_pairs(mean)] * [-1, 1, 1]
    return normal((mean + mirrored) / 2)


def main(truth: Path, folder: Path, destination: Path, every: int = 6) -> None:
    detector = Detector(
        store.path("face_detection_short_range.tflite"),
        store.path("face_detection_full_range_sparse.tflite"),
        min_face=32,
    )
    mesh = Mesh(store.path("face_landmark.tflite"), Reference(np.eye(468, 3, dtype=np.float32)))
    meshes: list[Floats] = []
    poses: list[Pose] = []
    for person in json.loads(truth.read_text(encoding="utf-8"))["identities"]:
        with open_input(folder / f"{person['id']}.mp4") as film:
            for index, picture in enumerate(film.decode(video=0)):
                if index % every:
                    continue
                image: Image = picture.to_ndarray(format="rgb24").astype(np.uint8)
                for detection in detector.detect(image, thorough=False)[:1]:
                    face = mesh.from_face(image, mesh.from_detection(image, detection))
                    if face.score > 0.9:
                        meshes.append(face.landmarks)
                        yaw, pitch, roll = person["frames"][index][:3]
                        poses.append(Pose(yaw, pitch, -roll))
    points = mean_head(meshes, poses)
    text = json.dumps({"points": points.round(5).tolist()}, separators=(",", ":"))
    write_bytes(destination, (text.replace("],[", "],\n[") + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
