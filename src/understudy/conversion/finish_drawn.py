"""Finish sheets and short films that a command drew, in the same way as converted films.

    pictures -> visible label -> invisible watermark, read back -> sealed file -> its line in `told`

`imagine`, `explain` and `compare` write every picture of a made face through a `Finisher`, so
that `understudy verify` knows it. Pictures without a face, such as heat maps, are written plainly.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from understudy.conversion.finish import marking
from understudy.conversion.finish_still import with_headroom, write_marked
from understudy.media.contact_sheet import RATE, write_film
from understudy.media.overlay import lay
from understudy.provenance import aigc, records
from understudy.provenance.inspect import Look, look
from understudy.provenance.label.label import TEXT, Ground, Label
from understudy.provenance.seal import (
    Origin,
    clear_leftovers,
    facts_of,
    record_number,
    seal,
    sealed_file,
    together,
)
from understudy.provenance.watermark.frames import Marker
from understudy.provenance.watermark.limits import STRONGER, TRIES, unmarkable
from understudy.runtime import files
from understudy.safeguards.consent_gate import Consent
from understudy.settings import TrustSettings
from understudy.types import Image

GENERATED = "AI GENERATED"
"""The label of what a network drew whole; what shows footage too is labelled as films are."""


class Finisher:
    """Finishes the pictures and films of one run of a command.

    Args:
        trust: how they are signed.
        job: their inputs, as JSON; equal exactly when they show the same.
        words: description for their metadata: "Faces imagined".
        consents: of everyone who is shown or replaced, by name.
        model_sha256: hash of the weights, if one network drew.
        source: the film in which faces were replaced; None where a network drew all of it.
        earlier: `outputs` of what an earlier run told; a file that is still as it was then, and
            would show the same, stays.

    Attributes:
        notes: what the user should know, in the order in which it came up.
    """

    def __init__(
        self,
        trust: TrustSettings,
        job: Mapping[str, Any],
        words: str,
        consents: Mapping[str, Consent],
        model_sha256: str | None = None,
        source: Path | None = None,
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        self.trust, self.words, self.consents = trust, words, consents
        self.notes: list[str] = []
        self._key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:32]
        self._model, self._source = model_sha256, source
        self._source_sha256 = files.sha256(source) if source else None
        self._earlier = earlier or {}
        self._outputs: dict[str, dict[str, Any]] = {}

    def still(
        self, path: Path, image: Image, people: Sequence[str] | None = None, quality: int = 95
    ) -> None:
        """Write a picture, RGB uint8 (h, w, 3), with a label above it.

        Args:
            people: shown in it; everyone in `consents` when None.
            quality: of WebP and JPEG, 1..100.

        Raises: as `provenance.seal.seal`.
        """
        origin = self._origin(path, people)
        if self._stays(path, origin):
            return
        (shown,) = self._labelled(lambda: [image])
        why = unmarkable(path, shown.shape[1], shown.shape[0])
        with _beside(path) as unsigned:
            write_marked(
                shown, unsigned, origin, self._comment, marked=why is None, quality=quality
            )
            self._seal(unsigned, path, origin, why, None)

    def film(
        self,
        path: Path,
        pictures: Callable[[], Iterable[Image]],
        people: Sequence[str] | None = None,
    ) -> None:
        """Write a film with a label above its pictures.

        Args:
            pictures: returns them from the first on at every call; RGB uint8 of one size.
            people: as for `still`.

        Raises: as `provenance.seal.seal`.
        """
        origin = self._origin(path, people)
        if self._stays(path, origin):
            return
        first = next(self._labelled(pictures))
        height, width = first.shape[:2]
        why = unmarkable(path, width, height)
        tag = aigc.text(records.number_text(origin.number), origin.source_sha256)
        tags = {"comment": self._comment, aigc.KEY: tag}
        with _beside(path) as unsigned:
            seen = None
            for attempt in range(TRIES):
                shown: Iterable[Image] = self._labelled(pictures)
                if why is None:
                    strength = origin.strength - attempt * STRONGER
                    shown = map(Marker(width, height, origin.number, strength).rgb, shown)
                write_film(unsigned, shown, tags)
                seen = look(unsigned)
                if why is not None or seen.carries(origin.number):
                    break
            self._seal(unsigned, path, origin, why, seen)

    def told(self) -> dict[str, Any]:
        """Contents of the JSON file next to the outputs: `consents` by name, `outputs` by
        file with number, people, hash, mark and where the credentials are, and `notes`."""
        return {
            "consents": {
                name: consent.model_dump(mode="json", exclude_none=True)
                for name, consent in sorted(self.consents.items())
            },
            "outputs": dict(sorted(self._outputs.items())),
            "notes": self.notes,
        }

    @property
    def _comment(self) -> str:
        return marking(self.words)["comment"]

    def _origin(self, path: Path, people: Sequence[str] | None) -> Origin:
        named = self.consents if people is None else people
        return Origin(
            record_number(f"{self._key}/{path.name}"),
            self._source,
            self._source_sha256,
            self._model,
            {name: self.consents[name] for name in named if name in self.consents},
            "corner",
            None,
            self.trust.strength,
        )

    def _stays(self, path: Path, origin: Origin) -> bool:
        """Whether an earlier run already made the same file."""
        known = self._earlier.get(path.name)
        if not isinstance(known, dict) or not path.is_file():
            return False
        same = known.get("number") == records.number_text(origin.number)
        if not same or known.get("sha256") != files.sha256(path):
            return False
        self._outputs[path.name] = known
        return True

    def _labelled(self, pictures: Callable[[], Iterable[Image]]) -> Iterator[Image]:
        """Pictures with the label in a strip above, with even sides."""
        label = None
        for number, picture in enumerate(pictures()):
            page = with_headroom(picture)
            page = np.pad(page, [(0, side % 2) for side in page.shape[:2]] + [(0, 0)], mode="edge")
            height, width = page.shape[:2]
            if label is None:
                text = GENERATED if self._source is None else TEXT
                label = Label("corner", Ground(width, height), text=text)
            shown = lay(
                av.VideoFrame.from_ndarray(page, format="rgb24"),
                label.patches(Fraction(number, RATE)),
            )
            yield np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)

    def _seal(
        self, unsigned: Path, path: Path, origin: Origin, why: str | None, seen: Look | None
    ) -> None:
        with sealed_file(path) as temporary:
            sealed = seal(
                unsigned,
                temporary,
                path.name,
                origin,
                self.trust,
                marked=why is None,
                unmarked=why,
                seen=seen,
            )
        number = records.number_text(origin.number)
        self._outputs[path.name] = {
            "number": number,
            "file": path.name,
            "people": sorted(origin.consents),
            **facts_of(sealed),
        }
        self.notes += [note for note in together({path.name: sealed}) if note not in self.notes]


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Name of the unsigned file, in a separate folder next to the finished one."""
    clear_leftovers(path)
    pattern = re.compile(rf"\.{re.escape(files.temporary_stem(path))}\.[a-z0-9_]{{8}}")
    with files.storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in [one for one in path.parent.iterdir() if pattern.fullmatch(one.name)]:
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
        folder = TemporaryDirectory(prefix=f".{files.temporary_stem(path)}.", dir=path.parent)
    with folder as name:
        yield Path(name) / f"unsigned{path.suffix}"
